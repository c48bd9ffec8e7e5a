"""How a cost grows with scale: a straight line through measurements at several sizes, robust against outliers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from conformance.performance.findings import Findings
from conformance.performance.model import Unit
from conformance.performance.paired import CONFIDENCE, RESAMPLES, Estimate

_RESAMPLES: Final = RESAMPLES // 4
"""Fewer than for medians: each costs a fit of all pairs."""


@dataclass(frozen=True)
class Growth:
    """A line `at_zero + slope * size`; both in the measured unit, `slope` per unit of size with its interval."""

    at_zero: float
    slope: Estimate

    def at(self, size: float) -> float:
        """Return the line's value at a size."""
        return self.at_zero + self.slope.value * size


def fit(samples: Mapping[int, Sequence[float]], confidence: float = CONFIDENCE) -> Growth:
    """Fit a line to samples by size: Theil and Sen's, the median of the slopes between all pairs of different size.

    The interval resamples within each size (a stratified bootstrap). Raises ValueError for fewer than two sizes.
    """
    if len(samples) < 2 or not all(samples.values()):
        raise ValueError(f"growth needs samples at two sizes or more, not {sorted(samples)}")
    slope = _slope(samples)
    draw = random.Random(len(samples))  # noqa: S311 - the same samples have the same interval
    resampled = sorted(
        _slope({size: draw.choices(values, k=len(values)) for size, values in samples.items()})
        for _ in range(_RESAMPLES)
    )
    edge = int((1 - confidence) / 2 * len(resampled))
    at_zero = median(value - slope * size for size, values in samples.items() for value in values)
    return Growth(at_zero, Estimate(slope, resampled[edge], resampled[-1 - edge], confidence))


def record(
    findings: Findings, name: str, unit: Unit, samples: Mapping[int, Sequence[float]], *, per: str,
) -> None:
    """Record the slope as a figure: what one more `per` costs. Sizes without valid samples are left out and named."""
    known = {size: values for size, values in samples.items() if values}
    for size in sorted(samples.keys() - known.keys()):
        findings.note(f"{name} leaves out {size}: what was measured there is not valid.")
    if len(known) < 2:
        findings.note(f"{name} needs valid measurements at two sizes or more.")
        return
    growth = fit(known)
    findings.shown(name, unit, growth.slope, [growth.slope.value], {"per": per})
    findings.note(f"With n, the number of {per}s, it takes {growth.at_zero:.3g} s + n * {growth.slope.value:.3g} s "
                  f"({growth.slope.low:.3g} to {growth.slope.high:.3g} s each).")


def _slope(samples: Mapping[int, Sequence[float]]) -> float:
    return median(
        (after - before) / (larger - smaller)
        for smaller, larger in itertools.combinations(sorted(samples), 2)
        for before, after in zip(_spread(samples[smaller]), _spread(samples[larger]), strict=True)
    )


def _spread(values: Sequence[float], count: int = 21) -> list[float]:
    """Return quantiles of some values, so that sizes with many samples weigh no more than others with few."""
    ordered = sorted(values)
    return [ordered[round(place * (len(ordered) - 1) / (count - 1))] for place in range(count)]
