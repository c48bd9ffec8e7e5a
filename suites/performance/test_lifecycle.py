"""What it costs when pods come and go."""

from conformance.performance.paths import BOTH, DIRECT
from conformance.performance.probe import probe

STARTS = 5
RESTARTS = 3


@probe("pod-start")
def test_pod_start(lifecycle, findings):
    """Seconds from creating a workload to the first answer of its pod, with a sidecar and without."""
    taken = {way: lifecycle.starts(way, STARTS) for way in (DIRECT, BOTH)}
    for way, seconds in taken.items():
        findings.median("start.time", "s", seconds, {"path": way})
    findings.difference("start.overhead", "s", taken[DIRECT], taken[BOTH], {"path": BOTH})


@probe("rolling-restart")
def test_rolling_restart(lifecycle, bench):
    """The share of requests that fail while one of two pods is replaced, with sidecars and without."""
    for way in (DIRECT, BOTH):
        lifecycle.restarts(way, RESTARTS, rate=bench.effort.rate / 5)
