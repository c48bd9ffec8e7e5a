"""The kill matrix judges itself: a mutant that survives, or fails what it does not declare, breaks it."""

from __future__ import annotations

import re
import time

import pytest

from conformance import paths, selftest
from conformance.cli import main
from conformance.jury import Jury
from conformance.kill_matrix import Kill
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS, Mutant
from conformance.smi import SPLIT

JUDGED = [row for row in catalogue(paths.suites()) if row.judged]
MUTANT = MUTANTS["single-backend-ignored"]
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
    monkeypatch.setattr(Jury, "judge", lambda _, mutant, requirements: Kill(mutant))
    assert selftest.selftest([MUTANT.name], scope="own", workers=1, only_list=False) == 1
    assert "survives" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "expected"), [
    (["--own"], {"SPLIT-007"}),
    ([], {row.id for row in JUDGED if row.api == SPLIT}),
    (["--all"], {row.id for row in JUDGED}),
])
def test_what_a_mutant_is_judged_against(monkeypatch, capsys, arguments, expected):
    asked = []

    def judge(_, mutant, requirements):
        asked.append((mutant, set(requirements)))
        return Kill(mutant, (MUTANT.kills,))

    monkeypatch.setattr(Jury, "judge", judge)
    assert main(["selftest", "--mutant", MUTANT.name, *arguments]) == 0
    assert asked == [(MUTANT, expected)]
    assert "single-backend-ignored: killed" in capsys.readouterr().out


def test_the_mesh_as_it_is_is_judged_against_everything():
    assert selftest.against(None, JUDGED, "own") == [row.id for row in JUDGED]


def test_a_mutant_of_a_requirement_that_is_not_judged_is_an_error():
    stray = Mutant("stray", "breaks nothing known", "SPLIT-023")
    kill = Jury().judge(stray, selftest.against(stray, JUDGED, "group"))
    assert kill.verdict == "error: no judged requirement is the one that it must fail"


def test_the_matrix_as_a_page(monkeypatch, tmp_path, capsys):
    survivor = "weights-84-16"

    def judge(_, mutant, requirements):
        if mutant is None:
            return Kill(None)
        if mutant.name == survivor:
            return Kill(mutant)
        if mutant is MUTANT:
            return Kill(mutant, trouble="no report (/somewhere/on/this/machine)")
        return Kill(mutant, (mutant.kills,))

    monkeypatch.setattr(Jury, "judge", judge)
    page = tmp_path / "kill-matrix.md"
    assert main(["selftest", "--markdown", str(page)]) == 1
    text = page.read_text()
    assert "| `weights-ignored` | every backend above 0 gets the same share | SPLIT-003 |" in text
    assert f"| `{survivor}` | 90 to 10 is served as 84 to 16 | SPLIT-003 |  | nothing | survives |" in text
    assert "| SPLIT-003 | `shares-copied`, `weights-ignored` |" in text
    assert "| SPLIT-007 | **none** |" in text
    assert "| nothing | error |" in text
    assert "somewhere" not in text
    assert "The mesh without a mutation passes all." in text
    assert f"{len(MUTANTS) - 2} of {len(MUTANTS)} mutants are as declared" in text
    assert all(f"`{name}`" in text for name in MUTANTS)
    assert re.search("no mutant is killed by .*SPLIT-007", capsys.readouterr().out)


@pytest.mark.parametrize(("arguments", "why"), [
    (["--own"], "leave out --own"), (["--mutant", MUTANT.name], "has no rows of accounts-"),
])
def test_a_page_with_gaps_is_not_made(arguments, why, tmp_path, capsys):
    assert main(["selftest", "--markdown", str(tmp_path / "page.md"), *arguments]) == 2
    assert why.partition("accounts-")[0] in capsys.readouterr().err


def test_rows_of_a_page_are_renewed_one_by_one(monkeypatch, tmp_path):
    outcome = {}
    monkeypatch.setattr(Jury, "judge", lambda _, mutant, requirements: outcome.get(
        mutant and mutant.name, Kill(mutant, (mutant.kills,) if mutant else ())))
    page = tmp_path / "page.md"
    outcome |= {MUTANT.name: Kill(MUTANT), "no-events": Kill(MUTANTS["no-events"], trouble="broken")}
    assert main(["selftest", "--markdown", str(page)]) == 1
    before = page.read_text()
    outcome.clear()
    assert main(["selftest", "--markdown", str(page), "--mutant", MUTANT.name]) == 0
    after = page.read_text()
    changed = set(after.splitlines()) ^ set(before.splitlines())
    assert any(f"| `{MUTANT.name}` |" in line and line.endswith("| killed |") for line in changed)
    assert not any("`weights-84-16`" in line for line in changed)
    assert "| nothing | error |" in after
    assert "The mesh without a mutation passes all." in after


def test_a_page_that_could_not_be_written_is_said_at_once(tmp_path, capsys):
    assert main(["selftest", "--markdown", str(tmp_path / "nowhere" / "page.md")]) == 2
    assert "there is no directory" in capsys.readouterr().err


def test_a_requirement_without_a_kill_fails_the_selftest(monkeypatch, capsys):
    def judge(_, mutant, requirements):
        return Kill(mutant, (mutant.kills,) if mutant and mutant.kills != OTHER else (), "")

    monkeypatch.setattr(Jury, "judge", judge)
    assert selftest.selftest([], scope="own", workers=1, only_list=False) == 1
    assert re.search(f"no mutant is killed by .*{OTHER}", capsys.readouterr().out)


def test_interrupted_it_begins_no_more_runs(monkeypatch):
    begun = []

    def judge(_, mutant, requirements):
        begun.append(mutant)
        if len(begun) == 2:
            raise KeyboardInterrupt
        time.sleep(0.02)
        return Kill(mutant)

    monkeypatch.setattr(Jury, "judge", judge)
    with pytest.raises(KeyboardInterrupt):
        selftest.selftest([], scope="own", workers=1, only_list=False)
    assert len(begun) < len(MUTANTS)


def test_the_unmutated_mesh_comes_last_and_its_parts_are_one_row(monkeypatch, capsys):
    asked = []

    def judge(_, mutant, requirements):
        asked.append((mutant, requirements))
        return Kill(mutant, (mutant.kills,)) if mutant else Kill(None, (requirements[1], requirements[0]))

    monkeypatch.setattr(Jury, "judge", judge)
    rows = list(selftest.judge([MUTANT], JUDGED, "own", 2, unmutated=True))
    assert [mutant for mutant, _ in asked] == [MUTANT, None, None]
    assert sorted(asked[1][1] + asked[2][1]) == sorted(row.id for row in JUDGED)
    assert rows == [Kill(MUTANT, (MUTANT.kills,)), Kill(None, tuple(sorted(row.id for row in JUDGED[:4])))]


def test_trouble_with_a_part_of_the_unmutated_mesh_is_trouble(monkeypatch):
    monkeypatch.setattr(Jury, "judge", lambda _, mutant, requirements: Kill(mutant, trouble=f"{len(requirements)}"))
    assert [kill.verdict for kill in selftest.judge([], JUDGED[:3], "own", 2, unmutated=True)] == ["error: 2; 1"]
