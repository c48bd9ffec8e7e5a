"""What a user demands of figures: `latency.overhead{path=both,percentile=p99} <= 2ms`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from conformance.performance.model import Figure, ProbeResult, Run, Unit
from conformance.performance.wording import interval, printable

_WRITTEN: Final = re.compile(
    r"\s*(?P<name>[a-z][a-z0-9_.-]*)\s*(?:\{(?P<labels>[^{}]*)\})?\s*"
    r"(?P<sign><=|>=|<|>)\s*(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>\S*)\s*")
_LABEL: Final = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_./-]*)\s*=\s*("([^"]*)"|'([^']*)'|[^"',=]*?)\s*""")
_LONGEST: Final = 1000

_SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}
_UNITS: Final[Mapping[str, tuple[float, tuple[Unit, ...]]]] = {
    "ns": (1e-9, ("s",)), "us": (1e-6, ("s",)), "µs": (1e-6, ("s",)), "ms": (1e-3, ("s",)), "s": (1.0, ("s",)),
    "min": (60.0, ("s",)),
    "B": (1.0, ("bytes",)), "kB": (1e3, ("bytes",)), "MB": (1e6, ("bytes",)), "GB": (1e9, ("bytes",)),
    "KiB": (2.0**10, ("bytes",)), "MiB": (2.0**20, ("bytes",)), "GiB": (2.0**30, ("bytes",)),
    "cores": (1.0, ("cores",)), "mcores": (1e-3, ("cores",)),
    "%": (0.01, ("share",)), "/s": (1.0, ("1/s",)), "": (1.0, ("count", "share")),
}


class ThresholdError(Exception):
    """A threshold cannot be read, or says nothing about the run: never a silent pass."""


@dataclass(frozen=True)
class Threshold:
    """A limit on every figure of a name that has the labels, and maybe others; `limit` in the base unit."""

    text: str
    name: str
    labels: Mapping[str, str]
    sign: str
    limit: float
    units: tuple[Unit, ...]

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Read `NAME{LABEL=VALUE,...} <= NUMBER UNIT`. Raises `ThresholdError` that says what was found."""
        shown = printable(text, 200)
        found = _WRITTEN.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None:
            raise ThresholdError(f"the threshold {shown!r} is not of the form 'latency{{percentile=p99}} <= 2ms'")
        if found["unit"] not in _UNITS:
            known = " ".join(unit for unit in _UNITS if unit)
            raise ThresholdError(f"the threshold {shown!r} has the unit {found['unit']!r:.40}; known are {known}")
        factor, units = _UNITS[found["unit"]]
        limit = float(found["number"]) * factor
        if not math.isfinite(limit):
            raise ThresholdError(f"the threshold {shown!r} has a limit that is too large for a number")
        return cls(text.strip(), found["name"], _labels(found["labels"] or "", shown), found["sign"], limit, units)

    def matches(self, figure: Figure) -> bool:
        """Tell whether it speaks of a figure."""
        return figure.name == self.name and self.labels.items() <= dict(figure.labels).items()

    def holds(self, value: float) -> bool:
        """Tell whether a value in the base unit is within the limit."""
        return _SIGNS[self.sign](value, self.limit)


@dataclass(frozen=True)
class Judged:
    """A threshold on one figure.

    `violated` when the value is beyond the limit. `doubt` says why another run may well say otherwise: the interval
    lies on both sides of the limit or there is none, or part of the probe was invalid. It is empty otherwise.
    """

    threshold: Threshold
    figure: Figure
    violated: bool
    doubt: str = ""

    @property
    def certain(self) -> bool:
        """Whether nothing speaks for another verdict."""
        return not self.doubt

    def __str__(self) -> str:
        figure = self.figure
        found = interval(figure.value, figure.low, figure.high, figure.unit)
        doubt = f" (uncertain: {printable(self.doubt, 500)})" if self.doubt else ""
        verb = "violates" if self.violated else "holds"
        return f"{printable(figure.key, 300)} = {found} {verb} {printable(self.threshold.text, 300)}{doubt}"


def judge(run: Run, thresholds: Iterable[Threshold]) -> tuple[Judged, ...]:
    """Judge every figure that a threshold speaks of.

    Raises `ThresholdError` for a threshold that speaks of no valid figure of the run, or in a unit that the figure does
    not have.
    """
    return tuple(judged for threshold in thresholds for judged in _judged(run, threshold))


def violations(run: Run, thresholds: Iterable[Threshold]) -> tuple[Judged, ...]:
    """Return those of `judge` whose value is beyond the limit. Raises `ThresholdError` as it does."""
    return tuple(judged for judged in judge(run, thresholds) if judged.violated)


def _judged(run: Run, threshold: Threshold) -> list[Judged]:
    matched = [(figure, result) for result in run.results for figure in result.figures if threshold.matches(figure)]
    figures = [figure for figure, _ in matched]
    if not figures:
        raise ThresholdError(f"the threshold {threshold.text!r} matches no valid figure; {_known(run, threshold)}")
    for figure in figures:
        if figure.unit not in threshold.units:
            units = [unit for unit, (_, bases) in _UNITS.items() if unit and figure.unit in bases]
            wanted = f"write it in {' or '.join(units)}" if units else "write a bare number"
            raise ThresholdError(f"the threshold {threshold.text!r} is not in the unit of {figure.key}; {wanted}")
    return [_one(threshold, figure, result) for figure, result in matched]


def _one(threshold: Threshold, figure: Figure, result: ProbeResult) -> Judged:
    holds = threshold.holds(figure.value)
    doubt = ""
    if figure.low is None or figure.high is None:
        doubt = "the figure has no interval"
    elif not threshold.holds(figure.low) == threshold.holds(figure.high) == holds:
        doubt = "the interval reaches across the limit"
    elif result.invalid:
        doubt = f"part of {result.probe} is invalid: {result.invalid[0]}"
    return Judged(threshold, figure, not holds, doubt)


def _known(run: Run, threshold: Threshold) -> str:
    alike = [figure.key for figure in run.figures if figure.name == threshold.name]
    if alike:
        return f"of that name there are {', '.join(alike[:5])}{', …' if len(alike) > 5 else ''}"
    names = sorted({figure.name for figure in run.figures})
    known = f"the run has {', '.join(names[:20])}" if names else "the run has none"
    invalid = [f"{result.probe}: {result.invalid[0]}" for result in run.results if result.invalid]
    return f"{known}; invalid is {printable('; '.join(invalid), 500)}" if invalid else known


def _labels(text: str, shown: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        found = _LABEL.fullmatch(part)
        if found is None or found[1] in labels:
            raise ThresholdError(f"the threshold {shown!r} has {part.strip()!r:.80} for a label; give name=value once")
        quoted = [group for group in (found[3], found[4]) if group is not None]
        labels[found[1]] = quoted[0] if quoted else found[2]
    return labels
