"""Records of different suites are combined and compared; records of catalogues that contradict each other are not."""

import dataclasses
import io
import json
from pathlib import Path

import pytest

from conformance import selection
from conformance.report.catalogue import describe, digest, disagreement, joint
from conformance.report.model import Component
from conformance.report.record import load, read
from conformance.requirement import Level, Requirement

SPLIT, GATEWAY = "split.smi-spec.io", "gateway.networking.k8s.io"


def row(name, statement="It is so.", api=SPLIT, **changes):
    version = "v1" if api == GATEWAY else "v1alpha4"
    return Requirement(name, Level.BEHAVIOUR, api, (version,), statement, "Specification", title="a title", **changes)


SMI = tuple(row(f"SPLIT-{number:03}") for number in range(1, 4))
ROUTES = tuple(row(f"ROUTE-{number:03}", "It is routed.", GATEWAY) for number in range(1, 3))


@pytest.fixture
def of_suite(record, result):
    """A maker of records: `of_suite("name", rows, selected=…, outcome=…, mesh=…)`; the rest is its header's."""

    def make(name, rows, selected=None, outcome="passed", mesh="reference", **changes):
        chosen = rows if selected is None else selected
        results = [
            dataclasses.replace(result(1, outcome, mesh=mesh), requirement=r.id, api=r.api, version=r.versions[0])
            for r in chosen
        ]
        return record(name, results, catalogue=describe(rows, chosen), **changes)

    return make


def header(path):
    return read(Path(path)).header


def combined(report_command, *words):
    code, out, err = report_command("combine", *words)
    assert code == 0, err
    return out, load(io.BytesIO(out.encode()))


def refused(report_command, *paths):
    """What `combine` and `diff` say of records that they refuse."""
    told = []
    for command in ("combine", "diff"):
        code, out, err = report_command(command, *paths)
        assert (code, out) == (2, "")
        assert "different catalogues" in err
        assert "--different-catalogues" in err
        told.append(err.partition(": ")[2])
        assert report_command(command, *paths, "--different-catalogues")[0] in {0, 1}
    return told[0]


def test_records_of_two_suites_are_one_as_if_both_had_been_run_at_once(of_suite, report_command, tmp_path):
    first, second = of_suite("smi", SMI), of_suite("gateway", ROUTES, outcome="failed")
    out, whole = combined(report_command, first, second)
    assert whole.header.catalogue == header(of_suite("at-once", SMI + ROUTES)).catalogue
    assert whole.header.catalogue.digest == digest(SMI + ROUTES)
    assert [mesh.name for mesh in whole.header.meshes] == ["reference"]
    assert {(v.api, v.compliance.value, v.capability.value) for v in whole.footer.verdicts} == {
        (SPLIT, "conformant", "full"), (GATEWAY, "nonconformant", "none"),
    }  # fmt: skip
    both = tmp_path / "both.jsonl"
    both.write_text(out)
    matrix = json.loads(report_command("matrix", both, "--format", "json")[1])
    assert {r["id"]: r["results"] for r in matrix["requirements"]} == {
        **{r.id: {"reference": {"v1alpha4": "passed"}} for r in SMI},
        **{r.id: {"reference": {"v1": "failed"}} for r in ROUTES},
    }
    assert {v["api"]: v["compliance"] for v in matrix["verdicts"]} == {SPLIT: "conformant", GATEWAY: "nonconformant"}


def test_such_a_record_is_compared_with_another_and_with_its_parts(of_suite, report_command, tmp_path):
    first, second = of_suite("smi", SMI), of_suite("gateway", ROUTES)
    both, later = tmp_path / "both.jsonl", of_suite("later", SMI + ROUTES, outcome="failed")
    both.write_text(combined(report_command, first, second)[0])
    code, out, _ = report_command("diff", both, later, "--format", "json")
    assert (code, json.loads(out)["counts"]["worse"]) == (1, 5)
    code, out, _ = report_command("diff", first, both, "--format", "json")
    found = json.loads(out)
    assert (code, found["counts"]["new"], found["counts"]["same"]) == (0, 2, 3)
    assert {change["requirement"] for change in found["changes"]} == {r.id for r in ROUTES}


def test_such_records_are_combined_again(of_suite, report_command, tmp_path):
    paths = []
    for mesh in ("a", "b"):
        path = tmp_path / f"both-{mesh}.jsonl"
        first, second = of_suite(f"smi-{mesh}", SMI, mesh=mesh), of_suite(f"gateway-{mesh}", ROUTES, mesh=mesh)
        path.write_text(combined(report_command, first, second)[0])
        paths.append(path)
    _, whole = combined(report_command, *paths, of_suite("c", SMI + ROUTES, mesh="c"), of_suite("d", ROUTES, mesh="d"))
    assert len(whole.results) == 5 + 5 + 5 + 2
    assert whole.header.catalogue.digest == digest(SMI + ROUTES)
    assert len(whole.header.parts) == 6


def test_parts_of_two_suites_are_combined_and_the_digest_is_not_known(of_suite, report_command, tmp_path):
    first, second = of_suite("smi", SMI, SMI[:1]), of_suite("gateway", ROUTES, ROUTES[:1])
    out, whole = combined(report_command, first, second)
    assert whole.header.catalogue.digest == ""
    assert set(whole.header.catalogue.requirements) == {"SPLIT-001", "ROUTE-001"}
    both = tmp_path / "both.jsonl"
    both.write_text(out)
    _, again = combined(report_command, both, of_suite("other", SMI, SMI[1:2]))
    assert set(again.header.selected) == {"SPLIT-001", "SPLIT-002", "ROUTE-001"}


def test_shards_that_are_whole_together_are_as_good_as_a_whole(of_suite, report_command):
    shards = [of_suite(f"shard-{number}", SMI, [one]) for number, one in enumerate(SMI)]
    _, whole = combined(report_command, *shards, of_suite("gateway", ROUTES))
    assert whole.header.catalogue.digest == digest(SMI + ROUTES)
    more = of_suite("at-once", SMI + ROUTES, mesh="another")
    assert combined(report_command, *shards, more)[1].header.catalogue.digest == digest(SMI + ROUTES)


@pytest.mark.parametrize(("change", "value"), [
    ("statement", "It is not so."), ("section", "Elsewhere"), ("versions", ("v1alpha4", "v1alpha3")),
    ("level", Level.MUST), ("unjudged", "nobody can tell"),
])  # fmt: skip
def test_a_requirement_that_is_another_is_refused_by_name(of_suite, report_command, change, value):
    newer = (SMI[0], dataclasses.replace(SMI[1], **{change: value}), SMI[2])
    others = [r for r in newer if r.judged]
    first, second = of_suite("old", SMI), of_suite("new", newer, others, mesh="other")
    if len(others) == len(newer):
        assert "SPLIT-002 is not the same in all of them" in refused(report_command, first, second)
    else:
        assert "SPLIT-002 is not in all of them" in refused(report_command, first, second)


def test_a_title_is_no_difference(of_suite, report_command):
    renamed = tuple(dataclasses.replace(r, title="another title") for r in SMI)
    combined(report_command, of_suite("old", SMI), of_suite("new", renamed, mesh="other"))


def test_a_requirement_that_moved_to_another_api_is_refused(of_suite, report_command):
    moved = (row("SPLIT-002", api=GATEWAY), *ROUTES)
    assert "SPLIT-002 is not the same" in refused(report_command, of_suite("a", SMI), of_suite("b", moved, mesh="b"))


def test_a_requirement_that_was_added_is_refused_where_the_group_is_in_both(of_suite, report_command):
    more = (*SMI, row("SPLIT-004"))
    assert "SPLIT-004 is not in all of them" in refused(
        report_command, of_suite("a", SMI), of_suite("b", more, mesh="other"))


def test_an_addition_that_was_not_selected_does_not_hide(of_suite, report_command):
    more = (*SMI, row("SPLIT-004"))
    assert "may have more requirements of split.smi-spec.io" in refused(
        report_command, of_suite("a", SMI), of_suite("b", more, SMI, mesh="other"))


def test_nothing_in_common_and_other_harnesses_is_refused(of_suite, report_command):
    other = of_suite("b", ROUTES, harness=Component("mesh-conformance", "0.2.0"))
    assert "of mesh-conformance 0.1.0 and mesh-conformance 0.2.0" in refused(report_command, of_suite("a", SMI), other)
    fork = of_suite("c", ROUTES, harness=Component("a-fork", "0.1.0"))
    assert "of a-fork 0.1.0 and mesh-conformance 0.1.0" in refused(report_command, of_suite("a", SMI), fork)


def test_what_was_combined_against_advice_is_refused_again(of_suite, report_command, tmp_path):
    """Its digest is empty, as that of another such record is: that makes them no more alike."""
    newer = tuple(dataclasses.replace(r, statement="It is not so.") for r in SMI)
    paths = []
    for mesh in ("a", "b"):
        code, out, _ = report_command(
            "combine", of_suite(f"old-{mesh}", SMI, mesh=f"{mesh}1"), of_suite(f"new-{mesh}", newer, mesh=f"{mesh}2"),
            "--different-catalogues")  # fmt: skip
        assert code == 0
        assert json.loads(out.partition("\n")[0])["catalogue"]["digest"] == ""
        path = tmp_path / f"forced-{mesh}.jsonl"
        path.write_text(out)
        paths.append(path)
    assert "may have more" in refused(report_command, *paths)


def test_a_digest_that_another_record_borrowed_is_seen_through(of_suite, report_command):
    """The same digest, and another statement below it: one of the two is not what it says."""
    path, first = of_suite("b", SMI, mesh="other"), of_suite("a", SMI)
    Path(path).write_bytes(Path(path).read_bytes().replace(b"It is so.", b"It is no.", 1))
    says = refused(report_command, first, path)
    assert "SPLIT-001 is not the same in all of them, though their digest is one" in says


def test_a_record_that_does_not_explain_itself_is_refused(of_suite, report_command, record, result):
    bare = record("bare", [result(9, "passed", mesh="other")], catalogue=describe(ROUTES, ()))
    assert "does not say what SPLIT-009 was" in refused(report_command, of_suite("a", SMI), bare)


def test_a_record_without_a_digest_is_refused(of_suite, report_command):
    unknown = of_suite("b", ROUTES, mesh="other")
    Path(unknown).write_text(Path(unknown).read_text().replace(digest(ROUTES), ""))
    assert "does not say which requirements there were" in refused(report_command, of_suite("a", SMI), unknown)


def test_the_suites_of_this_harness_agree(report):
    """What a user has who runs both on one mesh; and the ids of no requirement are in two suites."""
    suites = {name: selection.rows((name,)) for name in selection.SUITES}
    headers = [
        dataclasses.replace(report.header, selected=tuple(r.id for r in rows), catalogue=describe(rows, rows))
        for rows in suites.values()
    ]
    assert disagreement(headers) == ""
    assert joint(headers) == digest(selection.rows(selection.SUITES))
