"""What a probe has found so far: figures, what was invalid, the loads behind them and remarks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.performance import paired
from conformance.performance.model import Better, Figure, Invalidity, LoadSummary, ProbeResult, Unit
from conformance.performance.paired import Estimate
from conformance.performance.probe import Probe

Labels = Mapping[str, str]


@dataclass
class Findings:
    """Collects the parts of one probe's result."""

    probe: Probe
    _figures: list[Figure] = field(default_factory=list)
    _invalid: list[Invalidity] = field(default_factory=list)
    _loads: list[LoadSummary] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _started: float = field(default_factory=time.time)
    _clock: float = field(default_factory=time.monotonic)

    def figure(self, figure: Figure) -> None:
        """Record a figure that has been made elsewhere."""
        self._figures.append(figure)

    def value(self, name: str, unit: Unit, value: float, labels: Labels, *, better: Better = "lower") -> None:
        """Record a single value, which has no interval."""
        self.figure(Figure(name, unit, value, samples=(value,), better=better, labels=labels))

    def shown(
        self, name: str, unit: Unit, estimate: Estimate, samples: Sequence[float], labels: Labels, *,
        better: Better = "lower",
    ) -> None:
        """Record an estimate and the samples it was made from."""
        self.figure(Figure(name, unit, estimate.value, estimate.low, estimate.high, estimate.confidence,
                           tuple(samples), better, labels))

    def median(
        self, name: str, unit: Unit, samples: Sequence[float], labels: Labels, *, better: Better = "lower",
    ) -> None:
        """Record the median of samples with its interval."""
        self.shown(name, unit, paired.estimate(samples), samples, labels, better=better)

    def difference(
        self, name: str, unit: Unit, base: Sequence[float], other: Sequence[float], labels: Labels, *,
        better: Better = "lower",
    ) -> None:
        """Record the median of `other - base` over rounds with its interval."""
        self.median(name, unit, paired.differences(base, other), labels, better=better)

    def ratio(
        self, name: str, base: Sequence[float], other: Sequence[float], labels: Labels, *, better: Better = "higher",
    ) -> None:
        """Record the median of `other / base` over rounds with its interval."""
        self.median(name, "share", paired.ratios(base, other), labels, better=better)

    def invalid(self, found: Iterable[Invalidity]) -> None:
        """Record why something that was measured is no result."""
        self._invalid += found

    def load(self, summary: LoadSummary) -> None:
        """Keep what pictures and other tools' formats are made of."""
        self._loads.append(summary)

    def note(self, sentence: str) -> None:
        """Record a remark for people, once."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def result(self) -> ProbeResult:
        """Return all of it."""
        return ProbeResult(
            self.probe.name, self.probe.title, tuple(self._figures), tuple(self._invalid), tuple(self._loads),
            tuple(self._notes), self._started, time.monotonic() - self._clock,
        )
