"""What became better or worse between two records, or two meshes; and which of several meshes is the odd one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from conformance.outcome import Outcome
from conformance.report.cases import Cases
from conformance.verdict import Capability, Compliance, Verdict

LISTED: Final = 10_000
"""The most changes of one kind that are kept; all are counted."""


class Kind(StrEnum):
    """What became of a case, the most urgent first."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A case that is not as it was; `was` or `now` is `None` where there is no result."""

    kind: Kind
    requirement: str
    mesh: str
    api: str
    version: str
    was: Outcome | None
    now: Outcome | None


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A verdict that is not as it was."""

    kind: Kind
    mesh: str
    api: str
    was: str
    now: str


@dataclass(slots=True)
class Difference:
    """All changes: how many of each kind, and the first of them. `failing` says that something new fails."""

    counts: Counter[Kind] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    verdicts: list[VerdictChange] = field(default_factory=list)
    same: int = 0
    failing: bool = False

    @property
    def worse(self) -> bool:
        """Whether something is worse, or new and failing."""
        return self.failing or bool(self.counts[Kind.WORSE]) or any(v.kind is Kind.WORSE for v in self.verdicts)


_RANK: Final = {Outcome.PASSED: 0, Outcome.UNSUPPORTED: 1, Outcome.KNOWN_FAILURE: 2, Outcome.FAILED: 3}


def change_of(was: Outcome, now: Outcome) -> Kind | None:
    """What it means that an outcome is another one; `None` for the same.

    Passed, unsupported, known failure, failed: each is worse than the one before. A failure is worse than anything that
    was no judgement, and an error than a pass. What else changes says nothing about the mesh.
    """
    if was is now:
        return None
    if was in _RANK and now in _RANK:
        return Kind.WORSE if _RANK[now] > _RANK[was] else Kind.BETTER
    if now is Outcome.FAILED or (was is Outcome.PASSED and now is Outcome.ERROR):
        return Kind.WORSE
    return Kind.BETTER if was is Outcome.ERROR and now is Outcome.PASSED else Kind.CHANGED


def compare(before: Cases, after: Cases, meshes: Sequence[tuple[str, str]]) -> Difference:
    """Return what changed from the first mesh of each pair, in `before`, to the second, in `after`.

    `before` is used up: what was compared is taken out of it. Where an API is there in one other version, the results
    of both versions are compared with each other.
    """
    found = Difference()
    names = {now: was for was, now in meshes}
    versions = _versions(before)
    for case, now in after.rest():
        if case.mesh not in names:
            continue
        there = versions.get((names[case.mesh], case.api), ())
        version = case.version if case.version in there or len(there) != 1 else there[0]
        was = before.take(names[case.mesh], (case.api, version, case.requirement))
        if was is None:
            found.failing = found.failing or now in {Outcome.FAILED, Outcome.ERROR}
        kind = Kind.NEW if was is None else change_of(was, now)
        if kind is None:
            found.same += 1
        else:
            _note(found, Change(kind, case.requirement, case.mesh, case.api, case.version, was, now))
    wanted = dict(meshes)
    for case, was in before.rest():
        if case.mesh in wanted:
            _note(found, Change(Kind.GONE, case.requirement, wanted[case.mesh], case.api, case.version, was, None))
    order = {kind: number for number, kind in enumerate(Kind)}
    found.changes.sort(key=lambda c: (order[c.kind], c.mesh, c.requirement, c.version))
    return found


def _note(found: Difference, change: Change) -> None:
    found.counts[change.kind] += 1
    if found.counts[change.kind] <= LISTED:
        found.changes.append(change)


def _versions(cases: Cases) -> dict[tuple[str, str], tuple[str, ...]]:
    """The versions in which each mesh has results for each API group."""
    groups: dict[tuple[str, str], set[str]] = {}
    for mesh, api, version in cases.groups():
        groups.setdefault((mesh, api), set()).add(version)
    return {key: tuple(sorted(found)) for key, found in groups.items()}


_COMPLIANCE: Final = {Compliance.CONFORMANT: 0, Compliance.INCOMPLETE: 1, Compliance.NONCONFORMANT: 2}
_CAPABILITY: Final = {Capability.FULL: 0, Capability.PARTIAL: 1, Capability.NONE: 2}


def compare_verdicts(
    before: Iterable[Verdict], after: Iterable[Verdict], meshes: Sequence[tuple[str, str]]
) -> list[VerdictChange]:
    """Return the verdicts that changed; one that is new or gone is told by its results."""
    was, now = _by_api(before), _by_api(after)
    found = []
    for first, second in meshes:
        for api in sorted({api for mesh, api in now if mesh == second} & {api for mesh, api in was if mesh == first}):
            old, new = was[first, api], now[second, api]
            ranks = [(_COMPLIANCE[v.compliance], _CAPABILITY[v.capability]) for v in (old, new)]
            if ranks[0] != ranks[1]:
                kind = Kind.WORSE if ranks[1] > ranks[0] else Kind.BETTER
                found.append(VerdictChange(kind, second, api, *(f"{v.compliance}, {v.capability}" for v in (old, new))))
    return found


def _by_api(verdicts: Iterable[Verdict]) -> Mapping[tuple[str, str], Verdict]:
    """The verdict of each mesh on each API group; of several versions the newest, as far as text tells."""
    return {(v.mesh, v.api): v for v in sorted(verdicts, key=lambda v: v.version)}


@dataclass(frozen=True, slots=True)
class Odd:
    """A mesh that alone has another outcome than all others, which agree."""

    requirement: str
    mesh: str
    outcome: Outcome
    others: Outcome
    agreeing: int


def odd_ones(cases: Cases, meshes: Sequence[str]) -> Iterator[Odd]:
    """Give the cases in which one mesh was judged otherwise than at least two others, which agree.

    Only judgements are opinions: passed, failed and known failures, which count as failed. An API group in other
    versions is compared all the same.
    """
    by_requirement: dict[str, list[tuple[str, str, str]]] = {}
    for kind in cases.kinds:
        by_requirement.setdefault(kind[2], []).append(kind)
    for requirement in sorted(by_requirement):
        passed: list[str] = []
        failed: list[str] = []
        for mesh in meshes:
            found = [
                outcome
                for kind in by_requirement[requirement]
                if (outcome := cases.get(mesh, kind)) and outcome.judgement
            ]
            if found:
                (failed if any(outcome.failing for outcome in found) else passed).append(mesh)
        for alone, others, outcome, other in (
            (failed, passed, Outcome.FAILED, Outcome.PASSED),
            (passed, failed, Outcome.PASSED, Outcome.FAILED),
        ):
            if len(alone) == 1 and len(others) >= 2:
                yield Odd(requirement, alone[0], outcome, other, len(others))
