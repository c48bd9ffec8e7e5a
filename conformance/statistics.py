"""Exact tests of counts, and the sample sizes that make them mean something.

A share is judged by the exact two-sided binomial test. Its p-value is, by convention, twice the smaller tail
(the observed count included), at most 1: the test then rejects exactly outside one interval of counts, with at
most alpha/2 on either side, so that a report can print the interval. There is no approximation: tails are summed
from the binomial probabilities (relative error below 1e-10 for samples up to 10,000).

Counts are taken for independent draws. A proxy that balances per connection makes them dependent: samples must
use fresh connections.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

FALSE_ALARM_SUITE = 1e-4
"""The most that one run of the whole suite may fail a mesh that does everything right, by chance."""

ALPHA = 1e-6
"""The false-alarm rate of one statistical check: a suite may make a hundred of them."""

Share = float | Fraction


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval of counts."""

    low: int
    high: int

    def __contains__(self, count: int) -> bool:
        return self.low <= count <= self.high

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How counts compare with the shares that were wanted.

    `p_value` is corrected for the number of tests: the counts are rejected when it is at most `alpha`.
    `accepted` gives the interval each count must lie in, `outside` the categories whose count does not.
    """

    size: int
    alpha: float
    p_value: float
    accepted: Mapping[str, Interval]
    outside: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the counts are compatible with the shares."""
        return not self.outside


def _check(size: int, share: Share, alpha: float | None = None) -> float:
    if size < 0:
        raise ValueError(f"a sample cannot have {size} requests")
    _probability(share, "a share")
    if alpha is not None and not 0 < alpha < 1:
        raise ValueError(f"a false-alarm rate lies between 0 and 1, not at {alpha}")
    return float(share)


def _probability(value: Share, what: str) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} lies between 0 and 1, not at {float(value)}")


def _mass(count: int, size: int, share: float) -> float:
    """The probability of exactly `count`; `share` is neither 0 nor 1."""
    log_ways = math.lgamma(size + 1) - math.lgamma(count + 1) - math.lgamma(size - count + 1)
    return math.exp(log_ways + count * math.log(share) + (size - count) * math.log1p(-share))


def at_most(count: int, size: int, share: Share) -> float:
    """P(X ≤ count) for X binomial: the chance of so few, or fewer."""
    p = _check(size, share)
    if count < 0:
        return 0.0
    if count >= size or p == 0:
        return 1.0
    if p == 1:
        return 0.0
    if count > size * p:
        return max(0.0, 1.0 - at_least(count + 1, size, p))
    # Below the mean the terms fall away from the count downwards, at least geometrically in the far tail.
    return _fading_sum(_mass(count, size, p), range(count, 0, -1), lambda k: k * (1 - p) / ((size - k + 1) * p))


def at_least(count: int, size: int, share: Share) -> float:
    """P(X ≥ count) for X binomial: the chance of so many, or more."""
    p = _check(size, share)
    if count <= 0:
        return 1.0
    if count > size or p == 0:
        return 0.0
    if p == 1:
        return 1.0
    if count < size * p:
        return max(0.0, 1.0 - at_most(count - 1, size, p))
    return _fading_sum(_mass(count, size, p), range(count, size), lambda k: (size - k) * p / ((k + 1) * (1 - p)))


def _fading_sum(first: float, indices: Iterable[int], ratio: Callable[[int], float]) -> float:
    """The sum of terms that each are `ratio(index)` times the one before, until they no longer count."""
    terms = [first]
    term = first
    for index in indices:
        term *= ratio(index)
        if term < first * 1e-18:
            break
        terms.append(term)
    return min(1.0, math.fsum(terms))


def binomial_test(count: int, size: int, share: Share) -> float:
    """The two-sided p-value of `count` in `size` draws when `share` was wanted: twice the smaller tail."""
    if not 0 <= count <= size:
        raise ValueError(f"{count} of {size} is not a count of a sample")
    return min(1.0, 2 * min(at_most(count, size, share), at_least(count, size, share)))


@lru_cache(maxsize=4096)
def acceptance(size: int, share: Share, alpha: float = ALPHA) -> Interval:
    """The counts that the test at false-alarm rate `alpha` accepts, exactly those with a p-value above it."""
    p = _check(size, share, alpha)
    low = _first(0, size, lambda k: at_most(k, size, p) > alpha / 2)
    high = size - _first(0, size, lambda k: at_least(size - k, size, p) > alpha / 2)
    return Interval(low, high)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first integer from which a condition that stays true holds; `high` must satisfy it."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def judge(counts: Mapping[str, int], weights: Mapping[str, Share], alpha: float = ALPHA) -> Judgement:
    """Judge the counts of a sample against relative weights, category by category.

    Each category is tested on its own and alpha divided by the number of tests (Bonferroni), so that the whole
    raises a false alarm with at most `alpha` whatever the dependence. Two categories need one test, because one
    count gives the other. A category of weight 0, or that has no weight, must have the count 0: that needs no
    part of alpha, it cannot fail by chance. Raises `ValueError` when the weights add up to nothing.
    """
    total = sum((Fraction(weight) for weight in weights.values()), Fraction(0))
    if total <= 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError(f"weights must be at least 0 and one of them more: {dict(weights)}")
    size = sum(counts.values())
    names = sorted({*counts, *weights})
    shares = {name: Fraction(weights.get(name, 0)) / total for name in names}
    open_shares = sum(0 < share < 1 for share in shares.values())
    tests = 1 if open_shares == 2 else max(1, open_shares)
    accepted = {name: acceptance(size, share, alpha / tests) for name, share in shares.items()}
    p_values = [binomial_test(counts.get(name, 0), size, share) for name, share in shares.items()]
    outside = tuple(name for name in names if counts.get(name, 0) not in accepted[name])
    return Judgement(size, alpha, min(1.0, tests * min(p_values)), accepted, outside)


def power(size: int, share: Share, actual: Share, alpha: float = ALPHA) -> float:
    """The probability that a sample of `size` rejects `share` when the truth is `actual`."""
    accepted = acceptance(size, share, alpha)
    return min(1.0, at_most(accepted.low - 1, size, actual) + at_least(accepted.high + 1, size, actual))


@lru_cache(maxsize=256)
def sample_size(share: Share, deviation: float, alpha: float = ALPHA, caught: float = 0.999) -> int:
    """The smallest sample from which on a deviation is caught with probability `caught`.

    The deviation is absolute (0.06 turns 90 % into 84 % or 96 %), in the direction that is harder to catch; a
    direction that leaves 0..1 is left out. Power is a sawtooth in the size, because counts are whole: the answer
    is the size from which it holds for every larger sample, not the first tooth that reaches it.
    Raises `ValueError` when the deviation fits in neither direction.
    """
    p = _check(1, share, alpha)
    _probability(caught, "the probability to catch a deviation")
    # Rounded, because 0.9 + 0.1 must not miss 1 by the last bit.
    directions = [q for q in (round(p - deviation, 12), round(p + deviation, 12)) if 0 <= q <= 1]
    if deviation <= 0 or caught == 1 or not directions:
        raise ValueError(f"no sample can catch a share of {p:g} off by {deviation:g} with probability {caught:g}")

    # A tooth is as long as it takes to expect one answer more of the rarer kind. Two of them without a failure, and
    # the lower edge of the saw has been passed; that condition, unlike the power itself, stays true.
    rarest = min(x for q in (p, *directions) for x in (q, 1 - q) if x > 0)
    window = 2 * math.ceil(1 / rarest)

    def catches(start: int) -> bool:
        sizes = range(start, start + window + 1)
        return all(power(size, p, q, alpha) >= caught for size in sizes for q in directions)

    below, size = 0, 1
    while not catches(size):
        below, size = size, size * 2
    return _first(below + 1, size, catches)


def sample_size_for_absence(share: float, miss: float) -> int:
    """The smallest sample that misses a leak of `share` of the traffic with probability at most `miss`."""
    if not 0 < share <= 1 or not 0 < miss < 1:
        raise ValueError(f"a leak of {share} cannot be missed with probability {miss}: both lie between 0 and 1")
    if share == 1:
        return 1
    size = max(1, math.ceil(math.log(miss) / math.log1p(-share)))
    # The quotient of two rounded logarithms can be one off where (1 - share)^n is exactly `miss`.
    if size > 1 and (1 - share) ** (size - 1) <= miss:
        size -= 1
    return size


def clopper_pearson(count: int, size: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) confidence interval of a share that was seen `count` times in `size` draws."""
    if not 0 <= count <= size or not 0 < confidence < 1:
        raise ValueError(f"{count} of {size} at confidence {confidence} has no interval")
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _root(lambda p: at_least(count, size, p) - tail)
    high = 1.0 if count == size else _root(lambda p: tail - at_most(count, size, p))
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    # 60 halvings reach the resolution of a float anywhere between 0 and 1.
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def false_alarm_of_suite(alphas: Iterable[float]) -> float:
    """A bound of the chance that any of the checks raises a false alarm: their sum, valid without independence."""
    return min(1.0, math.fsum(alphas))
