"""What can be wrong with SMP's results and descriptions although each value has the right type."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.performance.smp import document, kinds
from conformance.performance.smp.document import Item
from conformance.performance.smp.shape import Finding, member

LINKS: Final[Mapping[str, str]] = {
    "test_id": kinds.CONFIG, "mesh_config_id": kinds.MESH, "env_id": kinds.ENVIRONMENT,
}
"""The fields of a result that hold the id of another document, and of which message."""
COUNT_LABELS: Final = ("requests", "completed")
"""Labels that state how many requests were answered."""

_SHORTEST: Final = 0.025
"""Milliseconds. A median below it is none: on loopback, without a mesh, clients see 0.04 to 0.07, 0.03 on the wire."""
_RISING: Final = ("min", "p50", "p90", "p99", "max")

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Requested:
    """What a result's configuration asked for, as far as known. `rps` 0 is as many as possible."""

    rps: float | None = None
    connections: int | None = None
    seconds: float | None = None


def result(item: Item, values: Values, asked: Requested, *, by_meshery: bool) -> Iterator[Finding]:
    """Give what is wrong with a PerformanceTestResult. `by_meshery`: it has what Meshery's ConvertToSpec leaves."""
    labels = values.get("labels", {})
    asked = Requested(
        _number(labels.get("requested_rps")) if asked.rps is None else asked.rps,
        int(_number(labels.get("connections")) or 0) if asked.connections is None else asked.connections,
        asked.seconds,
    )
    rate = values.get("actual_qps", 0.0)
    if rate <= 0:
        yield Finding("no-rate", member(item, "actual_qps").place, "there is no actual_qps above 0")
    yield from latencies(member(item, "latencies_ms"), values.get("latencies_ms", {}), rate, asked,
                         "it was written by Meshery, which copies fortio's seconds" if by_meshery else "")
    if asked.rps and rate > asked.rps * 1.01:
        yield Finding("rate-above-requested", member(item, "actual_qps").place,
                      f"actual_qps {rate:g} is above the {asked.rps:g} that were asked for",
                      "A generator that catches up measures its own bursts.")
    yield from _times(item, values, rate, asked)
    for name in LINKS:
        if not values.get(name):
            yield Finding("missing-link", item.place, f"there is no {name}", f"Give the id of the {LINKS[name]}.",
                          "warning")


def latencies(item: Item, values: Values, rate: float, asked: Requested, reason: str = "") -> Iterator[Finding]:
    """Give what is wrong with latencies in milliseconds. `reason`: why they are known to be seconds, if they are."""
    if not any(values.values()):
        yield Finding("no-latencies", item.place, "there are no latencies")
        return
    for name, value in values.items():
        if value < 0:
            yield Finding("negative-latency", member(item, name).place, f"{name} is {value:g} ms")
    stated = [(name, values[name]) for name in _RISING if name in values]
    for (lower, less), (upper, more) in itertools.pairwise(stated):
        if less > more:
            yield Finding("percentiles-not-monotonic", member(item, upper).place,
                          f"{upper} {more:g} is below {lower} {less:g}")
    average = values.get("average")
    if average is not None and not values.get("min", average) <= average <= values.get("max", average):
        yield Finding("average-out-of-range", member(item, "average").place,
                      f"the average {average:g} is not between min and max")
    if why := _seconds(values, rate, asked, reason):
        yield Finding("seconds-as-milliseconds", item.place, f"these are seconds, not milliseconds: {why}",
                      "Multiply all six by 1000.")


def _seconds(values: Values, rate: float, asked: Requested, reason: str) -> str:
    """Why latencies are seconds, or nothing."""
    middle = values.get("p50") or values.get("average") or 0.0
    if reason and 0 < values.get("max", middle) < 60:
        return reason
    if 0 < middle < _SHORTEST:
        return f"half of the requests in {middle:g} ms is less than clients see even on loopback"
    average = values.get("average") or middle
    if asked.rps == 0 and asked.connections and rate > 0:
        # In a closed loop every connection always waits for an answer (Little's law).
        wanted = asked.connections / rate
        if 0.5 < average / wanted < 1.1:
            return (f"{asked.connections} connections that always wait for an answer make {rate:g} requests a second "
                    f"at {wanted:g} s each")
    return ""


def _times(item: Item, values: Values, rate: float, asked: Requested) -> Iterator[Finding]:
    start: dt.datetime | None = values.get("start_time")
    end: dt.datetime | None = values.get("end_time")
    for name in ("start_time", "end_time"):
        said = member(item, name)
        text = said.value
        if isinstance(text, str) and name in values and not text.endswith(("Z", "z", "+00:00")):
            yield Finding("time-not-utc", said.place, f"{text} is not in UTC", "Write it with Z.", "warning")
    if start is None or end is None:
        yield Finding("end-before-start", item.place, "start_time or end_time is missing")
        return
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        yield Finding("end-before-start", member(item, "end_time").place, f"the end is {-seconds:g} s before the start")
        return
    if asked.seconds and seconds < asked.seconds * 0.9:
        yield Finding("shorter-than-requested", member(item, "end_time").place,
                      f"the run took {seconds:g} s of the {asked.seconds:g} s that were asked for", level="warning")
    for name in COUNT_LABELS:
        count = _number(values.get("labels", {}).get(name))
        if count and rate > 0 and abs(rate * seconds - count) > max(0.05 * count, 1.0):
            yield Finding("count-mismatch", member(item, "actual_qps").place,
                          f"{rate:g} a second for {seconds:g} s is {rate * seconds:.0f} requests, and the label {name} "
                          f"says {count:g}")


def older(item: Item) -> Iterator[Finding]:
    """Give what is wrong with a result in the shape of SMP's old samples."""
    yield Finding("older-shape", item.place, "this is the shape that results had before SMP's messages: exp_uuid, env, "
                  "client, metrics", "Write a PerformanceTestResult, a ServiceMeshConfig and an EnvironmentConfig.")
    client = item.members.get("client", item)
    said = client.members.get("latencies_ms", client)
    values = {key: float(one.value) for key, one in said.members.items() if document.is_finite(one.value)}
    rate = client.members.get("rps", item).value
    yield from latencies(said, values, float(rate) if document.is_finite(rate) else 0.0, Requested())


def mesh(item: Item, values: Values) -> Iterator[Finding]:
    """Give what is wrong with a ServiceMeshConfig."""
    kind = values.get("mesh_type", {})
    if not kind.get("type") and not {**values.get("labels", {}), **kind.get("labels", {})}.get("mesh"):
        yield invalid_mesh(member(item, "mesh_type"))
    for name in ("ingress_gateway", "sidecar", "mesh_telemetry", "mesh_policy", "mesh_control_plane"):
        place = member(item, name)
        for key, value in values.get(name, {}).items():
            if value < 0:
                yield Finding("out-of-range", member(place, key).place, f"{key} cannot be {value}")


def invalid_mesh(item: Item) -> Finding:
    """Say that the type of a mesh is missing or 0."""
    return Finding("invalid-mesh", item.place, "the mesh has no type, or 0, which is INVALID_MESH",
                   "Give its number (3 is ISTIO), or a label `mesh` with its name if SMP does not know it.")


def environment(item: Item, values: Values) -> Iterator[Finding]:
    """Give what is wrong with an EnvironmentConfig."""
    nodes = values.get("nodes", ())
    if not nodes:
        yield Finding("no-nodes", member(item, "nodes").place, "there are no nodes")
    for place, node in zip(member(item, "nodes").elements, nodes, strict=False):
        for name in ("cores", "mem_mb"):
            if node.get(name, 0) <= 0:
                yield Finding("no-nodes", member(place, name).place, f"the node has no {name} above 0")


def _number(text: str | None) -> float | None:
    """The number in a label, 0 for `max`, None if there is none."""
    if text == "max":
        return 0.0
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if document.is_finite(value) else None
