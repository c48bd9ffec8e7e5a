"""What a run says of one path that SMP and the score want to know: consumption, latency and rate, by figures' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conformance.performance.model import Figure, LoadSummary, ProbeResult, Run
from conformance.performance.paths import BOTH

PROXY_CPU, PROXY_MEMORY = "proxy.cpu", "proxy.memory"
CONTROL_CPU, CONTROL_MEMORY = "control_plane.cpu", "control_plane.memory"
NODE_CPU: Final = "node.cpu"


@dataclass(frozen=True)
class Consumed:
    """What is known of a path; None is not measured.

    CPU in cores, memory in bytes, `p99` in seconds from the intended time of sending, `rate` in answers a second of the
    load that has this p99. `proxies` are those that a request passes. `cores` and `memory` are all that the nodes have.
    """

    path: str
    proxies: int
    proxy_cpu: float | None
    proxy_memory: float | None
    control_cpu: float | None
    control_memory: float | None
    node_cpu: float | None
    p99: float | None
    rate: float | None
    cores: float
    memory: float


def consumed(run: Run, path: str = BOTH) -> Consumed:
    """Return what a run says of a path."""
    nodes = run.header.environment.nodes
    proxies = _of(run, PROXY_CPU, path)
    p99, rate = _latency(run, path)
    return Consumed(
        path, len(proxies), _sum(proxies), _sum(_of(run, PROXY_MEMORY, path)), _sum(_of(run, CONTROL_CPU, path)),
        _sum(_of(run, CONTROL_MEMORY, path)), _sum(_of(run, NODE_CPU, path)), p99, rate,
        float(sum(node.cores for node in nodes)), float(sum(node.memory for node in nodes)),
    )


def _of(run: Run, name: str, path: str) -> list[Figure]:
    """The figures of a name on a path: one per proxy, or one."""
    return [figure for figure in run.figures
            if figure.name == name and figure.labels.get("path") == path and not {*figure.labels} - {"path", "proxy"}]


def _sum(figures: list[Figure]) -> float | None:
    return sum(figure.value for figure in figures) if figures else None


def _latency(run: Run, path: str) -> tuple[float | None, float | None]:
    """The p99 of a path at a given rate, with the rate."""
    wanted = {"path": path, "percentile": "p99"}
    for result in run.results:
        for figure in result.figures:
            if figure.name == "latency" and dict(figure.labels) == wanted:
                loads = [load for load in valid(result) if dict(load.labels) == {"path": path} and load.requested]
                return figure.value, loads[0].achieved if loads else None
    return None, None


def valid(result: ProbeResult) -> list[LoadSummary]:
    """Return the loads of a probe that passed the gates; those that did not are no results."""
    refused = {one.where for one in result.invalid}
    return [load for load in result.loads if "" not in refused and place(load.labels) not in refused]


def place(labels: Mapping[str, str]) -> str:
    """Return how a load is named where it is said to be invalid."""
    return ", ".join(labels.values())
