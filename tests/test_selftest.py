"""The kill matrix judges itself: a mutant that survives, or fails what it does not declare, breaks it."""

from __future__ import annotations

import pytest

from conformance import paths, selftest
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS
from conformance.selftest import Kill

MUTANT = MUTANTS["zero-is-one"]
OTHER = "SPLIT-022"


@pytest.mark.parametrize(("kill", "verdict"), [
    (Kill(MUTANT, (MUTANT.kills,)), "killed"),
    (Kill(MUTANT, (MUTANT.kills, *MUTANT.may)), "killed"),
    (Kill(MUTANT, ()), "survives"),
    (Kill(MUTANT, (OTHER,)), "survives"),
    (Kill(MUTANT, (MUTANT.kills, OTHER)), f"fails undeclared {OTHER}"),
    (Kill(MUTANT, (MUTANT.kills,), "no report"), "error: no report"),
    (Kill(None), "passes all"),
    (Kill(None, (OTHER,)), "fails without a mutation"),
])
def test_verdict_of_a_row(kill, verdict):
    assert kill.verdict == verdict
    assert kill.holds == (verdict in ("killed", "passes all"))


def test_every_judged_requirement_has_a_mutant_and_every_mutant_a_judged_requirement():
    judged = {row.id for row in catalogue(paths.suites()) if row.judged}
    assert {mutant.kills for mutant in MUTANTS.values()} == judged
    assert {name for mutant in MUTANTS.values() for name in mutant.may} <= judged


def test_a_mutant_that_survives_fails_the_selftest(monkeypatch, capsys):
    monkeypatch.setattr(selftest, "judge", lambda mutant, requirements: Kill(mutant))
    assert selftest.selftest([MUTANT.name], own=True, workers=1, only_list=False) == 1
    assert "survives" in capsys.readouterr().out


def test_a_requirement_without_a_kill_fails_the_selftest(monkeypatch, capsys):
    def judge(mutant, requirements):
        return Kill(mutant, (mutant.kills,) if mutant and mutant.kills != OTHER else (), "")

    monkeypatch.setattr(selftest, "judge", judge)
    assert selftest.selftest([], own=True, workers=1, only_list=False) == 1
    assert f"no mutant is killed by {OTHER}" in capsys.readouterr().out
