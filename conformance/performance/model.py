"""What a performance run found: figures with an interval and the rounds behind them, per probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from conformance.performance.histogram import Histogram

Unit = Literal["s", "1/s", "cores", "bytes", "share", "count"]
Better = Literal["lower", "higher", ""]

LOAD_PODS: Final = "load_pods"
"""The label of a run whose loads were sent by several pods each, with their number."""
UNITS: Final[tuple[Unit, ...]] = ("s", "1/s", "cores", "bytes", "share", "count")


@dataclass(frozen=True)
class Figure:
    """One measured quantity.

    `name` is dotted and lower-case, such as `latency.overhead`; together with `labels`, such as
    {"path": "both", "percentile": "p50"}, it is unique within a run. `low` and `high` bound the value with
    `confidence` (0 to 1); all three are None where there is no interval. `samples` are the values of the single rounds
    in order, which is what two runs are compared by. `better` says which direction is an improvement; "" neither.
    """

    name: str
    unit: Unit
    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    samples: tuple[float, ...] = ()
    better: Better = "lower"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name with its labels: `latency.overhead{path=both,percentile=p50}`."""
        labels = ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.name}{{{labels}}}" if labels else self.name


@dataclass(frozen=True)
class Invalidity:
    """Why something measured is no result: the gate, what it found and what it allows, and where."""

    gate: str
    found: str
    allowed: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.gate} {self.found}, allowed {self.allowed}"


@dataclass(frozen=True)
class Interval:
    """What was seen in one interval of a run, latencies in seconds by the intended time of sending."""

    completed: int
    errors: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class LoadSummary:
    """All that is kept of one load or of several merged ones: what pictures and other tools' formats are made of.

    `labels` tell which, such as {"path": "both", "round": "3"}. `service` counts from sending to the end of the
    answer, `response` from the intended time of sending; both of completed requests. `requested` is a rate per second,
    None for a closed loop. `interval` is the length in seconds of the entries of `timeline`.
    """

    labels: Mapping[str, str]
    requested: float | None
    achieved: float
    seconds: float
    connections: int
    service: Histogram
    response: Histogram
    errors: Mapping[str, int]
    statuses: Mapping[str, int] = field(default_factory=dict)
    agents: Mapping[str, int] = field(default_factory=dict)
    interval: float = 0.0
    timeline: tuple[Interval, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found. `figures` are only those that passed the validity gates; `invalid` says what did not.

    `started` is in seconds since 1970, `seconds` how long it took. `notes` are sentences for people.
    """

    probe: str
    title: str
    figures: tuple[Figure, ...]
    invalid: tuple[Invalidity, ...] = ()
    loads: tuple[LoadSummary, ...] = ()
    notes: tuple[str, ...] = ()
    started: float = 0.0
    seconds: float = 0.0

    @property
    def valid(self) -> bool:
        """Whether all that was measured is a result."""
        return not self.invalid


@dataclass(frozen=True)
class Node:
    """A machine of the cluster; memory in bytes."""

    name: str
    cores: int
    memory: int
    kernel: str = ""
    architecture: str = ""


@dataclass(frozen=True)
class Environment:
    """Where a run took place. Runs in different environments are not compared unless told to."""

    cluster: str
    kubernetes: str
    nodes: tuple[Node, ...]
    cpu_model: str = ""


@dataclass(frozen=True)
class RunHeader:
    """Which run this is. `started` is in seconds since 1970; `command` repeats it."""

    run: str
    started: float
    harness: str
    mesh: str
    mesh_title: str
    mesh_version: str
    environment: Environment
    seed: int = 0
    command: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A whole performance run."""

    header: RunHeader
    results: tuple[ProbeResult, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all probes."""
        return tuple(figure for result in self.results for figure in result.figures)
