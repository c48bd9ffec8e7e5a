"""What a request costs in the mesh: time, throughput, CPU and memory, beside the same request without it."""

from conformance.performance.paths import BOTH, DIRECT
from conformance.performance.probe import probe
from conformance.performance.probes import overhead, resources

SIZES = {
    "1 B": (1, 1.0), "1 kB": (1_000, 1.0), "10 kB": (10_000, 0.5), "100 kB": (100_000, 0.1), "1 MB": (1_000_000, 0.02),
}
"""Bytes of both bodies, and the share of the usual rate at which they are sent."""


@probe("latency-overhead")
def test_latency_overhead(bench, findings):
    """Response time at a steady rate, and what sidecars add to it: at the client, the server, both, without mTLS."""
    overhead.latencies(findings, bench.rounds(bench.ways()))


@probe("throughput-ceiling")
def test_throughput_ceiling(bench, findings):
    """The most requests a second that one client gets answered, and the share of it that is left with sidecars."""
    series = bench.rounds(bench.ways(), rate=None, connections=32)
    overhead.ceilings(findings, series)


@probe("connection-churn")
def test_connection_churn(bench, findings):
    """Response time where every request has a connection of its own, and what sidecars add to it."""
    each = {"connections": "new"}
    series = bench.rounds(bench.ways(DIRECT, BOTH), rate=bench.effort.rate / 4, keep_alive=False, labels=each)
    overhead.latencies(findings, series, **each)


@probe("body-sizes")
def test_body_sizes(bench, findings):
    """Response time for bodies from 1 B to 1 MB in both directions, and what sidecars add to it."""
    for name, (size, share) in SIZES.items():
        series = bench.rounds(
            bench.ways(DIRECT, BOTH), f"/bytes/{size}", rate=bench.effort.rate * share, method="POST", body_bytes=size,
            answer_bytes=size, rounds=max(8, bench.effort.rounds // 2), labels={"body": name},
        )
        overhead.latencies(findings, series, {"p50": 0.5}, body=name)


@probe("resource-use")
def test_resource_use(bench, findings, meter):
    """CPU and memory of each proxy, of the control plane and of the node, at a steady rate and without the mesh."""
    resources.measure(bench, bench.ways(DIRECT, BOTH), findings, meter)
