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

    Of a percentile with too few requests beyond it there is no figure.

    The direct path measured twice is the noise: a difference that is not well above it is none.
    """
    usable: dict[str, list[str]] = {}
    for path in series.valid:
        count = sum(measured.result.completed for measured in series.rounds[path])
        for name, share in percentiles.items():
            short = beyond(count, share, ", ".join([path, *labels.values(), name]))
            findings.invalid(short)
            if short:
                continue
            usable.setdefault(path, []).append(name)
            findings.median("latency", "s", series.percentiles(path, share),
                            {"path": path, "percentile": name, **labels})
    for path in series.valid:
        if path == DIRECT:
            continue
        name = "latency.noise" if path == AGAIN else "latency.overhead"
        for percentile in (one for one in usable.get(path, ()) if one in usable.get(DIRECT, ())):
            share = percentiles[percentile]
            findings.difference(
                name, "s", series.percentiles(DIRECT, share), series.percentiles(path, share),
                {"path": path, "percentile": percentile, **labels}, better="" if path == AGAIN else "lower")


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
