"""CPU and memory of proxies, control plane and node while a load runs, by the readings of a meter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final

from conformance.performance.bench import WARM_UP, Bench, Measured, judged
from conformance.performance.findings import Findings
from conformance.performance.model import Unit
from conformance.performance.paths import DIRECT, Path
from conformance.performance.usage.consumption import Consumption
from conformance.performance.usage.meters import Meter
from conformance.topology import Topology

LEAST_ROUNDS: Final = 5


@dataclass(frozen=True)
class Observed:
    """One load, and what was consumed while it ran."""

    measured: Measured
    consumption: Consumption

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return self.measured.failed


def measure(bench: Bench, ways: Sequence[Path], findings: Findings, meter: Meter) -> None:
    """Record what proxies, control plane and node consume on each way, and what the node spends more than without.

    Raises UsageError when the meter does not say.
    """
    topology = bench.topology
    taken = bench.interleaved(ways, max(LEAST_ROUNDS, bench.effort.rounds // 2),
                              lambda way, what, seed: _observe(bench, way, meter, what=what, seed=seed))
    for way in ways:
        observed = taken[way.name]
        _, invalid = judged([one.measured for one in observed], where=way.name)
        findings.invalid(invalid)
        if invalid:
            del taken[way.name]
            continue
        _proxies(findings, bench, way, observed)
        _control_plane(findings, topology, way.name, observed)
    _nodes(findings, taken)


def _observe(bench: Bench, way: Path, meter: Meter, *, what: str, seed: int) -> Observed:
    """Watch a load that is under way; a meter tells what it read up to `resolution` seconds ago."""
    settled = max(0.3, 1.5 * meter.resolution)
    between = max(bench.effort.seconds, 3 * meter.resolution)
    begun = Event()
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(bench.run, way, what=what, begun=begun, seed=seed, seconds=settled + between + 0.5)
        load.add_done_callback(lambda _: begun.set())  # also when it fails before
        begun.wait()
        time.sleep(WARM_UP + settled)
        consumption = meter.watch(between)
        return Observed(load.result(), consumption)


def _proxies(findings: Findings, bench: Bench, way: Path, observed: Sequence[Observed]) -> None:
    proxy = bench.topology.mesh.proxy
    container = proxy.container if proxy else ""
    for workload in way.proxied:
        parts = [one.consumption.proxies(container, bench.pods(workload)) for one in observed]
        labels = {"path": way.name, "proxy": workload}
        if not _record(findings, "proxy", parts, labels):
            continue
        per = [part.cores / one.measured.result.achieved for part, one in zip(parts, observed, strict=True)]
        findings.median("proxy.cpu.per_request", "s", per, labels)


def _control_plane(findings: Findings, topology: Topology, name: str, observed: Sequence[Observed]) -> None:
    pods = frozenset((pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in topology.control_plane.pods())
    _record(findings, "control_plane", [one.consumption.pods(pods) for one in observed], {"path": name})


def _nodes(findings: Findings, taken: dict[str, list[Observed]]) -> None:
    cores = {name: [sum(use.cores for use in one.consumption.nodes.values()) for one in observed]
             for name, observed in taken.items()}
    for name, samples in cores.items():
        findings.median("node.cpu", "cores", samples, {"path": name})
        if name != DIRECT and DIRECT in cores:
            findings.difference("node.cpu.overhead", "cores", cores[DIRECT], samples, {"path": name})


def _record(findings: Findings, what: str, parts: Sequence[Consumption], labels: dict[str, str]) -> bool:
    invalid = [found for part in parts for found in part.invalid(", ".join(labels.values()))]
    if invalid:
        findings.invalid(invalid[:1])
        return False
    quantities: tuple[tuple[str, Unit, list[float]], ...] = (
        ("cpu", "cores", [part.cores for part in parts]), ("memory", "bytes", [part.memory for part in parts]))
    for quantity, unit, samples in quantities:
        findings.median(f"{what}.{quantity}", unit, samples, labels)
    return True
