"""`mesh-conformance report diff`: what is worse, and which mesh is the odd one out."""

import json
from pathlib import Path

import pytest

from conformance.outcome import Outcome
from conformance.report import comparing
from conformance.report.cases import Cases
from conformance.report.comparing import Kind, change_of, compare, odd_ones
from conformance.report.model import Catalogue

API, VERSION = "split.smi-spec.io", "v1alpha4"
DIGEST = f"sha256:{'1' * 64}"


# --- diff ---


def test_nothing_worse_is_zero(record, results, report_command):
    path = record("a", results)
    code, out, _ = report_command("diff", path, path)
    assert code == 0
    assert "no result changed, 9 as before" in out


def test_diff_tells_better_worse_new_and_gone(record, result, report_command, piped):
    old = record("old", [result(1, "passed"), result(2, "failed"), result(3, "passed"), result(4, "skipped")])
    new = record("new", [result(1, "failed"), result(2, "passed"), result(5, "passed"), result(4, "unsupported")])
    code, out, _ = report_command("diff", old, new, "--format", "json")
    assert code == 1
    document = json.loads(out)
    assert document["worse"]
    assert {(c["kind"], c["requirement"]) for c in document["changes"]} == {
        ("worse", "SPLIT-001"),
        ("better", "SPLIT-002"),
        ("gone", "SPLIT-003"),
        ("changed", "SPLIT-004"),
        ("new", "SPLIT-005"),
    }
    piped(Path(new).read_bytes())
    for form in ("pretty", "markdown", "html"):
        if form == "markdown":
            piped(Path(new).read_bytes())
        code, out, _ = report_command("diff", old, new if form == "html" else "-", "--format", form)
        assert code == 1
        assert "worse" in out
    code, out, _ = report_command("diff", new, old)
    assert code == 1  # another one fails in the older


def test_something_new_that_fails_is_worse_and_something_new_that_passes_is_not(record, result, report_command):
    old = record("old", [result(1, "passed")])
    assert report_command("diff", old, record("new", [result(1, "passed"), result(2, "passed")]))[0] == 0
    assert report_command("diff", old, record("bad", [result(1, "passed"), result(2, "failed", level="S")]))[0] == 1


def test_a_verdict_that_is_worse_counts_where_no_result_is(record, result, report_command):
    old, new = record("old", [result(1, "passed")]), record("new", [result(1, "passed")], gaps=(1, 0))
    code, out, _ = report_command("diff", old, new)
    assert code == 1
    assert "conformant, full -> incomplete, partial" in out


def test_one_other_version_of_an_api_is_the_same_requirement():
    before, after = Cases(), Cases()
    before.put("m", (API, "v1alpha3", "A-001"), Outcome.PASSED)
    after.put("m", (API, "v1alpha4", "A-001"), Outcome.FAILED)
    (change,) = compare(before, after, [("m", "m")]).changes
    assert (change.kind, change.was, change.now) == (Kind.WORSE, Outcome.PASSED, Outcome.FAILED)


def test_two_meshes_of_one_record(record, result, report_command):
    path = record("a", [result(1, "passed"), result(1, "failed", mesh="other")])
    code, out, _ = report_command("diff", path, "--mesh", "reference", "--mesh", "other")
    assert (code, "passed -> failed" in out) == (1, True)
    assert report_command("diff", path, "--mesh", "other", "--mesh", "reference")[0] == 0
    assert report_command("diff", path)[0] in {0, 1}  # there are only two
    code, _, err = report_command("diff", path, "--mesh", "stranger", "--mesh", "other")
    assert (code, "no mesh called 'stranger'" in err) == (2, True)
    code, _, err = report_command("diff", path, "--mesh", "other")
    assert (code, "name two of its meshes" in err) == (2, True)


def test_records_of_one_mesh_each_are_compared_whatever_they_are_called(record, result, report_command):
    code, out, _ = report_command(
        "diff", record("a", [result(1, "passed", mesh="m-1")]), record("b", [result(1, "failed", mesh="m-2")])
    )
    assert (code, "passed -> failed" in out) == (1, True)


def test_the_odd_one_out(record, result, report_command):
    meshes = ("a", "b", "c")
    path = record(
        "many",
        [result(1, "failed" if mesh == "b" else "passed", mesh=mesh) for mesh in meshes]
        + [result(2, "passed", mesh=mesh) for mesh in meshes]
        + [result(3, "passed" if mesh == "c" else "failed", mesh=mesh) for mesh in meshes]
        + [result(4, "unsupported" if mesh == "c" else "passed", mesh=mesh) for mesh in meshes],
    )
    code, out, _ = report_command("diff", path, "--format", "json")
    assert code == 1
    assert [(o["requirement"], o["mesh"], o["outcome"]) for o in json.loads(out)["odd"]] == [
        ("SPLIT-001", "b", "failed"),
        ("SPLIT-003", "c", "passed"),
    ]
    fine = record("fine", [result(2, "passed", mesh=mesh) for mesh in meshes])
    code, out, _ = report_command("diff", fine)
    assert (code, "no mesh of 3 is alone" in out) == (0, True)
    assert list(odd_ones(Cases(), meshes)) == []


def test_what_cannot_be_compared_is_a_usage_error(record, result, report_command):
    path = record("a", [result(1, "passed")])
    other = record("b", [result(1, "passed")], catalogue=Catalogue(f"sha256:{'2' * 64}", {}))
    for words, says in (
        ((path, path, path), "two records at most"),
        (("-", "-"), "standard input is one record"),
        ((path, other), "different catalogues"),
        ((path, path, *["--mesh", "x"] * 3), "twice at most"),
    ):
        code, _, err = report_command("diff", *words)
        assert (code, says in err) == (2, True), err
    assert report_command("diff", path, other, "--different-catalogues")[0] == 0


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        ("passed", "passed", None),
        ("passed", "failed", Kind.WORSE),
        ("failed", "passed", Kind.BETTER),
        ("passed", "error", Kind.WORSE),
        ("error", "passed", Kind.BETTER),
        ("failed", "error", Kind.CHANGED),
        ("error", "failed", Kind.WORSE),
        ("skipped", "failed", Kind.WORSE),
        ("skipped", "passed", Kind.CHANGED),
        ("passed", "unsupported", Kind.WORSE),
        ("failed", "known-failure", Kind.BETTER),
        ("passed", "skipped", Kind.CHANGED),
    ],
)
def test_what_a_change_means(was, now, kind):
    assert change_of(Outcome(was), Outcome(now)) is kind


def test_of_very_many_changes_all_are_counted_and_some_are_kept(monkeypatch):
    monkeypatch.setattr(comparing, "LISTED", 5)
    before, after = Cases(), Cases()
    for number in range(20):
        before.put("m", (API, VERSION, f"A-{number:03}"), Outcome.PASSED)
        after.put("m", (API, VERSION, f"A-{number:03}"), Outcome.FAILED)
    found = compare(before, after, [("m", "m")])
    assert (found.counts[Kind.WORSE], len(found.changes)) == (20, 5)
