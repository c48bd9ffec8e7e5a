"""SMI TrafficMetrics as the suite reads them: whatever a mesh answers is untrusted until it has been looked at here.

Reading is tolerant where a requirement of its own judges a detail, so that one fault of a mesh fails one check: a
latency in `ms` is read as such, although METRIC-005 asks for seconds.

Source: the Service Mesh Interface specification v0.6.0, `apis/traffic-metrics/v1alpha1/traffic-metrics.md`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from conformance import smi
from conformance.cluster import Object
from conformance.outcome import Nonconformance

API_VERSION: Final = f"{smi.METRICS}/v1alpha1"
KINDS: Final[Mapping[str, bool]] = {"namespaces": False, **dict.fromkeys((
    "nodes", "pods", "replicationcontrollers", "services", "daemonsets", "deployments", "replicasets", "statefulsets",
    "jobs", "trafficsplits",
), True)}
"""Each resource that there have to be metrics of, and whether it is namespaced, as the specification lists them."""
UNCLEAR: Final = frozenset({"nodes"})
"""The text lists it among the namespaced ones, which nodes are not on any cluster: either is right."""
PERCENTILES: Final = ("p99_response_latency", "p90_response_latency", "p50_response_latency")
COUNTS: Final = ("success_count", "failure_count")
DIRECTIONS: Final = (("to", "client"), ("from", "server"))
"""The pairs of direction and side that an edge can have."""

_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))([num]|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)
_SCALES: Final = {"": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
                  **{unit: Fraction(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
                  **{f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", 1)}}
_UNITS: Final = {"ms": Fraction(1, 1000), "us": Fraction(1, 10**6)}
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """An ObjectReference; every part may be empty."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    api_version: str = ""

    def __str__(self) -> str:
        return f"{self.kind or 'any'} {self.namespace + '/' if self.namespace else ''}{self.name or '*'}"


@dataclass(frozen=True)
class Backend:
    """The backend of a TrafficSplit that an item is about; `weight` is the number that was written, `3` for 3.0 too."""

    apex: str
    name: str
    weight: str


@dataclass(frozen=True)
class Value:
    """One entry of `metrics`."""

    name: str
    unit: str
    text: str

    @property
    def number(self) -> Fraction:
        """The value, a Kubernetes quantity. Raises ValueError."""
        return quantity(self.text)


@dataclass(frozen=True)
class TrafficMetrics:
    """One TrafficMetrics object, or one item of a list."""

    resource: Reference
    direction: str
    side: str
    peer: Reference
    values: Mapping[str, Value]
    backend: Backend | None
    raw: Object

    @property
    def counts(self) -> tuple[int, int]:
        """Successful and failed requests. Raises Nonconformance when they cannot be read."""
        found = []
        for name in COUNTS:
            if name not in self.values:
                raise Nonconformance(f"a {name} among the metrics of {self.resource}", self.shown())
            try:
                found.append(round(self.values[name].number))
            except ValueError as error:
                raise Nonconformance(f"a number of requests as {name} of {self.resource}", str(error)) from None
        return found[0], found[1]

    @property
    def total(self) -> int:
        """Requests, successful or not."""
        return sum(self.counts)

    def latency(self, name: str) -> float | None:
        """Return a latency percentile in seconds; None when it is not there or cannot be read."""
        value = self.values.get(name)
        try:
            return float(value.number * _UNITS.get(value.unit, Fraction(1))) if value else None
        except ValueError:
            return None

    def shown(self) -> str:
        """Say what it is about and what it reports."""
        values = ", ".join(f"{value.name} {value.text}{' ' + value.unit if value.unit else ''}"
                           for value in self.values.values())
        return f"{self.direction or '?'} {self.peer} at the {self.side or '?'}: {values or 'nothing'}"


@dataclass(frozen=True)
class TrafficMetricsList:
    """A TrafficMetricsList; `selector` is None when there is none."""

    resource: Mapping[str, Any]
    selector: Mapping[str, Any] | None
    items: tuple[TrafficMetrics, ...]

    def of(self, name: str) -> list[TrafficMetrics]:
        """Return the items about the resource of that name."""
        return [item for item in self.items if item.resource.name == name]

    def with_peer(self, name: str) -> list[TrafficMetrics]:
        """Return the items about traffic with the resource of that name."""
        return [item for item in self.items if item.peer.name == name]


def read(obj: Any) -> TrafficMetrics:
    """Read a TrafficMetrics object. Raises Nonconformance when it cannot be one."""
    if not isinstance(obj, Mapping) or not isinstance(obj.get("metrics"), Sequence):
        raise Nonconformance("a TrafficMetrics object with a list of metrics", shorten(obj))
    edge = _mapping(obj.get("edge"))
    values = [
        Value(str(entry.get("name", "")), str(entry.get("unit") or ""), str(entry.get("value", "")))
        for entry in map(_mapping, obj["metrics"])
    ]
    backend = _mapping(obj.get("backend"))
    return TrafficMetrics(
        _reference(obj.get("resource")), str(edge.get("direction", "")), str(edge.get("side", "")),
        _reference(edge.get("resource")), {value.name: value for value in values},
        Backend(str(backend.get("apex", "")), str(backend.get("name", "")), _weight(backend.get("weight")))
        if backend else None, dict(obj),
    )


def read_list(obj: Object) -> TrafficMetricsList:
    """Read a TrafficMetricsList. Raises Nonconformance when it cannot be one."""
    items = obj.get("items")
    if obj.get("kind") != "TrafficMetricsList" or not isinstance(items, list | None):
        raise Nonconformance("a TrafficMetricsList", shorten(obj))
    selector = obj.get("selector")
    return TrafficMetricsList(_mapping(obj.get("resource")), _mapping(selector) if selector else None,
                              tuple(map(read, items or ())))


def busiest(items: Iterable[TrafficMetrics]) -> TrafficMetrics | None:
    """Return the item with the most requests, one whose counts cannot be read before any other; None without any."""

    def requests(item: TrafficMetrics) -> float:
        try:
            return item.total
        except Nonconformance:
            return math.inf

    return max(items, key=requests, default=None)


def check_object(item: TrafficMetrics, *, now: dt.datetime) -> None:
    """Hold that an object has everything that a TrafficMetrics object has. Raises Nonconformance (METRIC-004)."""
    raw = item.raw
    edge = raw.get("edge")
    wrong = [
        "kind is not TrafficMetrics" if raw.get("kind") != "TrafficMetrics" else "",
        "resource has no kind or no name" if not (item.resource.kind and item.resource.name) else "",
        "edge has no direction, side or resource"
        if not isinstance(edge, Mapping) or not {"direction", "side", "resource"} <= set(edge) else "",
        "timestamp is not a time of now" if not _is_recent(raw.get("timestamp"), now) else "",
        "window is not a duration" if window(raw) is None else "",
        "an entry of metrics has no name or no value"
        if not raw["metrics"] or not all({"name", "value"} <= set(_mapping(entry)) for entry in raw["metrics"]) else "",
    ]
    if any(wrong):
        raise Nonconformance("a TrafficMetrics object with resource, edge, timestamp, window and metrics",
                             shorten(raw), "; ".join(filter(None, wrong)))


def check_values(item: TrafficMetrics) -> None:
    """Hold that an object has the values by their names and units. Raises Nonconformance (METRIC-005)."""
    wrong = [f"no {name}" for name in (*PERCENTILES, *COUNTS) if name not in item.values]
    for value in item.values.values():
        if value.name in PERCENTILES and value.unit != "seconds":
            wrong.append(f"the unit of {value.name} is {value.unit or 'missing'}, not seconds")
        if value.name in COUNTS and value.unit:
            wrong.append(f"{value.name} has the unit {value.unit}")
        try:
            if value.name in COUNTS and value.number.denominator != 1:
                wrong.append(f"{value.name} is {value.text}, no whole number")
        except ValueError as error:
            wrong.append(f"{value.name}: {error}")
    if wrong:
        raise Nonconformance("latency percentiles in seconds, a success_count and a failure_count", item.shown(),
                             "; ".join(wrong))


def window(raw: Object) -> float | None:
    """Return the seconds that metrics are about; None when the object does not say."""
    found = _DURATION.fullmatch(str(raw.get("window") or "?"))
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return (hours * 3600 + minutes * 60 + seconds) or None


def quantity(text: str) -> Fraction:
    """Return a Kubernetes quantity: `10m` is a hundredth. Raises ValueError."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a quantity")
    suffix = found[2] or ""
    scale = _SCALES[suffix] if suffix in _SCALES else Fraction(10) ** int(suffix[1:])
    return Fraction(found[1]) * scale


def shorten(obj: Any) -> str:
    """Show an answer in one line that is not too long."""
    text = repr(obj)
    return text if len(text) <= 600 else f"{text[:597]}..."


def _weight(value: Any) -> str:
    try:
        return str(quantity(str(value)))
    except ValueError:
        return str(value)


def _reference(value: Any) -> Reference:
    parts = _mapping(value)
    return Reference(*(str(parts.get(part) or "") for part in ("kind", "name", "namespace", "apiVersion")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_recent(text: Any, now: dt.datetime) -> bool:
    try:
        found = dt.datetime.fromisoformat(str(text))
        return abs((now - found).total_seconds()) < 600  # clocks differ; a zero time or one of another day is wrong
    except (ValueError, TypeError):
        return False
