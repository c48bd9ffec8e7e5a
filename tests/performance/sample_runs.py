"""Performance runs made up for tests of what reads them."""

from __future__ import annotations

import functools
import math
import random
from statistics import median

from conformance.performance.histogram import Histogram
from conformance.performance.model import (
    Environment,
    Figure,
    Interval,
    Invalidity,
    LoadSummary,
    Node,
    ProbeResult,
    Run,
    RunHeader,
)

PLACE = Environment("sandbox", "v1.34.1", (Node("node-0", 2, 24 * 2**30, "6.1.0", "amd64"),), "AMD EPYC")


def header(run="run-1", **changes):
    values = {
        "run": run, "started": 1_800_000_000.0, "harness": "0.2.0", "mesh": "reference", "mesh_title": "Reference mesh",
        "mesh_version": "1.40.0", "environment": PLACE, "seed": 7, "command": "mesh-conformance perf run --seed 7",
        "labels": {"release": "2026.11"},
    }
    return RunHeader(**{**values, **changes})


def figure(name, samples, unit="s", better="lower", **labels):
    samples = tuple(samples)
    return Figure(name, unit, median(samples), min(samples), max(samples), 0.99, samples, better, labels)


def run_of(name, *figures, invalid=(), probe="latency-overhead", **changes):
    result = ProbeResult(probe, "Latency that the mesh adds", tuple(figures), tuple(invalid))
    return Run(header(name, **changes), (result,))


def histogram(draw, count=5000, middle=300e-6, spread=0.4):
    made = Histogram()
    for _ in range(count):
        made.record(int(math.exp(draw.gauss(math.log(middle), spread)) * 1e9))
    return made


def load(draw, path="both", number=1, middle=300e-6, **changes):
    service, response = histogram(draw, middle=middle), histogram(draw, middle=middle * 1.2)
    rows = tuple(
        Interval(500, int(place == 5) * 3, middle, middle * 3, middle * (10 + place % 4)) for place in range(20))
    values = {
        "labels": {"path": path, "round": str(number)}, "requested": 1000.0, "achieved": 999.7, "seconds": 10.0,
        "connections": 16, "service": service, "response": response, "errors": {"timeout": 2, "status": 1},
        "statuses": {"200": 9997, "503": 1}, "agents": {"server-a": 9997}, "interval": 0.5, "timeline": rows,
        "url": "http://server:8080/",
    }
    return LoadSummary(**{**values, **changes})


def full_run(name="run-1", seed=1, rounds=10, slower=1.0, **changes):
    """A run with a picture of every kind, and one probe that is invalid."""
    return Run(header(name, **changes), _full_results(seed, rounds, slower))


@functools.cache  # 120,000 draws
def _full_results(seed, rounds, slower):
    draw = random.Random(seed)
    middles = {"direct": 100e-6, "client": 230e-6 * slower, "server": 240e-6 * slower, "both": 350e-6 * slower}

    def noisy(value):
        return [value * math.exp(draw.gauss(0, 0.05)) for _ in range(rounds)]

    latencies, overheads, loads = [], [], []
    for path, middle in middles.items():
        for percentile, factor in (("p50", 1), ("p90", 1.6), ("p99", 3)):
            latencies.append(figure("latency", noisy(middle * factor), path=path, percentile=percentile))
            if path != "direct":
                over = noisy((middle - middles["direct"]) * factor)
                overheads.append(figure("latency.overhead", over, path=path, percentile=percentile))
        loads += [load(draw, path, number, middle) for number in (1, 2, 3)]
    growth = [figure("effect.time", noisy(0.05 + 0.0004 * size), services=str(size)) for size in (10, 100, 1000)]
    throughput = [figure("throughput", noisy(14000), "1/s", "higher", path="direct")]
    lag = Invalidity("schedule lag", "4.20 ms late in 1 of 100 sends", "1 ms", "both, round 3")
    return (
        ProbeResult("latency-overhead", "Latency that the mesh adds", (*latencies, *overheads), (), tuple(loads),
                    ("Both sidecars speak mTLS.",), 1_800_000_000.0, 95.0),
        ProbeResult("throughput-ceiling", "Requests per second at most", tuple(throughput), (lag,), (), (), 1.8e9, 30),
        ProbeResult("effect-growth", "Time to effect by the number of services", tuple(growth), (), (), (), 1.8e9, 60),
        ProbeResult("proxy-cost", "What a proxy takes", (
            figure("proxy.memory", noisy(66e6), "bytes", path="both"),
            figure("proxy.cpu", noisy(0.144), "cores", path="both"),
            Figure("split.error", "share", 0.004, samples=(0.004,)),
            Figure("restart.errors", "count", 0.0),
        ), (), (), (), 1.8e9, 5.0),
    )
