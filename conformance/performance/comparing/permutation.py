"""Which of many figures changed between two groups of measurements, by permutation, with few false alarms overall.

Under the hypothesis that nothing changed, every way to deal the measurements out to the two groups is as likely as the
one that happened, whatever their distribution. The most extreme figure of each dealing tells how extreme a figure
must be to stand out among all (Westfall and Young, *Resampling-Based Multiple Testing*, 1993, step-down maxT). That
holds Holm's guarantee, and can say "changed" of any number of figures with 5 measurements a side, where Holm's
correction of single tests would need 8 a side for 60 figures: all figures of one measurement move together.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

EXACT: Final = 5_000
"""Up to so many dealings are all tried: 7 measurements a side. Of more, so many are drawn, the same ones each time."""
CLAMP: Final = 3.0
"""Values further from the median of both groups than so many typical deviations count as being there."""


@dataclass(frozen=True)
class Block:
    """Figures measured together: `rows[i]` are the values of figure i, in the same order of measurements in each.

    The first `size` measurements are the first group. Figures of one block are dealt out together.
    """

    size: int
    rows: tuple[tuple[float, ...], ...]

    @property
    def total(self) -> int:
        """The number of measurements in both groups."""
        return len(self.rows[0])

    @property
    def least(self) -> float:
        """The smallest p-value that this many measurements can have."""
        ways = math.comb(self.total, self.size)
        least = (2 if 2 * self.size == self.total else 1) / ways
        return max(least, 1 / EXACT) if ways > EXACT else least


@dataclass(frozen=True)
class _Dealt:
    """How extreme each figure of a block is as measured, and at most in each dealing among it and the less extreme."""

    order: tuple[int, ...]
    observed: tuple[float, ...]
    highest: tuple[tuple[float, ...], ...]
    drawn: bool

    def reach(self, place: int, level: float) -> float:
        """The share of dealings in which some figure from `place` on is as extreme as `level`."""
        if place >= len(self.order):
            return 0.0
        highest = self.highest[place]
        count = len(highest) - bisect.bisect_left(highest, level * (1 - 1e-9))
        # What was measured is one of the ways; when ways are drawn, it is counted among them (Phipson and Smyth, 2010).
        return (count + 1) / (len(highest) + 1) if self.drawn else count / len(highest)


class Dealings:
    """All blocks of one comparison, dealt out."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = tuple(blocks)
        self._dealt = tuple(_deal(block) for block in blocks)

    def p_values(self) -> list[list[float]]:
        """Return the adjusted p-value of each figure of each block.

        Calling "changed" all that are at most alpha names, with at least the chance 1 - alpha, none that did not.
        Blocks are dealt out apart and their chances added (Bonferroni), which holds however they depend.
        """
        values = [[1.0] * len(block.rows) for block in self._blocks]
        places = [0] * len(self._dealt)
        floor = 0.0
        while True:
            waiting = [(dealt.observed[places[i]], i) for i, dealt in enumerate(self._dealt)
                       if places[i] < len(dealt.order)]
            if not waiting:
                return values
            level, block = max(waiting)
            chance = sum(dealt.reach(places[i], level) for i, dealt in enumerate(self._dealt))
            floor = max(floor, min(1.0, chance))
            values[block][self._dealt[block].order[places[block]]] = floor
            places[block] += 1

    def critical(self, alpha: float) -> float:
        """Return how extreme one of the figures that did not stand out would have had to be to have at most alpha.

        Infinite when no figure of so few measurements can.
        """
        p_values = self.p_values()
        places = [min(sum(value <= alpha for value in values), max(0, len(values) - 1)) for values in p_values]
        levels = sorted({level for dealt, place in zip(self._dealt, places, strict=True) if dealt.order
                         for level in dealt.highest[place]})

        def rare(level: float) -> bool:
            return sum(dealt.reach(place, level) for dealt, place in zip(self._dealt, places, strict=True)) <= alpha

        place = bisect.bisect_left(levels, x=True, key=rare)
        return levels[place] if place < len(levels) else math.inf


def deviation(level: float, total: int) -> float:
    """Return the t (difference of means over its standard error) that is as extreme as a level of `Dealings`."""
    freedom = total - 2
    return math.sqrt(freedom * math.expm1((level / _shrink(freedom)) ** 2 / freedom))


def _shrink(freedom: int) -> float:
    return (8 * freedom + 1) / (8 * freedom + 3)


def _level(z: float, total: int) -> float:
    """Turn a standardised sum into a normal deviate, so that blocks of different size compare (Wallace, 1959)."""
    freedom = total - 2
    rest = max(total - 1 - z * z, 1e-12)
    squared = freedom * z * z / rest
    return _shrink(freedom) * math.sqrt(freedom * math.log1p(squared / freedom))


def _deal(block: Block) -> _Dealt:
    if not block.rows:
        return _Dealt((), (), (), drawn=False)
    rows = [_standard(row) for row in block.rows]
    scale = math.sqrt(block.size * (block.total - block.size) / block.total)
    observed = [abs(math.fsum(row[: block.size])) / scale for row in rows]
    order = sorted(range(len(rows)), key=lambda index: -observed[index])
    ways = math.comb(block.total, block.size)
    highest: list[list[float]] = [[] for _ in rows]
    backwards = [(rows[index], highest[place]) for place, index in reversed(list(enumerate(order)))]
    for chosen in _choices(block, ways):
        most = 0.0
        for row, levels in backwards:
            most = max(most, abs(sum([row[index] for index in chosen])))
            levels.append(most)
    return _Dealt(
        tuple(order),
        tuple(_level(observed[index], block.total) for index in order),
        tuple(tuple(_level(value / scale, block.total) for value in sorted(levels)) for levels in highest),
        drawn=ways > EXACT,
    )


def _choices(block: Block, ways: int) -> Iterator[Sequence[int]]:
    everyone = range(block.total)
    if ways <= EXACT:
        return itertools.combinations(everyone, block.size)
    draw = random.Random(block.total)  # noqa: S311 - the same measurements have the same answer
    return (draw.sample(everyone, block.size) for _ in range(EXACT))


def _standard(row: Sequence[float]) -> list[float]:
    """Bring a figure's values to mean 0 and variance 1, outliers pulled in; all zero when they do not vary.

    All this looks at both groups as one, so that it is the same for each dealing and the test stays exact.
    """
    middle = median(row)
    spread = median([abs(value - middle) for value in row])
    if spread:
        row = [min(max((value - middle) / spread, -CLAMP), CLAMP) for value in row]
    mean = math.fsum(row) / len(row)
    variance = math.fsum((value - mean) ** 2 for value in row) / (len(row) - 1)
    deviation = math.sqrt(variance)
    # Differences at the edge of floating point are none.
    if deviation <= 1e-12 * max(abs(value) for value in row):
        return [0.0] * len(row)
    return [(value - mean) / deviation for value in row]
