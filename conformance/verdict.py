"""The verdict on a mesh, which follows from what came of all its requirements.

Rules of the verdict, per mesh, API group and version. Only judged requirements that apply to the version count.

Compliance
: *nonconformant* when a must (M) or a behaviour (B) failed, known failures included; else *incomplete* when
  nothing was executed, or when any requirement ended in an error, was skipped, was left out of the selection, or
  has no result although it was to run; else *conformant*. A failed should (S) is shown but is no nonconformance.

Capability
: *full* when every requirement passed, *none* when not one did, *partial* otherwise. What the mesh does not
  claim or serve (unsupported) lowers capability and says nothing about compliance.

Not-applicable and observed count for neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.outcome import Case, Outcome, Result
from conformance.requirement import Level


class Capability(StrEnum):
    """How much of the API the mesh was seen to do."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class Compliance(StrEnum):
    """Whether what the mesh claims is as the specification asks."""

    CONFORMANT = "conformant"
    NONCONFORMANT = "nonconformant"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one mesh for one version of one API group.

    `counts` is by outcome, unjudged results included. `missing` is how many judged requirements were to run and
    have no result, `left_out` how many were not selected. `reason` is why it is not conformant.
    """

    mesh: str
    api: str
    version: str
    capability: Capability
    compliance: Compliance
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    missing: int = 0
    left_out: int = 0
    reason: str = ""

    def __str__(self) -> str:
        text = f"{self.mesh}, {self.api} {self.version}: {self.compliance}, capability {self.capability}"
        return f"{text} ({self.reason})" if self.reason else text


def verdicts(
    results: Iterable[Result], *, expected: Iterable[Case] = (), left_out: Iterable[Case] = ()
) -> tuple[Verdict, ...]:
    """The verdicts that follow from the results, sorted by mesh, API group and version.

    `expected` are the judged cases that were to run: one without a result means a run that broke off.
    `left_out` are the judged cases that the user did not select. See the module for the rules.
    """
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    missing: Counter[tuple[str, str, str]] = Counter()
    narrowed: Counter[tuple[str, str, str]] = Counter()
    seen = set()
    for result in results:
        grouped.setdefault((result.mesh, result.api, result.version), []).append(result)
        seen.add(result.case)
    for cases, counter in ((expected, missing), (left_out, narrowed)):
        counter.update((case.mesh, case.api, case.version) for case in set(cases) - seen)
    keys = sorted({*grouped, *missing, *narrowed})
    return tuple(verdict(*key, grouped.get(key, []), missing=missing[key], left_out=narrowed[key]) for key in keys)


@dataclass(slots=True)
class Tally:
    """What a verdict follows from, taken in one result at a time: millions of them need not be kept."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    judged: Counter[Outcome] = field(default_factory=Counter)
    violated: list[str] = field(default_factory=list)

    def add(self, requirement: str, level: Level, outcome: Outcome, *, judged: bool) -> None:
        """Take in a result, by what decides about it."""
        self.count(outcome, 1, judged=judged)
        if outcome.failing and judged and level.binding:
            self.violated.append(requirement)

    def count(self, outcome: Outcome, number: int, *, judged: bool) -> None:
        """Take in a number of results that violate nothing, or of which `violated` has been told."""
        self.counts[outcome] += number
        if judged and outcome is not Outcome.NOT_APPLICABLE:
            self.judged[outcome] += number

    def merge(self, other: Tally) -> None:
        """Take in all that another tally has."""
        self.counts.update(other.counts)
        self.judged.update(other.judged)
        self.violated += other.violated

    def capability(self, missing: int = 0, left_out: int = 0) -> Capability:
        """How much was seen to work, with the number of judged requirements that have no result."""
        passed = self.judged[Outcome.PASSED]
        if not passed:
            return Capability.NONE
        whole = passed == self.judged.total() and not missing and not left_out
        return Capability.FULL if whole else Capability.PARTIAL

    def compliance(self, missing: int = 0, left_out: int = 0) -> tuple[Compliance, str]:
        """Whether what was claimed is as the specification asks, and why not."""
        if self.violated:
            return Compliance.NONCONFORMANT, f"violates {', '.join(sorted(self.violated))}"
        gaps = (
            (self.judged[Outcome.ERROR], "ended in an error"),
            (self.judged[Outcome.SKIPPED], "skipped"),
            (missing, "without a result"),
            (left_out, "not selected"),
        )
        if any(number for number, _ in gaps):
            return Compliance.INCOMPLETE, ", ".join(f"{number} {what}" for number, what in gaps if number)
        if not any(outcome.judgement for outcome in self.judged):
            return Compliance.INCOMPLETE, "no requirement was judged"
        return Compliance.CONFORMANT, ""


def verdict(
    mesh: str, api: str, version: str, results: Iterable[Result], *, missing: int = 0, left_out: int = 0
) -> Verdict:
    """The verdict on one mesh for one version of an API group, from its results and the number of those not there."""
    tally = Tally()
    for result in results:
        tally.add(result.requirement, result.level, result.outcome, judged=result.judged)
    return verdict_of(mesh, api, version, tally, missing=missing, left_out=left_out)


def verdict_of(
    mesh: str, api: str, version: str, tally: Tally, *, missing: int = 0, left_out: int = 0
) -> Verdict:
    """The verdict that follows from a tally, as `verdict` gives it for results."""
    compliance, reason = tally.compliance(missing, left_out)
    return Verdict(mesh, api, version, tally.capability(missing, left_out), compliance, dict(tally.counts), missing,
                   left_out, reason)
