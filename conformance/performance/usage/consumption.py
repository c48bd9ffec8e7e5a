"""What a mesh consumes: CPU time and memory of containers and nodes, from two readings of cumulative counters.

A reading carries the time at which it was taken where it was taken, and rates are over those times: a kubelet answers
with what it read some seconds ago, so that the time of asking says nothing. What cannot be compared (a container that
was restarted, has gone, or has come) is a gap, which is named and never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from conformance.performance.model import Invalidity

GATE: Final = "usage"
_SAME_START: Final = 1.0  # seconds by which two readings of one start may differ: they are rounded


class UsageError(Exception):
    """What is consumed could not be found out; says what was asked, what was found, and what to do."""


@dataclass(frozen=True, order=True)
class Place:
    """Whose consumption: a container's, or, without a pod, the whole node's. `node` may be unknown, and empty."""

    node: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod} {self.container}" if self.pod else f"node {self.node}"


@dataclass(frozen=True)
class Reading:
    """Counters of one place at one moment.

    `at` and `started` are in seconds since 1970 by the clock of the place, `cpu` is cumulative, in seconds of one core,
    `memory` the working set in bytes: what is in use without the inactive part of the file cache, the measure by which
    Kubernetes evicts. None is what was not told. `steal` and `capacity`, of nodes only, are cumulative seconds of one
    core: those that the host of a virtual machine gave to others, and all there were.
    """

    at: float
    cpu: float | None
    memory: float | None
    started: float | None = None
    steal: float | None = None
    capacity: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """All readings of about one moment.

    `resolution` is how many seconds may lie between two readings of a place that differ, `rounding` by how many seconds
    the time of a reading may be wrong. `taken` is the asker's monotonic clock in seconds, None when there was none.
    """

    readings: Mapping[Place, Reading]
    resolution: float
    rounding: float = 0.0
    taken: float | None = None


@dataclass(frozen=True)
class Use:
    """What one place consumed from `began` to `ended` (seconds since 1970 by its own clock).

    `cores` is CPU time over time, `memory` the bytes in use at the end. `error` is the share by which the rounding of
    times may have made `cores` wrong. `steal` is the share of a node's time that its host gave to others.
    """

    cores: float
    memory: float
    began: float
    ended: float
    error: float = 0.0
    steal: float | None = None

    @property
    def seconds(self) -> float:
        """How long it was measured."""
        return self.ended - self.began


@dataclass(frozen=True)
class Gap:
    """Why there is no number: of one place, or, with None, of the whole source."""

    place: Place | None
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}" if self.place else self.why


Select = Callable[[Place], bool]


@dataclass(frozen=True)
class Consumption:
    """What was consumed between two moments, per container and per node, and what could not be told."""

    uses: Mapping[Place, Use]
    gaps: tuple[Gap, ...] = ()
    resolution: float = 0.0
    source: str = ""

    @property
    def containers(self) -> Mapping[Place, Use]:
        """The containers' part."""
        return {place: use for place, use in self.uses.items() if place.pod}

    @property
    def nodes(self) -> Mapping[str, Use]:
        """The nodes' part, by name."""
        return {place.node: use for place, use in self.uses.items() if not place.pod}

    def select(self, wanted: Select) -> Consumption:
        """Return the part of some places, with their gaps and those of the whole source."""
        uses = {place: use for place, use in self.uses.items() if wanted(place)}
        gaps = tuple(gap for gap in self.gaps if gap.place is None or wanted(gap.place))
        return replace(self, uses=uses, gaps=gaps)

    def proxies(self, container: str, pods: Collection[tuple[str, str]] | None = None) -> Consumption:
        """Return the part of the containers of that name, in all pods or in those given by (namespace, name)."""
        return self.select(lambda place: place.container == container and bool(place.pod)
                           and (pods is None or (place.namespace, place.pod) in pods))

    def pods(self, pods: Collection[tuple[str, str]]) -> Consumption:
        """Return the part of all containers of pods given by (namespace, name), as of a control plane."""
        return self.select(lambda place: (place.namespace, place.pod) in pods)

    def node(self, name: str) -> Consumption:
        """Return the part of a node as a whole."""
        return self.select(lambda place: not place.pod and place.node == name)

    @property
    def cores(self) -> float:
        """The sum over all places; select first, for a node's consumption has its containers' in it."""
        return sum(use.cores for use in self.uses.values())

    @property
    def cpu(self) -> float:
        """The CPU time of all places in seconds of one core, whenever in that time it was used; select first.

        Divided by requests it needs no time, whereas `cores` is less than under the load by what lay around it.
        """
        return sum(use.cores * use.seconds for use in self.uses.values())

    @property
    def memory(self) -> float:
        """The sum over all places in bytes; select first."""
        return sum(use.memory for use in self.uses.values())

    def invalid(self, where: str = "") -> tuple[Invalidity, ...]:
        """Return why the numbers must not be used: gaps, nothing at all, or times shorter than two refreshes.

        A rate over less than two refreshes of the source is mostly about which of them the readings happened to catch.
        """
        found = [Invalidity(GATE, str(gap), "two readings of the same process", where) for gap in self.gaps]
        if not self.uses and not found:
            found.append(Invalidity(GATE, "no container or node is what was asked for", "at least one", where))
        short = min((use.seconds for use in self.uses.values()), default=None)
        if short is not None and short < 2 * self.resolution:
            allowed = f"at least {2 * self.resolution:g} s, two readings of {self.source or 'its source'}"
            found.append(Invalidity(GATE, f"measured over {short:.3g} s", allowed, where))
        return tuple(found)


def between(before: Snapshot, after: Snapshot, source: str = "") -> Consumption:
    """Return what was consumed from one snapshot to a later one. `source` names where they are from, for messages."""
    resolution = max(before.resolution, after.resolution)
    rounding = before.rounding + after.rounding
    uses, gaps = {}, []
    for place in sorted({*before.readings, *after.readings}):
        found = use(before.readings.get(place), after.readings.get(place), rounding)
        if isinstance(found, Use):
            uses[place] = found
        else:
            gaps.append(Gap(place, found))
    gaps += _clock(before, after, uses.values(), 2 * resolution + rounding + 1.0)
    return Consumption(uses, tuple(gaps), resolution, source)


def use(before: Reading | None, after: Reading | None, rounding: float = 0.0) -> Use | str:
    """Return what one place consumed between two readings, or in words why that cannot be told."""
    if before is None or after is None:
        return f"it has {'come' if before is None else 'gone'} since the first reading"
    if after.started is not None and before.started is not None and after.started > before.started + _SAME_START:
        return "it was restarted between the readings"
    if before.cpu is None or after.cpu is None or after.memory is None:
        return f"its {'memory' if after.memory is None else 'CPU time'} was not told"
    seconds = after.at - before.at
    if seconds <= 0:
        return "its readings were not renewed" if seconds == 0 else "its second reading is older than its first"
    if after.cpu < before.cpu:
        return f"its CPU time went back from {before.cpu:.3f} s to {after.cpu:.3f} s: it was restarted"
    return Use((after.cpu - before.cpu) / seconds, after.memory, before.at, after.at, rounding / seconds,
               _steal(before, after))


def _steal(before: Reading, after: Reading) -> float | None:
    if before.steal is None or after.steal is None or before.capacity is None or after.capacity is None:
        return None
    there = after.capacity - before.capacity
    return max(0.0, after.steal - before.steal) / there if there > 0 else None


def _clock(before: Snapshot, after: Snapshot, uses: Iterable[Use], allowed: float) -> Iterable[Gap]:
    if before.taken is None or after.taken is None:
        return
    passed = after.taken - before.taken
    off = max((abs(use.seconds - passed) for use in uses), default=0.0)
    if off > allowed:
        yield Gap(None, f"the times of the readings are {off:.1f} s off from the {passed:.1f} s between them: "
                        "a clock was set, or the readings are not renewed")
