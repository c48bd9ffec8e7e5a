"""Paired, interleaved measurement: what differs between variants that were measured side by side, with an interval.

A machine drifts: an hour later the same path takes another time. So each round measures every variant once, in an order
drawn anew, and only differences within a round count (as in a paired experiment; Kalibera and Jones, *Rigorous
benchmarking in reasonable time*, ISMM 2013, on why single runs mislead).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

CONFIDENCE: Final = 0.99
"""Of every interval, as far as the number of rounds allows: 1 in 100 pairs of identical paths is called different."""
RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Estimate:
    """A median with an interval; `confidence` is what the number of samples allows, at most what was asked for."""

    value: float
    low: float
    high: float
    confidence: float

    @property
    def differs(self) -> bool:
        """Whether 0 is outside the interval: of a difference, whether there is one."""
        return not self.low <= 0 <= self.high

    @property
    def margin(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def orders(variants: Sequence[str], rounds: int, seed: int) -> list[list[str]]:
    """Return the order of the variants in each round: drawn, so that none always follows the same other one."""
    draw = random.Random(seed)  # noqa: S311 - an order, not a secret
    return [draw.sample(list(variants), len(variants)) for _ in range(rounds)]


def differences(base: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return `other - base` of each round. Raises ValueError unless both have the same rounds."""
    if len(base) != len(other):
        raise ValueError(f"{len(base)} rounds cannot be paired with {len(other)}")
    return [after - before for before, after in zip(base, other, strict=True)]


def ratios(base: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return `other / base` of each round. Raises ValueError as `differences`, and where a base is 0."""
    if len(base) != len(other) or not all(base):
        raise ValueError(f"{len(base)} rounds, {sum(not value for value in base)} of them 0, are no base for a ratio")
    return [after / before for before, after in zip(base, other, strict=True)]


def difference(base: Sequence[float], other: Sequence[float]) -> Estimate:
    """Estimate the median of `differences`. Raises ValueError as they do."""
    return estimate(differences(base, other))


def estimate(samples: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the median of what the samples were drawn from.

    The interval is the bootstrap's (percentiles of resampled medians; Efron, 1979), widened to that of the order
    statistics wherever it is narrower: with few rounds the bootstrap alone promises more than it holds, while the order
    statistics hold whatever the distribution. Below 8 samples 99 % cannot be reached, and the confidence says so.
    Raises ValueError for no samples, or one that is not finite.
    """
    if not samples or not all(math.isfinite(value) for value in samples):
        raise ValueError(f"no median of {list(samples)[:5]}")
    ordered = sorted(samples)
    depth, reached = _depth(len(ordered), confidence)
    low, high = ordered[depth], ordered[-1 - depth]
    resampled = _resampled(ordered)
    tail = (1 - reached) / 2
    edge = min(len(resampled) - 1, int(tail * len(resampled)))
    return Estimate(median(ordered), min(low, resampled[edge]), max(high, resampled[-1 - edge]), reached)


def _depth(size: int, confidence: float) -> tuple[int, float]:
    """Return how many samples may lie outside on each side, and the confidence that this has.

    The median is below the k-th smallest of n samples with the chance of fewer than k heads in n tosses.
    """
    chance = 0.5 ** size
    depth, below = 0, chance
    while depth + 1 < size / 2:
        chance *= (size - depth) / (depth + 1)
        if 1 - 2 * (below + chance) < confidence:
            break
        below += chance
        depth += 1
    return depth, min(confidence, max(0.0, 1 - 2 * below))


def _resampled(samples: Sequence[float]) -> list[float]:
    draw = random.Random(len(samples))  # noqa: S311 - the same samples have the same interval
    return sorted(median(draw.choices(samples, k=len(samples))) for _ in range(RESAMPLES))
