"""What came of a requirement on a mesh, and the verdict that follows from all of them.

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
from enum import IntEnum, StrEnum
from typing import Any

from conformance.requirement import Level


class Outcome(StrEnum):
    """What came of one requirement on one mesh."""

    PASSED = "passed"
    FAILED = "failed"
    """The mesh violates the requirement."""
    ERROR = "error"
    """The harness or the cluster broke; says nothing about the mesh."""
    UNSUPPORTED = "unsupported"
    """The mesh does not claim it, or does not serve the API."""
    NOT_APPLICABLE = "not-applicable"
    """The served version has no such requirement."""
    SKIPPED = "skipped"
    """The user left it out."""
    KNOWN_FAILURE = "known-failure"
    """Listed as failing, and failed as listed."""
    OBSERVED = "observed"
    """Recorded, never judged."""

    @property
    def failing(self) -> bool:
        """Whether the mesh violated the requirement, expectedly or not."""
        return self in {Outcome.FAILED, Outcome.KNOWN_FAILURE}

    @property
    def judgement(self) -> bool:
        """Whether it says that the mesh was held to the requirement, and how it did."""
        return self is Outcome.PASSED or self.failing


class Nonconformance(AssertionError):  # noqa: N818 - the field's word
    """The mesh violates a requirement. Every other exception is the harness's or the cluster's."""

    def __init__(self, wanted: str, got: str, details: str = "") -> None:
        super().__init__(wanted, got, details)
        self.wanted = wanted
        self.got = got
        self.details = details

    def __str__(self) -> str:
        message = f"wanted {self.wanted}\n   got {self.got}"
        return f"{message}\n{self.details}" if self.details else message


def outcome_of(error: BaseException | None, *, judged: bool) -> Outcome:
    """The outcome of a check that ended with `error`, or without one.

    A requirement that is not judged is observed, whatever was seen; a broken harness is an error for it as well.
    """
    if error is None or isinstance(error, Nonconformance):
        if not judged:
            return Outcome.OBSERVED
        return Outcome.PASSED if error is None else Outcome.FAILED
    return Outcome.ERROR


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One requirement on one mesh, in one version of its API: what there can be one result of."""

    mesh: str
    api: str
    version: str
    requirement: str


@dataclass(frozen=True, slots=True)
class Convergence:
    """How long (seconds) something took to be in effect, and how often was looked."""

    what: str
    seconds: float
    probes: int


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """The counts of one sample and how they were judged.

    `request` says in a line what was sent, `size` how often. `counts` is answers by who gave them, `failures` by
    kind. A sample that was judged by its shares has the acceptance interval of each backend's count in
    `expected`, the false-alarm rate of that test in `alpha`, and the `p_value`.
    """

    id: str
    client: str
    request: str
    size: int
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    alpha: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a list of known failures says of a result: why, where that is reported, since which version of the mesh."""

    reason: str
    link: str
    since: str


@dataclass(frozen=True, slots=True)
class Result:
    """One result. `duration` is in seconds; `applied` are the Kubernetes objects as the test wrote them.

    `known` is what is said of it in the list of known failures that held for the mesh, if it is in there.
    """

    requirement: str
    level: Level
    mesh: str
    api: str
    version: str
    outcome: Outcome
    message: str = ""
    duration: float = 0.0
    convergence: tuple[Convergence, ...] = ()
    samples: tuple[SampleSummary, ...] = ()
    applied: tuple[Mapping[str, Any], ...] = ()
    observed: str = ""
    reproduce: str = ""
    worker: str = ""
    judged: bool = True
    known: Known | None = None

    def __post_init__(self) -> None:
        judged = self.judged and self.level.judged
        object.__setattr__(self, "judged", judged)
        if judged and self.outcome is Outcome.OBSERVED:
            raise ValueError(f"{self.requirement} is judged: its outcome cannot be `observed`")
        if not judged and self.outcome.judgement:
            raise ValueError(f"{self.requirement} is not judged: its outcome cannot be `{self.outcome}`")

    @property
    def case(self) -> Case:
        """What this is the result of."""
        return Case(self.mesh, self.api, self.version, self.requirement)

    @property
    def stale(self) -> bool:
        """Whether it is listed as a known failure and passed: the list is to be mended."""
        return self.known is not None and self.outcome is Outcome.PASSED


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


class ExitCode(IntEnum):
    """What the process's exit code says; the first that holds, from the top of `exit_code`."""

    CONFORMANT = 0
    """Every selected requirement that was judged passed, but for listed known failures and failed shoulds."""
    NONCONFORMANT = 1
    """A must or a behaviour failed that is not listed as known, or the list is stale: a requirement on it passed."""
    USAGE = 2
    """Unknown option, mesh or requirement, unreadable kubeconfig: nothing was run."""
    ERROR = 3
    """The harness or the cluster broke, or a judged requirement was skipped or has no result."""
    NOTHING = 4
    """Nothing was selected, or nothing of it could be judged: not a pass."""
    INTERRUPTED = 130
    """Ended by Ctrl-C or a signal."""


def exit_code(results: Iterable[Result], verdicts: Iterable[Verdict], *, interrupted: bool = False) -> ExitCode:
    """The exit code of a finished run.

    A violation outweighs an error: it is certain whatever else broke. Requirements that were not selected make a
    verdict incomplete, not the run fail: who asks for one requirement is answered for that one. An error in an
    unjudged requirement counts, because the harness must not break unnoticed. A stale list of known failures counts as
    a violation does: whoever reads the list would believe what is no longer so.
    """
    outcomes, stale = [], False
    for result in results:
        outcomes.append((result.outcome, result.judged, result.level.binding))
        stale = stale or result.stale
    if interrupted:
        return ExitCode.INTERRUPTED
    if stale or any(outcome is Outcome.FAILED and binding for outcome, _, binding in outcomes):
        return ExitCode.NONCONFORMANT
    if any(outcome is Outcome.ERROR or (outcome is Outcome.SKIPPED and judged) for outcome, judged, _ in outcomes):
        return ExitCode.ERROR
    if any(verdict.missing for verdict in verdicts):
        return ExitCode.ERROR
    if not any(outcome.judgement for outcome, _, _ in outcomes):
        return ExitCode.NOTHING
    return ExitCode.CONFORMANT
