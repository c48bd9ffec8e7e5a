"""Runs loads on the paths of a topology, once or in interleaved rounds, and gives what they have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Final, Protocol, TypeVar

from conformance.performance import paired, paths
from conformance.performance.command import Load, LoadResult, parse
from conformance.performance.findings import Findings
from conformance.performance.histogram import NANO, together
from conformance.performance.model import Interval, Invalidity
from conformance.performance.paths import Path
from conformance.performance.together import Crew, added
from conformance.performance.validity import Limits, gates
from conformance.topology import Topology

PERCENTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
WARM_UP: Final = 0.2
"""Seconds at the beginning of a load that are not measured: connections are made, pools and caches fill."""

TELL_EVERY: Final = 10.0
"""Seconds between two lines on the progress of rounds."""

Tell = Callable[[str], None]
"""Shows people one line about what is being done."""


class Counted(Protocol):
    """Something that was done under load, which knows how many requests failed."""

    @property
    def failed(self) -> int:
        """How many requests failed."""


Taken = TypeVar("Taken", bound=Counted)


@dataclass(frozen=True)
class Effort:
    """How much is measured: interleaved rounds, seconds of each load in a round, requests a second, and the seed."""

    rounds: int = 20
    seconds: float = 1.0
    rate: float = 1000.0
    seed: int = 1


@dataclass(frozen=True)
class Measured:
    """One load on one path, and what it saw."""

    path: Path
    load: Load
    result: LoadResult

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return self.result.failed

    def percentile(self, share: float) -> float:
        """Return a percentile (0 to 1) of the response time in seconds; nan when nothing was answered."""
        return self.result.response.percentile(share) * NANO if self.result.completed else math.nan


@dataclass
class Series:
    """The rounds of a measurement: per path one load in each, in the same order."""

    rounds: dict[str, list[Measured]] = field(default_factory=dict)
    invalid: dict[str, tuple[Invalidity, ...]] = field(default_factory=dict)

    @property
    def valid(self) -> tuple[str, ...]:
        """The paths whose loads passed the gates."""
        return tuple(name for name in self.rounds if not self.invalid.get(name))

    def per_round(self, path: str, quantity: Callable[[Measured], float]) -> list[float]:
        """Return a quantity of each round."""
        return [quantity(measured) for measured in self.rounds[path]]

    def percentiles(self, path: str, share: float) -> list[float]:
        """Return a percentile (0 to 1) of the response time of each round, in seconds."""
        return self.per_round(path, lambda measured: measured.percentile(share))


@dataclass(frozen=True)
class Bench:
    """Runs loads from the pods of a topology."""

    topology: Topology
    effort: Effort
    findings: Findings
    tell: Tell
    crews: Mapping[str, Crew] = field(default_factory=dict)
    """By client, where its loads are sent by several pods instead of the client's own."""

    def way(self, name: str) -> Path:
        """Return one of the ways through the topology."""
        return paths.path(self.topology, name)

    def ways(self, *names: str) -> tuple[Path, ...]:
        """Return the ways of these names that the mesh has, all of them without names."""
        there = paths.available(self.topology)
        for name in names:
            if name not in there:
                self.findings.note(f"{self.topology.mesh.title} has no path {name}: mesh.yaml names no way to it.")
        return tuple(self.way(name) for name in there if not names or name in names)

    def run(
        self, path: Path, target: str = "/", *, port: int = paths.LOAD_PORT, what: str = "",
        begun: Event | None = None, **parts: Any,
    ) -> Measured:
        """Send one load along a path; `begun` is set when it begins. Raises AgentError and LoadError."""
        given = {"rate": self.effort.rate, "seconds": self.effort.seconds, "warmup": WARM_UP} | parts
        load = Load(path.url(target, port), **given)
        return Measured(path, load, self._send(path.client, load, what or path.name, begun))

    def rounds(
        self, ways: Sequence[Path], target: str = "/", *, limits: Limits | None = None,
        rounds: int = 0, labels: Mapping[str, str] | None = None, **parts: Any,
    ) -> Series:
        """Send the same load along several paths in interleaved rounds, and judge whether each path's is valid.

        The gates look at all rounds of a path together: one round in which the machine was disturbed moves no median.
        `labels` are added to what is kept of the loads.
        """
        series = Series(self.interleaved(
            ways, rounds or self.effort.rounds,
            lambda way, what, seed: self.run(way, target, what=what, **parts, seed=seed)))
        for name, measured in series.rounds.items():
            where = ", ".join([name, *(labels or {}).values()])
            whole, series.invalid[name] = judged(measured, limits, where)
            self.findings.invalid(series.invalid[name])
            self.findings.load(whole.summary(measured[0].load, {"path": name, **(labels or {})}))
        return series

    def interleaved(
        self, ways: Sequence[Path], rounds: int, once: Callable[[Path, str, int], Taken],
    ) -> dict[str, list[Taken]]:
        """Do something once a round on each of several paths, in an order drawn anew each time; return it by path.

        `once` gets the path, what to say of it to people, and the round's seed.
        """
        by_name = {way.name: way for way in ways}
        taken: dict[str, list[Taken]] = {name: [] for name in by_name}
        begun = told = time.monotonic()
        for number, order in enumerate(paired.orders(list(by_name), rounds, self.effort.seed), 1):
            if number > 1 and time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                left = (told - begun) / (number - 1) * (rounds - number + 1)
                errors = sum(one.failed for several in taken.values() for one in several)
                self.tell(f"  {self.findings.probe.name}: round {number} of {rounds}, {left:.0f} s left, "
                          f"{errors} errors")
            for name in order:
                what = f"round {number} of {rounds}, {name}"
                taken[name].append(once(by_name[name], what, self.effort.seed + number))
        return taken

    def pods(self, workload: str) -> frozenset[tuple[str, str]]:
        """Return namespace and name of the pods that take a workload's part in loads."""
        if workload in self.crews:
            return frozenset(self.crews[workload].pods)
        pod = self.topology.pod(workload)
        return frozenset([(pod.namespace, pod.name)])

    def _send(self, client: str, load: Load, what: str, begun: Event | None) -> LoadResult:
        def progress(said: Mapping[str, Any]) -> None:
            self.tell(f"  {self.findings.probe.name}, {what}: {said.get('phase')}, {said.get('left', 0):.0f} s left, "
                      f"{said.get('rate', 0):.0f}/s, {said.get('errors', 0)} errors")

        if client in self.crews:
            return self.crews[client].send(load, progress, begun)
        if begun is not None:
            begun.set()
        return parse(self.topology.agent(client).load(load.command(), progress))


def judged(
    loads: Sequence[Measured], limits: Limits | None = None, where: str = "",
) -> tuple[LoadResult, tuple[Invalidity, ...]]:
    """Return the loads of all rounds as one, and why their figures must not be used."""
    whole = merged([one.result for one in loads])
    return whole, gates(loads[0].load, whole, limits, where, loads=len(loads))


def merged(results: Sequence[LoadResult]) -> LoadResult:
    """Return several loads, one after the other, as one: counts and histograms added, shares of time weighted by it."""
    timeline: list[Interval] = []
    for result in results:
        timeline += result.timeline
    elapsed = sum(result.elapsed for result in results)
    return replace(
        results[0], timeline=tuple(timeline), elapsed=elapsed,
        service=together([result.service for result in results]),
        response=together([result.response for result in results]),
        lag=together([result.lag for result in results]), connect=together([result.connect for result in results]),
        wall_elapsed=sum(result.wall_elapsed for result in results),
        scheduled=sum(result.scheduled for result in results), sent=sum(result.sent for result in results),
        completed=sum(result.completed for result in results), unsent=sum(result.unsent for result in results),
        errors=added([result.errors for result in results]), statuses=added([result.statuses for result in results]),
        agents=added([result.agents for result in results]), cpu=sum(result.cpu for result in results),
        busy=_weighted(results, lambda result: result.busy), steal=_weighted(results, lambda result: result.steal),
        workers=tuple(merged(same) for same in zip(*(result.workers for result in results), strict=True)),
        late=max(result.late for result in results),
    )


def _weighted(results: Sequence[LoadResult], share: Callable[[LoadResult], float | None]) -> float | None:
    known = [(value, result.elapsed) for result in results if (value := share(result)) is not None]
    return sum(value * elapsed for value, elapsed in known) / sum(elapsed for _, elapsed in known) if known else None
