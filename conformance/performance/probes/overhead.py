"""What the rounds of several paths say: latencies, what the mesh adds to them, and what it leaves of the throughput."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.performance.bench import PERCENTILES, Series, merged
from conformance.performance.findings import Findings
from conformance.performance.paths import AGAIN, DIRECT
from conformance.performance.validity import beyond, saturated


def latencies(
    findings: Findings, series: Series, percentiles: Mapping[str, float] = PERCENTILES, **labels: str,
) -> None:
    """Record each path's response times, and how they differ from the direct path's of the same rounds.

    The direct path measured twice is the noise: a difference that is not well above it is none. Of a percentile with
    too few requests beyond it there is no figure.
    """
    usable: dict[str, Mapping[str, float]] = {}
    for path in series.valid:
        count = sum(measured.result.completed for measured in series.rounds[path])
        usable[path] = reported(findings, count, percentiles, path, *labels.values())
        for percentile, share in usable[path].items():
            findings.median("latency", "s", series.percentiles(path, share),
                            {"path": path, "percentile": percentile, **labels})
    for path in series.valid:
        if path == DIRECT:
            continue
        name = "latency.noise" if path == AGAIN else "latency.overhead"
        for percentile, share in usable[path].items():
            if percentile in usable.get(DIRECT, ()):
                findings.difference(
                    name, "s", series.percentiles(DIRECT, share), series.percentiles(path, share),
                    {"path": path, "percentile": percentile, **labels}, better="" if path == AGAIN else "lower")


def reported(findings: Findings, count: int, percentiles: Mapping[str, float], *where: str) -> dict[str, float]:
    """Return those percentiles that so many requests allow to be reported; record the others as invalid."""
    short = {name: beyond(count, share, ", ".join([*where, name])) for name, share in percentiles.items()}
    for invalid in short.values():
        findings.invalid(invalid)
    return {name: share for name, share in percentiles.items() if not short[name]}


def ceilings(findings: Findings, series: Series, **labels: str) -> None:
    """Record each path's rate when it is given all it takes, and the share of the direct path's that is left.

    A path with sidecars whose client was the limit has no figure. Without a sidecar that is as it should be.
    """
    rates = {}
    for path in series.valid:
        limited = saturated(merged([measured.result for measured in series.rounds[path]]), path)
        if limited and path in (DIRECT, AGAIN):
            findings.note(f"{path}: the client itself was the limit; without the mesh even more may be possible.")
        elif limited:
            findings.invalid(limited)
            continue
        rates[path] = series.per_round(path, lambda measured: measured.result.achieved)
    for path, found in rates.items():
        findings.median("throughput", "1/s", found, {"path": path, **labels}, better="higher")
    for path, found in rates.items():
        if path not in (DIRECT, AGAIN) and DIRECT in rates:
            findings.ratio("throughput.left", rates[DIRECT], found, {"path": path, **labels})
