"""Waiting for workloads of a control plane, and saying what keeps them from being available."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, NotFound, Object
from conformance.mesh import ControlPlane
from conformance.pods import autopsy, is_ready, untaken
from conformance.topology import ProvisionError
from conformance.waiting import NotConverged, NotYet, Progress, eventually

_EVENTS: Final = 5


def wait(
    cluster: Cluster, workloads: Sequence[ControlPlane], what: str, *, within: float, progress: Progress | None = None,
    lasting: bool = False,
) -> None:
    """Wait until workloads are available, for at most so many seconds. Raises ProvisionError, ClusterError.

    `lasting`: and stay so for a second. A program that fails as soon as it has started counts as available meanwhile,
    where nothing asks it whether it is ready.
    """
    def available() -> None:
        for workload in workloads:
            try:
                found = cluster.get("apps/v1", workload.kind, workload.name, workload.namespace)
            except NotFound:
                raise NotYet(f"{workload.kind} {workload.namespace}/{workload.name} does not exist") from None
            except ClusterError as error:
                if error.code:
                    raise
                raise NotYet(str(error)) from error  # an API server that is away for a moment comes back
            missing = lacking(found)
            if missing:
                raise NotYet(f"{workload.name}: {missing}")

    times, pause = (3, 0.5) if lasting else (1, 0.1)
    try:
        eventually(available, what=what, within=within, consecutive=times, interval=pause, longest=pause,
                   progress=progress)
    except NotConverged as error:
        lines = [line for workload in workloads for line in _why(cluster, workload)]
        details = "\n".join([*lines, *untaken(cluster)])
        raise ProvisionError(f"{error}\n{details}".rstrip()) from error


def lacking(workload: Object) -> str:
    """Say what a Deployment, DaemonSet or StatefulSet lacks to be available as it is specified; empty if nothing."""
    status = workload.get("status") or {}
    if status.get("observedGeneration") != workload["metadata"].get("generation"):
        return "its controller has not looked at it yet"
    return _COUNTS[workload["kind"]](workload.get("spec") or {}, status)


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted = spec.get("replicas", 1)
    if status.get("updatedReplicas", 0) < wanted or status.get("availableReplicas", 0) < wanted:
        return f"{status.get('availableReplicas', 0)} of {wanted} pods are available"
    if status.get("replicas", 0) > wanted:
        return "the pods of an earlier version are still there"
    return ""


def _daemon_set(_: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted = status.get("desiredNumberScheduled", 0)
    ready = min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
    return f"{ready} of {wanted} pods are available" if ready < wanted else ""


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted = spec.get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    # An untouched one does not count updated pods at all: its revisions tell.
    untouched = status.get("updateRevision") == status.get("currentRevision")
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    updated = untouched or status.get("updatedReplicas", 0) >= wanted
    return "" if updated else "some pods are still of an earlier version"


_COUNTS: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]]] = {
    "Deployment": _deployment, "DaemonSet": _daemon_set, "StatefulSet": _stateful_set,
}


def _why(cluster: Cluster, workload: ControlPlane) -> list[str]:
    """Collect what tells why a workload has not come up: its pods' events and logs, or why it has no pods."""
    try:
        found = cluster.get("apps/v1", workload.kind, workload.name, workload.namespace)
        if not lacking(found):
            return []
        selector = (found["spec"].get("selector") or {}).get("matchLabels") or {}
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        pods = [pod for pod in cluster.list("v1", "pods", workload.namespace, labels=labels)[0] if not is_ready(pod)]
        return [line for pod in pods for line in autopsy(cluster, pod)] or _warnings(cluster, workload)
    except ClusterError as error:
        return [f"no more is known of {workload.name}: {error}"]


def _warnings(cluster: Cluster, workload: ControlPlane) -> list[str]:
    """Return the last warnings about a workload and what it made, such as of a quota that leaves it without pods."""
    events, _ = cluster.list("v1", "events", workload.namespace)
    told = [f"  event {event.get('reason')}: {event.get('message')}" for event in events
            if event.get("type") == "Warning" and _about(event).startswith(workload.name)]
    return [f"warnings about {workload.kind} {workload.namespace}/{workload.name}:",
            *(dict.fromkeys(told[-_EVENTS:]) or ["  none: no event tells why"])]


def _about(event: Object) -> str:
    return str((event.get("involvedObject") or {}).get("name", ""))
