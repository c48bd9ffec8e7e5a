"""How far one group of measurements lies from another: Hodges and Lehmann's shift, with its exact interval.

The shift is the median of all differences between a value of the one and a value of the other (Hodges and Lehmann,
1963): half of an improvement or a worsening that one outlier cannot fake. Its interval is what the Mann-Whitney test
would not reject (Bauer, 1972), exact for any distribution, and wider than promised where values are tied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, median
from typing import Final

EXACT: Final = 60
"""Above so many values in both groups together, the distribution of ranks is taken for normal."""


@dataclass(frozen=True)
class Shift:
    """From the first group to the second, in their unit; `confidence` is what the sizes allow, at most as asked."""

    value: float
    low: float
    high: float
    confidence: float

    @property
    def excludes_zero(self) -> bool:
        """Whether there is a shift at all, at this confidence."""
        return not self.low <= 0 <= self.high


def shift(before: Sequence[float], after: Sequence[float], confidence: float) -> Shift:
    """Estimate the shift from `before` to `after`. Raises ValueError for an empty group."""
    if not before or not after:
        raise ValueError("a shift is between two groups of values, and one is empty")
    differences = sorted(new - old for new in after for old in before)
    outside, reached = _outside(len(before), len(after), confidence)
    return Shift(median(differences), differences[outside], differences[-1 - outside], reached)


@cache
def _outside(before: int, after: int, confidence: float) -> tuple[int, float]:
    """Return how many differences may lie beyond either end, and the confidence that this has."""
    product = before * after
    if before + after > EXACT:
        # The chance of fewer is the normal one's, with the correction for whole numbers.
        deviation = math.sqrt(product * (before + after + 1) / 12)
        outside = int(product / 2 - NormalDist().inv_cdf((1 + confidence) / 2) * deviation - 0.5)
        return max(0, outside), confidence
    ways = math.comb(before + after, after)
    # Even no difference of the other sign happens by chance, twice in all ways to order the two groups.
    outside, reached, below = 0, 1 - 2 / ways, 0
    for beyond, count in enumerate(_ranks(before, after)):
        below += count
        if 1 - 2 * below / ways < confidence:
            break
        outside, reached = beyond, confidence
    return outside, max(0.0, min(confidence, reached))


@cache
def _ranks(before: int, after: int) -> tuple[int, ...]:
    """Count the orders of both groups by Mann and Whitney's U: the coefficients of the Gaussian binomial."""
    counts = [1] + [0] * (before * after)
    for part in range(1, after + 1):
        for place in range(len(counts) - 1, before + part - 1, -1):
            counts[place] -= counts[place - before - part]
        for place in range(part, len(counts)):
            counts[place] += counts[place - part]
    return tuple(counts)
