"""Whether figures changed between two groups of runs, beyond noise, by a stated test.

With enough runs a side their values are compared: what differs from run to run of the same release is then part of the
noise. With fewer, the rounds within the runs are all there is. Rounds that follow each other are alike, and a test of
them alone sees changes where there are none: in simulations with correlations of 0.7, eleven times in a hundred. So
the intervals of all runs of one side must then also lie apart from those of the other, and the change be 1.5 times as
large as the wider of them (2.5 with fewer than 8 rounds, which have no interval of 99 %): under 1 in 100 with the
same correlation. How runs differ stays unknown, and the report says so.

The test deals the measurements out anew (`permutation.py`): the chance that any figure of an unchanged mesh is called
changed is at most alpha, for all figures together. How large a change is comes from `shift.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from conformance.performance.comparing.comparison import Change, Comparison, Incomparable, Left, Verdict
from conformance.performance.comparing.kinship import check, differences
from conformance.performance.comparing.permutation import CLAMP, Block, Dealings, deviation
from conformance.performance.comparing.rendering import markdown, render
from conformance.performance.comparing.shift import Shift, shift
from conformance.performance.comparing.thresholds import Judged, Threshold, ThresholdError, judge, violations
from conformance.performance.model import Figure, Run

__all__ = [
    "Change", "Comparison", "Incomparable", "Judged", "Left", "Threshold", "ThresholdError", "compare", "judge",
    "markdown", "render", "violations",
]  # fmt: skip

ALPHA: Final = 0.01
CLEAR: Final = 1.5
"""How many times the wider interval a change between rounds must be."""
CLEAR_OF_FEW: Final = 2.5
"""The same with fewer than 8 rounds on a side."""
FEWEST_RUNS: Final = 4
"""Runs a side, at least, for their values to be compared; alpha may ask for more (5 at 0.01)."""


@dataclass(frozen=True)
class _Side:
    """What one side has of a figure: what is dealt out, and the interval that covers those of all runs."""

    values: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True)
class _Pair:
    """A figure on both sides; `group` tells which figures were measured together."""

    figure: Figure
    counted: Literal["runs", "rounds"]
    before: _Side
    after: _Side
    group: tuple[object, ...]


def compare(
    baseline: Sequence[Run], candidate: Sequence[Run], *, alpha: float = ALPHA, force: bool = False,
    across_meshes: bool = False,
) -> Comparison:
    """Compare the figures of two groups of runs; what passed no validity gate is no figure, and is named as left out.

    Raises `Incomparable` when the runs differ in more than the mesh's version, unless `force`; with `across_meshes`
    the sides may have different meshes. Raises ValueError for an alpha that is no rate of false alarms.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a rate of false alarms lies between 0 and 1, not at {alpha}")
    check(baseline, candidate)
    differing = differences(baseline, candidate, across_meshes=across_meshes)
    if differing and not force:
        raise Incomparable(differing)
    olds, news = [_valid(run) for run in baseline], [_valid(run) for run in candidate]
    old_keys, new_keys = _keys(olds), _keys(news)
    pairs: list[_Pair] = []
    left: list[Left] = []
    for key in (key for key in old_keys if key in new_keys):
        found = _pair([run.get(key) for run in olds], [run.get(key) for run in news], alpha)
        pairs += [found] if isinstance(found, _Pair) else []
        left += [Left(key, found)] if isinstance(found, str) else []
    gone, invalid_now = _missing(baseline, candidate)
    new, invalid_then = _missing(candidate, baseline)
    return Comparison(
        tuple(run.header.run for run in baseline), tuple(run.header.run for run in candidate), alpha,
        tuple(_judged(pairs, alpha)),
        new=new, gone=gone, left=(*left, *invalid_now, *invalid_then), differences=differing,
        notes=tuple(_notes(baseline, candidate, pairs, alpha)),
    )


def _valid(run: Run) -> dict[str, Figure]:
    return {figure.key: figure for figure in run.figures}


def _keys(runs: Sequence[Mapping[str, Figure]]) -> dict[str, None]:
    return {key: None for run in runs for key in run}


def _missing(these: Sequence[Run], those: Sequence[Run]) -> tuple[tuple[str, ...], tuple[Left, ...]]:
    """Return the figures of these runs that none of those has, without and with a gate that may have kept them out."""
    known = _keys([_valid(run) for run in those])
    closed = {result.probe: f"not among the valid figures of {run.header.run}: {result.invalid[0]}"
              for run in those for result in run.results if result.invalid}
    probes = {figure.key: result.probe for run in these for result in run.results for figure in result.figures}
    absent = {key: closed.get(probe) for key, probe in probes.items() if key not in known}
    return (tuple(key for key, why in absent.items() if why is None),
            tuple(Left(key, why) for key, why in absent.items() if why is not None))


def _pair(before: Sequence[Figure | None], after: Sequence[Figure | None], alpha: float) -> _Pair | str:
    """Set both sides of a figure against each other, or say why they cannot be."""
    olds, news = [figure for figure in before if figure], [figure for figure in after if figure]
    figure = news[-1]
    for other in (*olds, *news):
        if (other.unit, other.better) != (figure.unit, figure.better):
            kinds = [f"{f.unit} with {f.better or 'neither'} better" for f in (other, figure)]
            return f"is in {kinds[0]}, and in {kinds[1]}: not the same figure"
    if min(len(olds), len(news)) >= FEWEST_RUNS and _least(len(olds), len(news)) <= alpha:
        which = (tuple(bool(figure) for figure in before), tuple(bool(figure) for figure in after))
        sides = [_Side(tuple(f.value for f in side), 0.0, 0.0) for side in (olds, news)]
        return _Pair(figure, "runs", sides[0], sides[1], ("runs", *which))
    sides = [_rounds(side) for side in (olds, news)]
    sizes = [len(side.values) for side in sides]
    if min(sizes) < 2:
        return f"has {sizes[0]} and {sizes[1]} values: too few to know the noise; repeat runs, 5 a side or more"
    return _Pair(figure, "rounds", sides[0], sides[1], ("rounds", *sizes))


def _least(before: int, after: int) -> float:
    """The smallest p-value that groups of these sizes can have."""
    return Block(before, ((0.0,) * (before + after),)).least


def _rounds(figures: Sequence[Figure]) -> _Side:
    values = tuple(value for figure in figures for value in (figure.samples or (figure.value,)))
    lows = [figure.low for figure in figures if figure.low is not None]
    highs = [figure.high for figure in figures if figure.high is not None]
    # Rounds are the noise where a figure has no interval; where it has, an outlier is no part of it.
    if len(lows) < len(figures):
        lows, highs = [*lows, *values], [*highs, *values]
    return _Side(values, min(lows), max(highs))


def _judged(pairs: Sequence[_Pair], alpha: float) -> list[Change]:
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        groups[pair.group].append(number)
    dealings = Dealings([
        Block(len(pairs[numbers[0]].before.values),
              tuple(pairs[number].before.values + pairs[number].after.values for number in numbers))
        for numbers in groups.values()
    ])
    level = dealings.critical(alpha)
    chances = {number: chance for numbers, values in zip(groups.values(), dealings.p_values(), strict=True)
               for number, chance in zip(numbers, values, strict=True)}
    return [_change(pair, chances[number], level, alpha) for number, pair in enumerate(pairs)]


def _change(pair: _Pair, p_value: float, level: float, alpha: float) -> Change:
    before, after = pair.before.values, pair.after.values
    moved = shift(before, after, 1 - alpha)
    changed = p_value <= alpha and moved.excludes_zero and _apart(pair, moved)
    return Change(
        pair.figure.key, pair.figure.unit, _verdict(pair.figure, moved) if changed else "no difference",
        pair.counted, (len(before), len(after)), median(before), median(after),
        moved.value, moved.low, moved.high, moved.confidence, p_value, _smallest(pair, moved, level),
    )


def _verdict(figure: Figure, moved: Shift) -> Verdict:
    if not figure.better:
        return "changed"
    return "better" if (moved.value < 0) == (figure.better == "lower") else "worse"


def _apart(pair: _Pair, moved: Shift) -> bool:
    before, after = pair.before, pair.after
    if pair.counted == "runs":
        return True
    disjoint = before.high < after.low or after.high < before.low
    return disjoint and abs(moved.value) > _clear(before, after)


def _clear(before: _Side, after: _Side) -> float:
    factor = CLEAR if min(len(before.values), len(after.values)) >= 8 else CLEAR_OF_FEW
    return factor * max(before.high - before.low, after.high - after.low)


def _smallest(pair: _Pair, moved: Shift, level: float) -> float | None:
    """The least change that all conditions together would have let pass, with this noise about a found middle."""
    if not math.isfinite(level):
        return None
    before, after = pair.before, pair.after
    sizes = len(before.values), len(after.values)
    error = _spread(before.values, after.values) * math.sqrt(1 / sizes[0] + 1 / sizes[1])
    least = max(deviation(level, sum(sizes)) * error, moved.value - moved.low, moved.high - moved.value)
    if pair.counted == "runs":
        return least
    old, new = median(before.values), median(after.values)
    touching = max(before.high - old + new - after.low, old - before.low + after.high - new)
    return max(least, touching, _clear(before, after))


def _spread(before: Sequence[float], after: Sequence[float]) -> float:
    """The standard deviation within groups, outliers pulled in as the test does."""
    rest = [value - median(side) for side in (before, after) for value in side]
    limit = CLAMP * median(abs(value) for value in rest) or math.inf
    return math.sqrt(math.fsum(min(abs(value), limit) ** 2 for value in rest) / (len(rest) - 2))


def _notes(
    baseline: Sequence[Run], candidate: Sequence[Run], pairs: Sequence[_Pair], alpha: float,
) -> list[str]:
    said = []
    enough = next(size for size in range(FEWEST_RUNS, 40) if _least(size, size) <= alpha or size == 39)
    rounds = sum(pair.counted == "rounds" for pair in pairs)
    if rounds:
        said.append(
            f"The noise between runs is unknown for {rounds} of {len(pairs)} figures: with {len(baseline)} and "
            f"{len(candidate)} runs, their rounds were compared. Repeat runs to be sure, {enough} a side or more.")
    partly = {result.probe: (run.header.run, result.invalid[0]) for run in (*baseline, *candidate)
              for result in run.results if result.invalid}
    said += [f"{probe} is invalid, or part of it, in {run}: {why}" for probe, (run, why) in partly.items()]
    return said
