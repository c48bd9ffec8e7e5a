"""A run with every kind of sample that is exported."""

from __future__ import annotations

import functools
import random

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

HOSTILE = 'a "quoted" \\ back\nline'
PATHS = ("direct", "both")


def histogram(middle, seed):
    draw, made = random.Random(seed), Histogram()
    for _ in range(20_000):
        made.record(int(draw.lognormvariate(0, 0.4) * middle))
    return made


def load(path, number, middle, **changes):
    values = {
        "labels": {"path": path, "round": str(number)}, "requested": 1000.0, "achieved": 990.0 + number, "seconds": 2.0,
        "connections": 16, "service": histogram(middle, number), "response": histogram(2 * middle, number),
        "errors": {"timeout": number} if path == "both" else {},
    }
    return LoadSummary(**{**values, **changes})


def figures():
    for path in PATHS:
        for percentile, value in (("p50", 2e-4), ("p90", 3e-4), ("p99", 5e-4)):
            labels = {"path": path, "percentile": percentile}
            yield Figure("latency", "s", value, value * 0.9, value * 1.1, 0.99, (value,), "lower", labels)
            if path != "direct":
                yield Figure("latency.overhead", "s", value / 2, value / 3, value, 0.99, (value,), "lower", labels)


def consumed():
    for path in PATHS:
        labels = {"path": path}
        yield Figure("proxy.cpu", "cores", 0.144, 0.14, 0.15, 0.99, (), "lower", {**labels, "proxy": "client"})
        yield Figure("proxy.cpu.per_request", "s", 1.44e-4, labels={**labels, "proxy": "client"})
        yield Figure("proxy.memory", "bytes", 66e6, labels={**labels, "proxy": "client"})
        yield Figure("control_plane.cpu", "cores", 0.01, labels=labels)
        yield Figure("control_plane.memory", "bytes", 30e6, labels=labels)
        yield Figure("node.cpu", "cores", 1.2, labels=labels)


@functools.cache  # 160,000 draws
def sample_run():
    place = Environment("sandbox", "v1.34.0", (Node("n", 2, 2**34),), HOSTILE)
    header = RunHeader("run-1", 1.8e9, "0.2.0", "reference", "Reference mesh", "1.40.0", place,
                       labels={"mesh": "mine", "release": "2026.11", "9-odd": "x"})  # fmt: skip
    closed = Invalidity("schedule lag", "4 ms", "1 ms", "both"), Invalidity("schedule lag", "5 ms", "1 ms", "direct")
    return Run(header, (
        ProbeResult("latency-overhead", "Latency", tuple(figures()), (), (
            load("direct", 1, 1e5), load("direct", 2, 1e5), load("both", 1, 3e5),
            load("both", 2, 3e5)), (), 1.8e9, 60.0),
        ProbeResult("throughput-ceiling", "Throughput", (
            Figure("throughput", "1/s", 14_000.0, 13_000.0, 15_000.0, 0.99, (), "higher", {"path": "both"}),
            Figure("throughput.left", "share", 0.25, labels={"path": "both"}, better="higher"),
        ), (), (load("both", 1, 1e6, requested=None),), (), 1.8e9, 30.0),
        ProbeResult("resource-use", "Resources", tuple(consumed()), (), (), (), 1.8e9, 30.0),
        ProbeResult("rolling-restart", "Restart", (
            Figure("restart.errors.total", "count", 3.0, labels={"probe": "x", "path": HOSTILE}),
        ), (), (), (), 1.8e9, 30.0),
        ProbeResult("body-sizes", "Bodies", tuple(figures()), closed, (load("both", 1, 1e6),), (), 1.8e9, 30.0),
    ))  # fmt: skip
