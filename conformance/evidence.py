"""What one check leaves behind for the report: what was applied, how long it took, what was seen."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.cluster import Object
from conformance.expect import Finding, Tally
from conformance.outcome import Convergence, SampleSummary
from conformance.traffic import Exchange


@dataclass
class Evidence:
    """Collects as the check goes; read once at its end. Belongs to one check."""

    convergence: list[Convergence] = field(default_factory=list)
    samples: list[SampleSummary] = field(default_factory=list)
    applied: list[Mapping[str, Any]] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    exchanges: list[str] = field(default_factory=list)

    def took(self, what: str, seconds: float, probes: int) -> None:
        """Record how long (seconds) something took to be in effect."""
        self.convergence.append(Convergence(what, round(seconds, 4), probes))

    def wrote(self, obj: Object) -> None:
        """Record an object as the check wrote it."""
        self.applied.append(copy.deepcopy(obj))

    def saw(self, sample: str, client: str, request: str, seen: Tally, finding: Finding | None = None) -> None:
        """Record a sample and, where it was judged by its counts, the test's figures."""
        finding = finding or Finding()
        counts = {f"{workload}:{port}": count for (workload, port), count in sorted(seen.answers.items())}
        self.samples.append(SampleSummary(
            sample, client, request, seen.size, counts, dict(seen.failures), finding.expected, finding.alpha,
            finding.p_value,
        ))

    def exchanged(self, call: str, exchanges: Iterable[Exchange]) -> None:
        """Keep the exchanges of the sample that was taken last, as they went over the wire."""
        self.exchanges = [
            f"{call}: {one.outcome} after {one.seconds:.4f} s\n{one.request}\n{one.response}" for one in exchanges
        ]

    def observe(self, text: str) -> None:
        """Record what a mesh does where the specification does not say what it should."""
        self.observations.append(text)
