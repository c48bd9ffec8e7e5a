"""One load from several pods: a start that they agree on, each its share, and what they saw as one result.

Nothing is made up for. A pod that cannot be asked, dies, measures in another way or has a clock of its own ends the
measurement; one that began late, or did less than its share, closes a gate (validity.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from conformance.agents import START_WITHIN, Agent, AgentError
from conformance.performance.command import Load, LoadError, LoadResult, parse
from conformance.performance.histogram import together as combined
from conformance.performance.model import Interval

CLOCKS: Final = 0.01
"""Seconds by which the clocks of pods may differ beyond what asking for the time takes."""
AHEAD: Final = 0.5
"""Seconds from telling the pods of a load to its start, besides the time that ten questions to the slowest take."""
ATTEMPTS: Final = 4
"""How often a start is agreed on until all pods can keep it, each time further ahead: nothing has been measured yet."""
MEASURING: Final = ("pacing", "arrival")
"""What engines say of how they measure, and have to have in common."""

Progress = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Clock:
    """How far a pod's clock is ahead of the harness's: from `low` to `high` seconds, as asking takes its time."""

    low: float
    high: float

    @property
    def asking(self) -> float:
        """How long it took to ask, in seconds."""
        return self.high - self.low


@dataclass(frozen=True)
class Crew:
    """The pods that send the loads of one client, by their index."""

    client: str
    agents: tuple[Agent, ...]
    pods: tuple[tuple[str, str], ...] = ()
    """Namespace and name of each."""

    def send(self, load: Load, progress: Progress, begun: threading.Event | None = None) -> LoadResult:
        """Let each pod send its share at the same time; `begun` is set when they begin.

        Raises LoadError, naming the pod at fault.
        """
        with ThreadPoolExecutor(len(self.agents)) as pool:
            for attempt in range(ATTEMPTS):
                clocks = list(pool.map(self._clock, range(len(self.agents))))
                ahead = AHEAD * 2 ** (attempt if begun is None else 2) + 10 * max(clock.asking for clock in clocks)
                ahead = min(ahead, START_WITHIN / 2)
                start = time.time() + agreement(clocks) + ahead
                found = self._try(pool, replace(load, start=start), progress, ahead, begun)
                if not isinstance(found, _Missed):
                    return found
                if begun is not None:
                    break  # who waited for the beginning has taken this one for it
        raise LoadError(f"the load pods could not be told of a load in time: {found}. The API server or the nodes are "
                        "too busy for a common start; use fewer load pods, or wait until there is less to do")

    def _try(
        self, pool: ThreadPoolExecutor, load: Load, progress: Progress, ahead: float, begun: threading.Event | None,
    ) -> LoadResult | _Missed:
        shares = [load.share(number, len(self.agents)) for number in range(len(self.agents))]
        told = _Told(progress)
        running = [pool.submit(self._send, number, share, told) for number, share in enumerate(shares)]
        try:
            if begun is not None:
                told.ended.wait(ahead)  # when one has failed there is nothing to begin
                begun.set()
            failed = [error for one in running if (error := one.exception()) is not None]
        finally:
            told.ended.set()  # also when this is interrupted
        for error in failed:
            if not isinstance(error, (_Ended, _Missed)):
                raise error
        missed = [error for error in failed if isinstance(error, _Missed)]
        return missed[0] if missed else as_one(shares, [one.result() for one in running])

    def _clock(self, number: int) -> Clock:
        before = time.time()
        try:
            now = self.agents[number].clock()
        except AgentError as error:
            raise LoadError(f"{self._name(number)} does not say what time it is: {error}") from error
        return Clock(now - time.time(), now - before)

    def _send(self, number: int, share: Load, told: _Told) -> LoadResult:
        try:
            said = self.agents[number].load(share.command(), lambda said: told.of(number, said))
            result = None if "missed" in said else parse(said)
        except (AgentError, LoadError) as error:
            # This ends the others: without it they are less than what was asked for.
            told.ended.set()
            raise LoadError(f"{self._name(number)} did not carry out its share of the load: {error}") from error
        except BaseException:
            told.ended.set()
            raise
        if result is None:
            told.ended.set()
            raise _Missed(f"{self._name(number)} missed the start by {said['missed']!r:.10} s")
        return result

    def _name(self, number: int) -> str:
        return f"load pod {number + 1} of {len(self.agents)} ({self.agents[number].name})"


class _Ended(Exception):  # noqa: N818 - named for what happened
    """A load was ended because another pod failed."""


class _Missed(Exception):  # noqa: N818 - as above
    """A load was not begun because its start had passed."""


class _Told:
    """The progress of all pods as one; the first speaks for all."""

    def __init__(self, progress: Progress) -> None:
        self.ended = threading.Event()
        self._progress = progress
        self._last: dict[int, Mapping[str, Any]] = {}

    def of(self, number: int, said: Mapping[str, Any]) -> None:
        """Take what one pod says of its load. Raises _Ended when another one's has failed."""
        if self.ended.is_set():
            raise _Ended("another load pod failed")
        self._last[number] = said
        if number == 0:
            last = tuple(self._last.values())
            sums = {name: sum(one.get(name, 0) for one in last) for name in ("rate", "errors")}
            self._progress({**said, **sums, "left": max(one.get("left", 0) for one in last)})


def agreement(clocks: Sequence[Clock]) -> float:
    """Return how far the pods' clocks, all of them, are ahead of the harness's. Raises LoadError when they differ."""
    low, high = max(clock.low for clock in clocks), min(clock.high for clock in clocks)
    if low - high > CLOCKS:
        first = min(range(len(clocks)), key=lambda number: clocks[number].high)
        last = max(range(len(clocks)), key=lambda number: clocks[number].low)
        raise LoadError(f"the clocks of load pods {first + 1} and {last + 1} differ by {low - high:.3f} s or more, "
                        f"allowed {CLOCKS:g} s: they cannot start together. Keep the nodes' clocks in step (NTP), or "
                        "use fewer load pods")
    return (low + high) / 2


def as_one(loads: Sequence[Load], results: Sequence[LoadResult]) -> LoadResult:
    """Return what several pods saw at the same time as one result, which keeps each of them.

    Counts and histograms add up without loss. Of the node the busiest is told. In the timeline the percentiles are the
    pods' mean by their answers, since only of the whole load there are histograms. Raises LoadError for a pod without
    a result, and when settings or ways of measuring differ.
    """
    if not loads or len(loads) != len(results):
        raise LoadError(f"{len(results)} of {len(loads)} load pods have a result")
    _same([_settings(load) for load in loads])
    _same([{**{name: result.engine.get(name) for name in MEASURING}, "interval": result.interval}
           for result in results])
    workers = tuple(
        result if load.start is None else replace(result, late=max(0.0, result.started - load.start - load.warmup))
        for load, result in zip(loads, results, strict=True))
    busy = [worker.busy for worker in workers if worker.busy is not None]
    steal = [worker.steal for worker in workers if worker.steal is not None]
    return replace(
        workers[0], started=min(worker.started for worker in workers),
        elapsed=max(worker.elapsed for worker in workers), wall_elapsed=max(worker.wall_elapsed for worker in workers),
        scheduled=sum(worker.scheduled for worker in workers), sent=sum(worker.sent for worker in workers),
        completed=sum(worker.completed for worker in workers), unsent=sum(worker.unsent for worker in workers),
        errors=added([worker.errors for worker in workers]), statuses=added([worker.statuses for worker in workers]),
        agents=added([worker.agents for worker in workers]),
        service=combined([worker.service for worker in workers]),
        response=combined([worker.response for worker in workers]),
        lag=combined([worker.lag for worker in workers]), connect=combined([worker.connect for worker in workers]),
        timeline=_timeline([worker.timeline for worker in workers]), cpu=sum(worker.cpu for worker in workers),
        busy=max(busy, default=None), steal=max(steal, default=None), workers=workers,
        late=max(worker.late for worker in workers),
    )


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts by name."""
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return total


def _settings(load: Load) -> dict[str, Any]:
    """Return what the shares of one load have in common: all but when and by which draw they send."""
    return {name: value for name, value in vars(load).items() if name not in ("seed", "start")}


def _same(described: Sequence[Mapping[str, Any]]) -> None:
    first = described[0]
    for number, one in enumerate(described[1:], 2):
        for name, value in one.items():
            if value != first[name]:
                raise LoadError(f"load pods 1 and {number} differ in {name}: {first[name]!r:.80} and {value!r:.80}; "
                                "what they saw cannot be added up")


def _timeline(timelines: Sequence[Sequence[Interval]]) -> tuple[Interval, ...]:
    return tuple(_interval([one for one in same if one is not None]) for same in zip_longest(*timelines))


def _interval(same: Sequence[Interval]) -> Interval:
    answers = sum(one.completed for one in same)

    def mean(percentile: Callable[[Interval], float]) -> float:
        return sum(percentile(one) * one.completed for one in same) / answers if answers else 0.0

    return Interval(answers, sum(one.errors for one in same), mean(lambda one: one.p50), mean(lambda one: one.p99),
                    max(one.max for one in same))
