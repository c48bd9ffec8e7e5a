"""What the kubelets tell of consumption: the summary API (`stats/v1alpha1`) of every node, through the API server.

    before = kubelet.read(cluster)
    ...                                  # the load
    used = consumption.between(before, kubelet.read(cluster))
    used.proxies(mesh.proxy.container).cores

A kubelet renews its readings about every ten seconds and rounds their times to whole seconds; one that gives fractions
of a second has read at that moment. Readings lie before the moment of asking, by up to the resolution that they state:
a measurement on a cluster has to run for longer than that before the first reading.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import jsonschema

from conformance.cluster import Cluster, ClusterError, NotFound, Object
from conformance.performance.histogram import NANO
from conformance.performance.usage.consumption import Place, Reading, Snapshot, UsageError

SUMMARY: Final = "stats/summary"
REFRESH: Final = 10.0
"""Seconds after which a kubelet renews a reading (cAdvisor's housekeeping interval)."""
IMMEDIATE: Final = 0.01
"""Seconds between two different readings of a source that reads when it is asked: a tick of the kernel's clock."""

_COUNTERS: Final = {
    "type": "object",
    "properties": {
        "time": {"type": ["string", "null"]},
        "usageCoreNanoSeconds": {"type": "integer", "minimum": 0},
        "workingSetBytes": {"type": "integer", "minimum": 0},
    },
}
_USAGE: Final = {"cpu": _COUNTERS, "memory": _COUNTERS}
_SUMMARY: Final = jsonschema.Draft202012Validator({
    "type": "object",
    "required": ["node"],
    "properties": {
        "node": {"type": "object", "properties": _USAGE},
        "pods": {"type": ["array", "null"], "items": {
            "type": "object",
            "required": ["podRef"],
            "properties": {
                "podRef": {"type": "object", "required": ["name", "namespace"],
                           "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}},
                "containers": {"type": ["array", "null"], "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "startTime": {"type": ["string", "null"]}, **_USAGE},
                }},
            },
        }},
    },
})


def read(cluster: Cluster) -> Snapshot:
    """Read what every node, and every container on it, has used so far.

    Raises UsageError when a node does not tell, or tells something else; it says which right is missing when one is.
    """
    readings: dict[Place, Reading] = {}
    exact = True
    names = [str(node["metadata"]["name"]) for node in _asked(cluster)]
    if not names:
        raise UsageError(f"reading the consumption of {cluster.name}: the cluster has no nodes")
    for name in names:
        summary = _summary(cluster, name)
        found = {Place(name): _reading(summary["node"], name)}
        for pod in summary.get("pods") or ():
            about = pod["podRef"]
            for container in pod.get("containers") or ():
                place = Place(name, about["namespace"], about["name"], container["name"])
                found[place] = _reading(container, str(place))
        readings |= {place: reading for place, reading in found.items() if reading is not None}
        # Of a node that has read when it was asked, hardly all times are whole seconds by chance.
        exact = exact and any(reading.at % 1 for reading in found.values() if reading is not None)
    return Snapshot(readings, IMMEDIATE if exact else REFRESH, 0.0 if exact else 1.0, time.monotonic())


def _asked(cluster: Cluster) -> tuple[Object, ...]:
    try:
        return cluster.nodes()
    except ClusterError as error:
        raise UsageError(f"listing the nodes: {error}{_right(error, 'list nodes')}") from error


def _summary(cluster: Cluster, node: str) -> Mapping[str, Any]:
    try:
        data = cluster.node_proxy(node, SUMMARY, query={"only_cpu_and_memory": "true"})
    except NotFound as error:
        raise UsageError(f"{error}. The kubelet does not offer its summary; measure with Prometheus instead") from error
    except ClusterError as error:
        raise UsageError(f"{error}{_right(error, 'get nodes/proxy')}") from error
    doing = f"reading the consumption of node {node}"
    try:
        summary = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{doing}: the answer is not JSON: {data[:80]!r}. Is something else behind the node's "
                         "kubelet port?") from error
    problem = next(iter(_SUMMARY.iter_errors(summary)), None)
    if problem is not None:
        where = ".".join(str(step) for step in problem.absolute_path) or "the top level"
        raise UsageError(f"{doing}: {where} of its summary: {problem.message:.200}")
    return dict(summary)


def _right(error: ClusterError, what: str) -> str:
    return f". Grant the right to {what}" if error.code in (401, 403) else ""


def _reading(found: Mapping[str, Any], whose: str) -> Reading | None:
    """The reading of a node or container; None for one that has none yet, as in its first seconds."""
    cpu, memory = found.get("cpu") or {}, found.get("memory") or {}
    if not cpu.get("time"):
        return None
    used, started = cpu.get("usageCoreNanoSeconds"), found.get("startTime")
    return Reading(
        at=_moment(cpu["time"], whose),
        cpu=None if used is None else used * NANO,
        memory=memory.get("workingSetBytes"),
        started=_moment(started, whose) if started else None,
    )


def _moment(text: str, whose: str) -> float:
    # Python takes six digits of a fraction, Go writes nine.
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(f"reading the consumption of {whose}: {text!r:.60} is not a time with a zone (RFC 3339)")
    return moment.timestamp()
