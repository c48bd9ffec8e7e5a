"""What came of one requirement on a mesh, with all that is known of how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
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
