"""What a kubelet tells of consumption: the summary of `stats/v1alpha1`, and the same as cAdvisor's metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of, uid_of

if TYPE_CHECKING:
    from conformance.sandbox.accounting import ContainerUsage, MachineUsage

_NANO: Final = 1_000_000_000
_WINDOW: Final = 10 * _NANO  # a rate goes back this far at least, when there have been readings before


class Summarizer:
    """Writes summaries of one node. It remembers earlier ones, for `usageNanoCores` is a rate since one of them."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._base: dict[str, tuple[int, int]] = {}

    def summary(self, machine: MachineUsage, pods: Sequence[JSON], usage: Mapping[str, ContainerUsage]) -> JSON:
        """The summary of pods by what their containers have used, by container ID as in the pods' statuses.

        Times have fractions of a second, which a kubelet's have not: what is told here is read at that moment. Of a
        container that is not running nothing is said, as on a node.
        """
        self._base = {identity: base for identity, base in self._base.items() if identity in usage or not identity}
        found = [self._pod(pod, usage) for pod in pods]
        node = {
            "nodeName": self._node,
            "startTime": _time(machine.started),
            "cpu": self._cpu("", machine.at, machine.cpu, machine.started),
            "memory": _memory(machine.at, machine.used, machine.working_set, machine.anonymous)
            | {"availableBytes": machine.available},
        }
        return {"node": node, "pods": [pod for pod in found if pod["containers"]]}

    def _pod(self, pod: JSON, usage: Mapping[str, ContainerUsage]) -> JSON:
        containers: list[JSON] = []
        used: list[ContainerUsage] = []
        for name, identity, started in _running(pod):
            if identity in usage:
                found = usage[identity]
                used.append(found)
                containers.append({
                    "name": name,
                    "startTime": started,
                    "cpu": self._cpu(identity, found.at, found.cpu, _nanoseconds(started)),
                    "memory": _memory(found.at, found.resident, found.resident, found.anonymous),
                })
        whole: JSON = {
            "podRef": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "startTime": pod.get("status", {}).get("startTime"),
            "containers": containers,
        }
        if used:
            at, resident = max(found.at for found in used), sum(found.resident for found in used)
            whole["cpu"] = {
                "time": _time(at),
                "usageNanoCores": sum(container["cpu"]["usageNanoCores"] for container in containers),
                "usageCoreNanoSeconds": sum(found.cpu for found in used),
            }
            whole["memory"] = _memory(at, resident, resident, sum(found.anonymous for found in used))
        return whole

    def _cpu(self, identity: str, at: int, used: int, started: int) -> JSON:
        since, before = self._base.get(identity, (started, 0))
        if at - since >= _WINDOW:
            self._base[identity] = (at, used)
        return {
            "time": _time(at),
            "usageNanoCores": max(0, (used - before) * _NANO // max(at - since, 1)),
            "usageCoreNanoSeconds": used,
        }


def _running(pod: JSON) -> Iterator[tuple[str, str, str]]:
    """Name, ID and start of the containers that run, sidecars among the init containers included."""
    status = pod.get("status", {})
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        running = container.get("state", {}).get("running")
        if running and container.get("containerID"):
            yield container["name"], container["containerID"], running["startedAt"]


def _memory(at: int, used: int, working_set: int, anonymous: int) -> JSON:
    return {"time": _time(at), "usageBytes": used, "workingSetBytes": working_set, "rssBytes": anonymous}


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _NANO)
    fraction = f".{rest // 1000:06}" if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _nanoseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp()) * _NANO


_METRICS: Final = {
    "container_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed in seconds."),
    "container_memory_working_set_bytes": ("gauge", "Current working set in bytes."),
    "container_memory_rss": ("gauge", "Size of RSS in bytes."),
    "container_start_time_seconds": ("gauge", "Start time of the container since unix epoch in seconds."),
}


def cadvisor(summary: JSON) -> str:
    """The summary's containers as cAdvisor's metrics, in Prometheus' text format, with the time of each reading."""
    rows: dict[str, list[str]] = {name: [] for name in _METRICS}
    for pod in summary["pods"]:
        place = pod["podRef"]
        for container in pod["containers"]:
            # None of these can hold a character that would need escaping: they are DNS labels and UIDs.
            labels = (
                f'container="{container["name"]}",id="/pods/{place["uid"]}/{container["name"]}",'
                f'namespace="{place["namespace"]}",pod="{place["name"]}"'
            )
            at = _milliseconds(container["cpu"]["time"])
            values = (
                container["cpu"]["usageCoreNanoSeconds"] / _NANO,
                container["memory"]["workingSetBytes"],
                container["memory"]["rssBytes"],
                _nanoseconds(container["startTime"]) / _NANO,
            )
            for name, value in zip(_METRICS, values, strict=True):
                more = ',cpu="total"' if name.startswith("container_cpu") else ""
                rows[name].append(f"{name}{{{labels}{more}}} {value!r} {at}")
    lines = []
    for name, (type_, meaning) in _METRICS.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {type_}", *rows[name]]
    return "\n".join(lines) + "\n"


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
