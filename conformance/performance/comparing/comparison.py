"""What a comparison of performance runs found, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conformance.performance.model import Unit

Verdict = Literal["better", "worse", "changed", "no difference"]


@dataclass(frozen=True)
class Change:
    """One figure on both sides.

    `counted` says what was dealt out, and `sizes` how many of it on each side: values of whole runs, or of the rounds
    within runs, which do not know how runs differ. `before` and `after` are medians of these, `shift` Hodges and
    Lehmann's estimate of the change with its interval [`low`, `high`] at `confidence`, all in the figure's `unit`.
    `p_value` is adjusted for all figures compared. `smallest` is the least change that these measurements, as noisy as
    they were, find about every second time; None when they find none, however large. `verdict` is "changed" for a
    figure of which neither direction is better.
    """

    key: str
    unit: Unit
    verdict: Verdict
    counted: Literal["runs", "rounds"]
    sizes: tuple[int, int]
    before: float
    after: float
    shift: float
    low: float
    high: float
    confidence: float
    p_value: float
    smallest: float | None

    @property
    def relative(self) -> float | None:
        """The shift as a share of `before`; None where that is 0."""
        return self.shift / abs(self.before) if self.before else None


@dataclass(frozen=True)
class Left:
    """A figure that was not compared, and why."""

    key: str
    why: str


@dataclass(frozen=True)
class Comparison:
    """Two groups of runs compared; `baseline` and `candidate` name them.

    `differences` are those between the runs that were overridden. `new` and `gone` are keys of valid figures that only
    one side has, `left` those that could not be compared: invalid on a side, too few values, another unit. `notes` say
    what to keep in mind.
    """

    baseline: tuple[str, ...]
    candidate: tuple[str, ...]
    alpha: float
    changes: tuple[Change, ...]
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def regressed(self) -> bool:
        """Whether a figure is worse beyond noise."""
        return any(change.verdict == "worse" for change in self.changes)

    @property
    def conclusive(self) -> bool:
        """Whether all that the baseline has was compared, with a chance to find a change: only then is no news good."""
        seeing = all(change.smallest is not None or change.verdict != "no difference" for change in self.changes)
        return bool(self.changes) and seeing and not self.gone and not self.left


class Incomparable(Exception):  # noqa: N818 - names what is wrong
    """The runs do not belong together; `differences` says how, one sentence each."""

    def __init__(self, differences: tuple[str, ...]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        listed = "\n".join(f"  - {difference}" for difference in self.differences)
        return f"the runs cannot be compared:\n{listed}\nrun both sides in the same place, or force the comparison"
