"""One load: what is asked of a pod's load engine, and what it says it saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from conformance.performance.histogram import NANO, Histogram
from conformance.performance.load.schedule import SECOND, Schedule
from conformance.performance.model import Interval, LoadSummary

Shape = Literal["uniform", "poisson", "burst"]


class LoadError(Exception):
    """A load engine said something that cannot be: an error of the harness, never a figure."""


@dataclass(frozen=True)
class Load:
    """Requests that one pod sends.

    `rate` is per second, on a schedule that does not wait for answers (open loop); None sends the next request of a
    connection when the last one is answered (closed loop). `seconds` are measured, after `warmup` seconds that are not.
    `shape` says how the intended times of an open loop lie; `burst` is how many of them coincide in that shape.
    Without `keep_alive` each request has a connection of its own, whose making is part of the time. Answers must have
    one of `status`, `answer_bytes` of body (None: any) and come from one of the pods `agents` (empty: any). `start`, in
    seconds since 1970 by the pod's clock, is when the warm-up begins (None: at once).
    """

    url: str
    rate: float | None
    seconds: float
    warmup: float = 0.5
    connections: int = 16
    shape: Shape = "uniform"
    burst: int = 16
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body_bytes: int = 0
    body: str = ""
    keep_alive: bool = True
    timeout: float = 5.0
    status: tuple[int, ...] = (200,)
    answer_bytes: int | None = None
    agents: tuple[str, ...] = ()
    pacing: Literal["sleep", "spin"] = "sleep"
    interval: float = 0.5
    seed: int = 1
    start: float | None = None

    @property
    def requests(self) -> float | None:
        """How many requests are due in the measured seconds (of Poisson arrivals the mean); None in a closed loop."""
        if self.rate is None:
            return None
        if self.shape == "poisson":
            return self.rate * self.seconds
        schedule = Schedule(self.shape, self.rate, self.burst)
        before = round(self.warmup * SECOND)
        return float(schedule.count(before + round(self.seconds * SECOND)) - schedule.count(before))

    def share(self, number: int, of: int) -> Load:
        """Return what one of several pods (from 0) sends of this load, so that all of them together send it.

        Schedules are interleaved: where one pod sends every millisecond, three send every three milliseconds, each a
        millisecond after the one before. Poisson arrivals are drawn anew for each: their sum is Poisson's again.
        """
        connections = math.ceil(self.connections / of)
        if self.rate is None:
            return replace(self, connections=connections)
        step = {"uniform": 1, "burst": self.burst, "poisson": 0}[self.shape] / self.rate
        start = None if self.start is None else self.start + number * step
        return replace(self, rate=self.rate / of, connections=connections, seed=self.seed * of + number, start=start)

    def command(self) -> dict[str, Any]:
        """Return the engine's command."""
        target: dict[str, Any] = {"url": self.url, "method": self.method, "headers": [list(h) for h in self.headers]}
        target |= {"body": self.body} if self.body else {"body_bytes": self.body_bytes}
        command: dict[str, Any] = {
            "target": target, "mode": "closed" if self.rate is None else "open", "connections": self.connections,
            "keep_alive": self.keep_alive, "warmup": self.warmup, "duration": self.seconds, "timeout": self.timeout,
            "expect": {"status": list(self.status), "body_bytes": self.answer_bytes, "agents": list(self.agents)},
            "pacing": self.pacing, "interval": self.interval,
        }
        if self.rate is not None:
            command["schedule"] = {"shape": self.shape, "rate": self.rate, "burst": self.burst, "seed": self.seed}
        if self.start is not None:
            command["start"] = self.start
        return command


@dataclass(frozen=True)
class LoadResult:
    """What a load engine saw; times in seconds, histograms in nanoseconds.

    `scheduled` requests were to be sent while it measured, `sent` were, `completed` were answered as expected, `unsent`
    never got a connection. `errors` counts the others by kind. `service` is the time from sending to the end of the
    answer, `response` from the intended time, `lag` how late the engine itself was, `connect` how long connections took
    to make. `cpu` are seconds of the engine's process; `busy` and `steal` shares of the node's CPU time (None where
    the node does not say).

    Of a load that several pods sent together `workers` has what each of them saw. `late` is by how many seconds it
    began to measure after what had been agreed, the latest of them.
    """

    started: float
    elapsed: float
    wall_elapsed: float
    scheduled: int
    sent: int
    completed: int
    unsent: int
    errors: Mapping[str, int]
    statuses: Mapping[str, int]
    agents: Mapping[str, int]
    service: Histogram
    response: Histogram
    lag: Histogram
    connect: Histogram
    interval: float
    timeline: tuple[Interval, ...]
    cpu: float
    busy: float | None
    steal: float | None
    engine: Mapping[str, Any] = field(default_factory=dict)
    workers: tuple[LoadResult, ...] = ()
    late: float = 0.0

    @property
    def failed(self) -> int:
        """How many requests failed, or were answered in another way than expected."""
        return sum(self.errors.values())

    @property
    def achieved(self) -> float:
        """Requests answered as expected, per second."""
        return self.completed / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def cores(self) -> float:
        """CPU time of the engine's process over time: the share of a core that it, or the busiest of several, used."""
        return max((worker.cores for worker in self.workers), default=self.cpu / self.elapsed)

    def summary(self, load: Load, labels: Mapping[str, str]) -> LoadSummary:
        """Return what the record keeps of it."""
        pods = max(1, len(self.workers))
        return LoadSummary(
            labels=dict(labels), requested=load.rate, achieved=self.achieved, seconds=self.elapsed,
            connections=load.share(0, pods).connections * pods, service=self.service, response=self.response,
            errors=dict(self.errors), statuses=dict(self.statuses), agents=dict(self.agents),
            interval=self.interval, timeline=self.timeline, url=load.url,
        )


def parse(said: Mapping[str, Any]) -> LoadResult:
    """Check and read an engine's result. Raises LoadError naming the field."""
    wrong = best_match(_RESULT.iter_errors(said))
    if wrong is not None:
        raise LoadError(f"the load engine's result is wrong at {wrong.json_path}: {wrong.message[:200]}")
    histograms = {}
    for name in ("service", "response", "lag", "connect"):
        try:
            histograms[name] = Histogram.from_json(said[name])
        except ValueError as error:
            raise LoadError(f"the load engine's result is wrong at $.{name}: {error}") from None
    if histograms["service"].count != said["completed"] or histograms["response"].count != said["completed"]:
        raise LoadError(f"the load engine completed {said['completed']} requests and timed "
                        f"{histograms['service'].count}")
    node = said["node"] or {}
    return LoadResult(
        started=float(said["started"]), elapsed=float(said["elapsed"]), wall_elapsed=float(said["wall_elapsed"]),
        scheduled=said["scheduled"], sent=said["sent"], completed=said["completed"], unsent=said["unsent"],
        errors=dict(said["errors"]), statuses=dict(said["statuses"]), agents=dict(said["agents"]),
        service=histograms["service"], response=histograms["response"], lag=histograms["lag"],
        connect=histograms["connect"],
        interval=float(said["timeline"]["interval"]),
        timeline=tuple(Interval(row[0], row[1], *(value * NANO for value in row[2:]))
                       for row in said["timeline"]["rows"]),
        cpu=float(said["cpu"]["user"]) + float(said["cpu"]["system"]), busy=node.get("busy"), steal=node.get("steal"),
        engine=dict(said["engine"]),
    )


_COUNT: Final = {"type": "integer", "minimum": 0}
_TIME: Final = {"type": "number", "minimum": 0}
_COUNTS: Final = {"type": "object", "additionalProperties": _COUNT, "maxProperties": 1000}
_SHARE: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_ROW: Final = {"type": "array", "minItems": 5, "maxItems": 5, "items": _COUNT}
_FIELDS: Final[dict[str, Any]] = {
    "started": _TIME, "elapsed": {"type": "number", "exclusiveMinimum": 0}, "wall_elapsed": {"type": "number"},
    "scheduled": _COUNT, "sent": _COUNT, "completed": _COUNT, "unsent": _COUNT,
    "errors": _COUNTS, "statuses": _COUNTS, "agents": _COUNTS,
    "service": {"type": "object"}, "response": {"type": "object"}, "lag": {"type": "object"},
    "connect": {"type": "object"},
    "timeline": {"type": "object", "required": ["interval", "rows"],
                 "properties": {"interval": _TIME, "rows": {"type": "array", "maxItems": 10_000, "items": _ROW}}},
    "cpu": {"type": "object", "required": ["user", "system"], "properties": {"user": _TIME, "system": _TIME}},
    "node": {"type": ["object", "null"], "properties": {"busy": _SHARE, "steal": _SHARE}},
    "engine": {"type": "object"},
}
_RESULT: Final = Draft202012Validator({"type": "object", "required": list(_FIELDS), "properties": _FIELDS})
