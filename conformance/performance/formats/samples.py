"""Latencies of the results that are logs of single requests, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from conformance.performance.histogram import Histogram

_SHARES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Latencies:
    """What single latencies amount to, in seconds; all None, and no percentiles, where there were none."""

    mean: float | None
    min: float | None
    max: float | None
    percentiles: dict[float, float]
    histogram: Histogram | None


def summarise(nanoseconds: Sequence[int]) -> Latencies:
    """Return the figures of latencies, percentiles by nearest rank where a sample lies beyond them."""
    ordered = sorted(nanoseconds)
    if not ordered:
        return Latencies(None, None, None, {}, None)
    count = len(ordered)
    histogram = Histogram()
    for value in ordered:
        histogram.record(value)
    # -int(-x // 1) rounds up, which is what the nearest rank is.
    ranks = {share: max(1, -int(-share * count // 1)) for share in _SHARES if count * (1 - share) >= 1}
    return Latencies(sum(ordered) / count / 1e9, ordered[0] / 1e9, ordered[-1] / 1e9,
                     {share: ordered[rank - 1] / 1e9 for share, rank in ranks.items()}, histogram)
