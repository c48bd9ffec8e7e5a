"""`mesh-conformance report official`: what it prints, and how it ends."""

import json
import re

import pytest
import yaml

from conformance import cli
from conformance.report import record


@pytest.fixture
def compared(tmp_path, report, lines, claimed, capsys):
    """Runs the command on a record and a run of the official suite, and gives its exit code and what it printed."""
    def run(ours, theirs, *options, claims=None, place="directory"):
        found = report(ours)
        (tmp_path / "report.jsonl").write_bytes(
            b"".join(record.encode(item) for item in (found.header, *found.results, found.footer)))
        (tmp_path / "events.jsonl").write_text("\n".join(lines(theirs)) + "\n")
        (tmp_path / "report.yaml").write_text(yaml.safe_dump(claims or claimed()))
        official = tmp_path if place == "directory" else tmp_path / "events.jsonl"
        code = cli.main(["report", "official", str(tmp_path / "report.jsonl"), str(official), *options])
        return code, capsys.readouterr()

    return run


AGREED = ({"ROUTE-001": "passed", "ROUTE-003": "passed"}, {"MeshHTTPRouteWeight": "passed", "MeshFrontend": "passed"})


def test_agreement_is_a_table_and_no_failure(compared):
    code, told = compared(*AGREED)
    assert code == 0
    assert "istio 1.31-dev and the official suite of the Gateway API v1.6.0, on istio 1.31-dev: 1 agree" in told.out
    (row,) = (line for line in told.out.splitlines() if line.startswith("ROUTE-001"))
    assert row.split() == ["ROUTE-001", "(v1)", "passed", "MeshHTTPRouteWeight", "passed", "agree"]
    assert "judged by us alone: ROUTE-003 passed" in told.out
    assert "judged by them alone: MeshFrontend passed" in told.out
    assert "calls supported what no test of theirs showed: MeshConsumerRoute (no test of it was run)" in told.out


def test_disagreement_fails_and_is_explained(compared):
    code, told = compared({"ROUTE-001": "failed"}, {"MeshHTTPRouteWeight": "passed"})
    assert code == 1
    assert "disagree: ROUTE-001 and MeshHTTPRouteWeight: theirs has weights 70 and 30" in told.out


def test_where_nothing_was_judged_by_both_nothing_agrees(compared):
    skipped = ("skipped", "Skipping MeshHTTPRouteWeight: suite does not support HTTPRoute")
    code, told = compared({"ROUTE-001": "passed"}, {"MeshHTTPRouteWeight": skipped})
    assert code == 4
    assert "skipped: suite does not support" in told.out


def test_the_events_alone_are_enough(compared):
    code, told = compared(*AGREED, place="file")
    assert code == 0
    assert "calls supported" not in told.out


def test_a_program_can_read_it(compared):
    code, told = compared(*AGREED, "--format", "json")
    found = json.loads(told.out)
    assert code == 0
    assert found["counts"]["agree"] == 1
    assert found["official"]["version"] == "1.31-dev"
    assert found["claimed_without_evidence"] == {"MeshConsumerRoute": "no test of it was run"}
    first = found["pairs"][0]
    assert (first["requirement"], first["ours"], first["theirs"]) == ("ROUTE-001", "passed", "passed")


def test_markdown_takes_nothing_of_theirs_for_markup(compared, claimed):
    hostile = claimed()
    hostile["implementation"]["project"] = "<img src=x>|`"
    skipped = ("skipped", "Skipping MeshHTTPRouteWeight: <script>|alert(1)|</script>")
    code, told = compared({"ROUTE-001": "passed"}, {"MeshHTTPRouteWeight": skipped}, "--format", "markdown",
                          claims=hostile)
    assert code == 4
    assert r"\<script\>" in told.out
    assert not re.search(r"(?<!\\)[<|`](?![ -]|$)", told.out.partition("\n| ")[0]), "the heading"
    assert not re.search(r"(?<!\\)<", told.out)
    assert told.out.count("\n|") > 5


def test_what_cannot_be_compared_is_a_sentence(compared, tmp_path):
    code, told = compared({"ROUTE-001": "passed"}, {})
    assert code == 2
    assert told.err == "mesh-conformance: the official suite ended before its first test. Look at its output\n"
    (tmp_path / "report.jsonl").unlink()
    assert cli.main(["report", "official", str(tmp_path / "report.jsonl"), str(tmp_path)]) == 2
