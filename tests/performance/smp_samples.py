"""A run with known figures, as tests of what SMP makes of it want it."""

from __future__ import annotations

from dataclasses import replace

from conformance.performance.histogram import Histogram
from conformance.performance.model import (
    Environment,
    Figure,
    Invalidity,
    LoadSummary,
    Node,
    ProbeResult,
    Run,
    RunHeader,
)

STARTED = 1_800_000_000.25
GIB = 1 << 30


def histogram(*milliseconds):
    found = Histogram()
    for value in milliseconds:
        found.record(round(value * 1e6))
    return found


def load(path="both", *, requested=1000.0, answers=10_000, **changes):
    waits = histogram(*([0.25] * (answers * 9 // 10) + [0.5] * (answers // 10))) if answers else Histogram()
    return replace(LoadSummary({"path": path}, requested, answers / 10, 10.0, 16, waits, waits, {}), **changes)


FIGURES = tuple(
    Figure(name, unit, value, labels=labels) for name, unit, value, labels in (
        ("proxy.cpu", "cores", 0.1446, {"path": "both", "proxy": "client"}),
        ("proxy.cpu", "cores", 0.1074, {"path": "both", "proxy": "server"}),
        ("proxy.memory", "bytes", 65_400_000.0, {"path": "both", "proxy": "client"}),
        ("proxy.memory", "bytes", 64_800_000.0, {"path": "both", "proxy": "server"}),
        ("control_plane.cpu", "cores", 0.02, {"path": "both"}),
        ("control_plane.memory", "bytes", 120_000_000.0, {"path": "both"}),
        ("node.cpu", "cores", 0.6, {"path": "both"}),
        ("node.cpu", "cores", 0.2, {"path": "direct"}),
        ("latency", "s", 0.0005, {"path": "both", "percentile": "p99"}),
        ("latency", "s", 0.0009, {"path": "both", "percentile": "p99", "body": "1 MB"}),
    )
)


def run(*loads, figures=FIGURES, mesh="reference", invalid=(), **header):
    environment = Environment("sandbox", "v1.34.1", (Node("node-1", 4, 8 * GIB), Node("node-2", 4, 8 * GIB)), "EPYC")
    result = ProbeResult("latency-overhead", "Latency", tuple(figures), tuple(invalid),
                         loads or (load(), load("direct")), started=STARTED, seconds=60.0)
    return Run(RunHeader("r1", STARTED, "0.5.0", mesh, mesh.title(), "1.2.3", environment, **header), (result,))


def refused(where):
    return Invalidity("achieved", "91 %", "at least 99 %", where)
