"""The loads that an SMP PerformanceTestConfig asks for, run on the workloads of this run."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from conformance.performance.bench import PERCENTILES, Bench
from conformance.performance.histogram import NANO
from conformance.performance.paths import between
from conformance.performance.probes.overhead import reported
from conformance.performance.smp.config import LoadRequest, TestConfig, to_loads
from conformance.performance.validity import gates
from conformance.topology import Topology

INTERNAL: Final = "client"
EXTERNAL: Final = "plain-client"


def measure(bench: Bench, config: TestConfig) -> None:
    """Run every load of a configuration and record its latencies and rate.

    Endpoints name Services of the run (`http://server:8090/`): nothing else is put under load. Clients that are
    `internal` are those in the mesh. Raises UnsupportedError.
    """
    topology = bench.topology
    loads = to_loads(config, lambda host: _service(topology, host) != "")
    if len(loads) > 1:
        bench.findings.note("The loads of the configuration were run one after the other; several endpoints of a "
                            "client share its rate and its connections.")
    for number, asked in enumerate(loads, 1):
        _measure(bench, asked, str(number))


def _measure(bench: Bench, asked: LoadRequest, number: str) -> None:
    parts = urlsplit(asked.url)
    server = _service(bench.topology, parts.hostname or "")
    client = INTERNAL if asked.internal else EXTERNAL
    way = between(bench.topology, f"config-{number}", client, server, scheme=parts.scheme)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    measured = bench.run(
        way, target, port=parts.port or 80, what=asked.url, rate=asked.rate, seconds=asked.seconds,
        connections=max(1, asked.connections), method=asked.method, headers=asked.headers, body=asked.body,
    )
    labels = {"path": way.name}
    bench.findings.load(measured.result.summary(measured.load, labels))
    found = gates(measured.load, measured.result, where=way.name)
    bench.findings.invalid(found)
    if found:
        return
    response = measured.result.response
    for name, share in reported(bench.findings, response.count, PERCENTILES, way.name).items():
        bench.findings.value("latency", "s", response.percentile(share) * NANO, labels | {"percentile": name})
    bench.findings.value("latency.mean", "s", response.mean * NANO, labels)
    bench.findings.value("latency.max", "s", response.max * NANO, labels)
    bench.findings.value("throughput", "1/s", measured.result.achieved, labels, better="higher")


def _service(topology: Topology, host: str) -> str:
    """Return the standing workload whose Service a host names; empty when it is none of the run's."""
    for name in topology.standing():
        if host == name or host in topology.service(name).hosts:
            return name
    return ""
