"""Two verdicts on one mesh, side by side: a record's, and the official suite's. Only what both judged can agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from conformance.official.errors import OfficialError
from conformance.official.events import Official, Test, TestOutcome
from conformance.official.profile import Claims
from conformance.official.table import Pair, Pairs, Scope
from conformance.outcome import Outcome, Result
from conformance.report.model import MeshUnderTest, Report

GATEWAY: Final = "gateway.networking.k8s.io"


class Relation(StrEnum):
    """How the two verdicts of a pair stand to each other."""

    AGREE = "agree"
    DISAGREE = "disagree"
    COMPATIBLE = "compatible"
    """We say failed and they say passed, and they ask for less: nobody need be wrong."""
    ONLY_OURS = "only ours"
    ONLY_THEIRS = "only theirs"
    NEITHER = "neither"


@dataclass(frozen=True)
class Compared:
    """A pair and what both say of it; `ours` is None where the record has no result, `theirs` where there is none.

    `why` says why the official verdict is missing.
    """

    pair: Pair
    version: str
    ours: Outcome | None
    theirs: TestOutcome | None
    why: str
    relation: Relation


@dataclass(frozen=True)
class Comparison:
    """All pairs, and what has no counterpart.

    `unpaired` are official tests that were judged and that no requirement of ours is paired with, `alone` are our
    results that no official test is paired with. `unproved` are the features that the official report calls supported
    although no test passed that says that it relies on them, each with what came of those tests; `uncounted` are the
    official tests that failed and that the official report does not name. `warnings` say what makes the comparison
    weak.
    """

    mesh: MeshUnderTest
    claims: Claims | None
    rows: tuple[Compared, ...]
    unpaired: tuple[Test, ...]
    alone: tuple[Result, ...]
    unproved: Mapping[str, str]
    uncounted: tuple[str, ...]
    warnings: tuple[str, ...]

    def count(self, relation: Relation) -> int:
        """How many pairs stand like that."""
        return sum(row.relation is relation for row in self.rows)


def compare(
    report: Report, official: Official, table: Pairs, *, claims: Claims | None = None, mesh: str = "",
) -> Comparison:
    """Compare a record with a run of the official suite.

    `mesh` names which of the record's is meant where there are several. Raises OfficialError where that is not said,
    and where the official report is not of the run that the events are of.
    """
    chosen = _mesh(report, mesh)
    if claims is not None:
        _consistent(claims, official)
    results = [result for result in report.results if result.mesh == chosen.name and result.api == GATEWAY]
    rows = tuple(row for pair in table.pairs for row in _rows(pair, results, official))
    paired = {pair.test for pair in table.pairs}
    requirements = {pair.requirement for pair in table.pairs}
    return Comparison(
        chosen, claims, rows,
        tuple(test for test in official.whole if test.name not in paired and test.outcome is not TestOutcome.SKIPPED),
        tuple(result for result in results if result.requirement not in requirements),
        _unproved(claims, official) if claims else {}, _uncounted(claims, official) if claims else (),
        tuple(_warnings(chosen, claims, table)),
    )


def _mesh(report: Report, wanted: str) -> MeshUnderTest:
    known = {mesh.name: mesh for mesh in report.header.meshes}
    if wanted:
        if wanted not in known:
            raise OfficialError(f"the record has no mesh {wanted!r:.80}; it has {', '.join(known)}")
        return known[wanted]
    if len(known) != 1:
        raise OfficialError(f"the record is of {len(known)} meshes ({', '.join(known)}), and the official suite judges "
                            "one: name it with --mesh")
    return next(iter(known.values()))


def _consistent(claims: Claims, official: Official) -> None:
    for profile in claims.profiles:
        for names, outcome in ((profile.failed, TestOutcome.FAILED), (profile.skipped, TestOutcome.SKIPPED)):
            for name in sorted(names):
                test = official.tests.get(name)
                if test is None or test.outcome is not outcome:
                    found = f"it {test.outcome}" if test else "it is not there"
                    raise OfficialError(f"the official report says that {name} {outcome}, and in the events {found}: "
                                        "they are not of the same run")


def _unproved(claims: Claims, official: Official) -> dict[str, str]:
    found = {}
    for feature in sorted(claims.supported):
        relying = [test for test in official.whole if feature in test.features]
        if not any(test.outcome is TestOutcome.PASSED for test in relying):
            found[feature] = ", ".join(f"{test.name} {test.outcome}" for test in relying) or "no test of it was run"
    return found


def _uncounted(claims: Claims, official: Official) -> tuple[str, ...]:
    """A test that asks for a feature of no profile counts for none: it may fail, and the report is one of success."""
    named = frozenset[str]().union(*(profile.failed for profile in claims.profiles))
    return tuple(test.name for test in official.whole if test.outcome is TestOutcome.FAILED and test.name not in named)


def _warnings(mesh: MeshUnderTest, claims: Claims | None, table: Pairs) -> Iterator[str]:
    if claims is None:
        return
    if claims.version != mesh.version:
        yield f"the record is of {mesh.name} {mesh.version}, the official report of {claims.project} {claims.version}"
    if claims.api != table.api:
        yield f"the pairs are of the Gateway API {table.api}, the official report is of {claims.api}"


# --- one pair ---


def _rows(pair: Pair, results: list[Result], official: Official) -> Iterator[Compared]:
    """One row for each version of the API that the record has a result of; one without where it has none."""
    theirs, why = _theirs(pair, official)
    ours: list[tuple[str, Outcome | None]] = [
        (result.version, result.outcome) for result in results if result.requirement == pair.requirement
    ]
    for version, outcome in ours or [("", None)]:
        yield Compared(pair, version, outcome, theirs, why, _relation(pair, outcome, theirs))


def _theirs(pair: Pair, official: Official) -> tuple[TestOutcome | None, str]:
    """Return what the official suite says of a pair, and why it says nothing."""
    whole = official.tests.get(pair.test)
    if whole is None:
        return None, f"{pair.test} is not among the tests that were run"
    if whole.outcome is TestOutcome.SKIPPED:
        return TestOutcome.SKIPPED, whole.why or "skipped"
    if not pair.parts:
        return whole.outcome, ""
    parts = [official.tests.get(f"{pair.test}/{name}") for name in pair.parts]
    found = [part for part in parts if part is not None]
    if any(part.outcome is TestOutcome.FAILED for part in found):
        return TestOutcome.FAILED, ""
    missing = [name for name, part in zip(pair.parts, parts, strict=True)
               if part is None or part.outcome is TestOutcome.SKIPPED]
    if missing:
        return None, f"{pair.test} {whole.outcome} without its {', '.join(missing)}"
    return TestOutcome.PASSED, ""


def _relation(pair: Pair, ours: Outcome | None, theirs: TestOutcome | None) -> Relation:
    we = ours is not None and ours.judgement
    they = theirs in (TestOutcome.PASSED, TestOutcome.FAILED)
    if not (we and they):
        return Relation.ONLY_OURS if we else Relation.ONLY_THEIRS if they else Relation.NEITHER
    if (ours is Outcome.PASSED) == (theirs is TestOutcome.PASSED):
        return Relation.AGREE
    if pair.scope is Scope.PART and theirs is TestOutcome.PASSED:
        return Relation.COMPATIBLE
    return Relation.DISAGREE
