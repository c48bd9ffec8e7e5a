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
from collections.abc import Iterable, Mapping, Sequence
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
class Result:
    """One result. `duration` is in seconds; `applied` are the Kubernetes objects as the test wrote them."""

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


def verdict(
    mesh: str, api: str, version: str, results: Sequence[Result], *, missing: int = 0, left_out: int = 0
) -> Verdict:
    """The verdict on one mesh for one version of an API group, from its results and the number of those not there."""
    counts = Counter(result.outcome for result in results)
    judged = [r for r in results if r.judged and r.outcome is not Outcome.NOT_APPLICABLE]
    passed = sum(r.outcome is Outcome.PASSED for r in judged)
    if not passed:
        capability = Capability.NONE
    elif passed == len(judged) and not missing and not left_out:
        capability = Capability.FULL
    else:
        capability = Capability.PARTIAL
    compliance, reason = _compliance(judged, missing, left_out)
    return Verdict(mesh, api, version, capability, compliance, dict(counts), missing, left_out, reason)


def _compliance(judged: list[Result], missing: int, left_out: int) -> tuple[Compliance, str]:
    violated = sorted(r.requirement for r in judged if r.outcome.failing and r.level.binding)
    if violated:
        return Compliance.NONCONFORMANT, f"violates {', '.join(violated)}"
    gaps = (
        (sum(r.outcome is Outcome.ERROR for r in judged), "ended in an error"),
        (sum(r.outcome is Outcome.SKIPPED for r in judged), "skipped"),
        (missing, "without a result"),
        (left_out, "not selected"),
    )
    if any(number for number, _ in gaps):
        return Compliance.INCOMPLETE, ", ".join(f"{number} {what}" for number, what in gaps if number)
    if not any(r.outcome.judgement for r in judged):
        return Compliance.INCOMPLETE, "no requirement was judged"
    return Compliance.CONFORMANT, ""


class ExitCode(IntEnum):
    """What the process's exit code says; the first that holds, from the top of `exit_code`."""

    CONFORMANT = 0
    """Every selected requirement that was judged passed, but for listed known failures and failed shoulds."""
    NONCONFORMANT = 1
    """A must or a behaviour failed that is not listed as known."""
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
    unjudged requirement counts, because the harness must not break unnoticed.
    """
    outcomes = [(r.outcome, r.judged, r.level.binding) for r in results]
    if interrupted:
        return ExitCode.INTERRUPTED
    if any(outcome is Outcome.FAILED and binding for outcome, _, binding in outcomes):
        return ExitCode.NONCONFORMANT
    if any(outcome is Outcome.ERROR or (outcome is Outcome.SKIPPED and judged) for outcome, judged, _ in outcomes):
        return ExitCode.ERROR
    if any(verdict.missing for verdict in verdicts):
        return ExitCode.ERROR
    if not any(outcome.judgement for outcome, _, _ in outcomes):
        return ExitCode.NOTHING
    return ExitCode.CONFORMANT
