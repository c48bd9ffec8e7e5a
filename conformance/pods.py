"""Pods as they are: ready or not, what ails them, and what they left in events and logs."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.cluster import Cluster, ClusterError, NotFound, Object


@dataclass(frozen=True)
class Pod:
    """A pod of a workload, as it was when it became ready: since when, as the cluster tells the time.

    `restarts` is over all its containers.
    """

    name: str
    namespace: str
    workload: str
    restarts: int
    ready_since: str = ""


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is ready and is to stay."""
    return _readiness(pod).get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def _readiness(pod: Object) -> Object:
    conditions = {entry["type"]: entry for entry in pod.get("status", {}).get("conditions") or ()}
    return dict(conditions.get("Ready", {}))


def _ready_since(pod: Object) -> str:
    return str(_readiness(pod).get("lastTransitionTime") or "")


def _restarts(pod: Object) -> int:
    return sum(int(entry.get("restartCount", 0)) for entry in _statuses(pod))


def _lasting(pod: Object) -> list[Object]:
    """Return the containers that run as long as the pod: also sidecars, which Kubernetes lists as init containers."""
    first = [entry for entry in pod["spec"].get("initContainers") or () if entry.get("restartPolicy") == "Always"]
    return [*first, *pod["spec"]["containers"]]


def _statuses(pod: Object) -> list[Object]:
    status, names = pod.get("status", {}), {container["name"] for container in _lasting(pod)}
    every = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    return [entry for entry in every if entry["name"] in names]


def as_pod(workload: str, pod: Object) -> Pod:
    """Return what is remembered of a pod of a workload."""
    return Pod(pod["metadata"]["name"], pod["metadata"]["namespace"], workload, _restarts(pod), _ready_since(pod))


def state_of(name: str, pod: Object | None) -> str:
    """Say how a workload's pod is, and what of it is not ready; None is a pod that does not exist."""
    if pod is None:
        return f"{name} has no pod yet"
    status = pod.get("status", {})
    waiting = [
        f"container {entry['name']}: {entry['state']['waiting'].get('reason', 'waiting')}"
        for entry in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
        if entry.get("state", {}).get("waiting")
    ]
    unready = [entry["name"] for entry in _statuses(pod) if not entry.get("ready")]
    detail = waiting or ([f"not ready: {', '.join(unready)}"] if unready else [])
    return f"{name} is {status.get('phase', 'unknown')}" + (f" ({'; '.join(detail)})" if detail else "")


def has_restarted(known: Pod, pod: Object) -> bool:
    """Tell whether a container of a pod has ended and was started again since the pod was known."""
    return _restarts(pod) > known.restarts


def trouble_of(known: Pod, pod: Object | None) -> str:
    """Say in what a pod is no longer as it was known; empty when it is."""
    if pod is None:
        return f"pod {known.name} is gone"
    if has_restarted(known, pod):
        return f"a container of pod {known.name} has restarted"
    if not is_ready(pod):
        return f"pod {known.name} is not ready: {state_of(known.workload, pod)}"
    since = _ready_since(pod)
    return f"pod {known.name} was not ready for a while, until {since}" if known.ready_since not in ("", since) else ""


def untaken(cluster: Cluster) -> list[str]:
    """Say of each node that does not take pods why; nothing where this user may not see nodes."""
    try:
        nodes = cluster.nodes()
    except ClusterError:
        return []
    return [f"node {node['metadata']['name']}: {trouble}" for node in nodes if (trouble := ails(node))]


def ails(node: Object) -> str:
    """Say what keeps a node from taking pods that tolerate nothing; empty when it takes them."""
    conditions = {entry["type"]: entry for entry in (node.get("status") or {}).get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") != "True":
        return f"not ready ({conditions.get('Ready', {}).get('message', 'no word from its kubelet')})"
    pressure = [kind for kind, entry in conditions.items() if kind != "Ready" and entry.get("status") == "True"]
    taints = [f"{taint['key']}:{taint['effect']}" for taint in (node.get("spec") or {}).get("taints") or ()
              if taint.get("effect") in ("NoSchedule", "NoExecute")]
    return "; ".join([*pressure, *(f"taint {taint}" for taint in taints)])


def autopsy(cluster: Cluster, pod: Object) -> list[str]:
    """Return what tells why a pod is not ready: its last events, and the ends of its containers' logs."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    lines = [f"pod {name}:"]
    try:
        events, _ = cluster.list("v1", "events", namespace, fields=f"involvedObject.name={name}")
        lines += [f"  event {event.get('reason')}: {event.get('message')}" for event in events[-8:]]
        for container in _lasting(pod):
            log = _log(cluster, namespace, name, container["name"])
            lines += [f"  log of {container['name']}: {line}" for line in log]
    except ClusterError as error:
        lines.append(f"  no more is known: {error}")
    return lines


def _log(cluster: Cluster, namespace: str, pod: str, container: str) -> list[str]:
    try:
        return cluster.pod_log(namespace, pod, container, tail=15).splitlines()
    except NotFound:
        return []
    except ClusterError as error:
        return [f"({error.found})"]
