"""Known failures: one on the list fails no run, one that passes does, and no list hides what it does not name.

A mutant of the sandbox that is listed, and the sound mesh that makes the list stale: test_publishing_tutorial.py.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
import yaml

from conformance import checks, cli, known, mesh, paths
from conformance.exit_code import ExitCode
from conformance.options import Settings
from conformance.outcome import Known, Outcome
from conformance.report import codec, record

pytest_plugins = ["pytester"]

HEAD = """
import pytest
from conformance.cluster import ClusterError
from conformance.outcome import Nonconformance
from conformance.plugin import SURROUNDINGS
from conformance.report.model import MeshUnderTest
from conformance.requirement import requirement
from conformance.run import Surroundings

@pytest.fixture(scope="session")
def mesh(request):
    request.config.stash[SURROUNDINGS] = Surroundings("v1", (MeshUnderTest("reference", "1.10.0"),))
    return request.param

@pytest.fixture
def breaks_afterwards():
    yield
    raise ClusterError("removing", "stuck")

def row(number, level="B", **more):
    return requirement(f"DEMO-{number:03}", level=level, versions=("v1alpha4",), api="demo.example", **more)
"""
FAILS = 'raise Nonconformance("bread", "stone")'
ENTRY = {"requirement": "DEMO-001", "reason": "it bakes stones", "link": "https://example.invalid/issues/7",
         "since": "1.9"}
KNOWN = Known("it bakes stones", "https://example.invalid/issues/7", "1.9")


def check(number, body, level="B", fixture=""):
    return f'@row({number}, "{level}")\ndef test_{number}(mesh{fixture}):\n    """Demands something."""\n    {body}\n\n'


@pytest.fixture
def run(pytester, monkeypatch):
    """Run checks with a list of known failures; returns the exit code and the record, if there is one."""

    def go(source, entries, *options):
        suite = pytester.mkdir("suites")
        monkeypatch.setattr(paths, "suites", lambda: suite)
        monkeypatch.setattr(checks, "dump", lambda *_: [])
        (suite / "smi").mkdir()
        (suite / "smi" / "test_demo.py").write_text(HEAD + source)
        (pytester.path / "list.yaml").write_text(yaml.safe_dump(entries))
        directory = pytester.path / "report"
        code = cli.main(["run", "--report-dir", str(directory), "--known-failing", str(pytester.path / "list.yaml"),
                         *options])
        found = directory / "report.jsonl"
        return code, record.read(found) if found.exists() else None

    return go


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_listed_failure_is_shown_with_its_reason_and_does_not_fail_the_run(run, pytester, capsys, options):
    code, report = run(check(1, FAILS) + check(2, "pass"), [ENTRY], *options)
    shown = capsys.readouterr().out
    assert code == report.footer.exit_code == ExitCode.CONFORMANT
    found = {result.requirement: result for result in report.results}
    assert (found["DEMO-001"].outcome, found["DEMO-001"].known) == (Outcome.KNOWN_FAILURE, KNOWN)
    assert "wanted bread" in found["DEMO-001"].message
    assert (found["DEMO-002"].outcome, found["DEMO-002"].known) == (Outcome.PASSED, None)
    assert report.footer.verdicts[0].compliance == "nonconformant", "a known failure is one all the same"
    assert "DEMO-001 fails on reference as it is known to: it bakes stones (https://example.invalid/issues/7" in shown
    assert "1 xfailed" in shown
    assert report.header.command == "mesh-conformance run --known-failing list.yaml"
    text = (pytester.path / "report" / "summary.md").read_text()
    assert "<https://example.invalid/issues/7>" in text
    cases = ET.parse(pytester.path / "report" / "junit.xml")
    assert "it bakes stones" in cases.find(".//testcase[@name='DEMO-001']/skipped").get("message")
    assert cases.getroot().get("failures") == "0"
    allure = [json.loads(file.read_text()) for file in (pytester.path / "report").glob("allure-results/*-result.json")]
    details = next(one["statusDetails"] for one in allure if one["name"].startswith("DEMO-001"))
    assert details["known"] is True
    assert "it bakes stones" in details["message"]


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_listed_requirement_that_passes_fails_the_run_as_stale(run, pytester, capsys, options):
    code, report = run(check(1, "pass") + check(2, "pass"), [ENTRY], *options)
    shown = capsys.readouterr().out
    assert code == report.footer.exit_code == ExitCode.NONCONFORMANT
    found = {result.requirement: result for result in report.results}
    assert found["DEMO-001"].stale
    assert found["DEMO-001"].message == "stale: DEMO-001 passes now; take it out of list.yaml"
    assert not found["DEMO-002"].stale
    assert report.footer.verdicts[0].compliance == "conformant", "the list is wrong, not the mesh"
    assert "stale: DEMO-001 passes now; take it out of list.yaml" in shown
    assert "stale" in (pytester.path / "report" / "summary.md").read_text()
    cases = ET.parse(pytester.path / "report" / "junit.xml")
    assert cases.find(".//testcase[@name='DEMO-001']/failure").get("type") == "Stale"
    assert cases.getroot().get("failures") == "1"


@pytest.mark.parametrize(("source", "outcome", "code"), [
    (check(1, 'raise ClusterError("asking", "no answer")'), Outcome.ERROR, ExitCode.ERROR),
    (check(1, "pass", fixture=", breaks_afterwards"), Outcome.ERROR, ExitCode.ERROR),
    (check(1, FAILS, level="S"), Outcome.KNOWN_FAILURE, ExitCode.CONFORMANT),
    (check(1, 'pytest.skip("left out")'), Outcome.SKIPPED, ExitCode.ERROR),
    (check(1, FAILS, fixture=", breaks_afterwards"), Outcome.ERROR, ExitCode.ERROR),
], ids=["error", "error in cleaning up", "should", "skipped", "failed, then an error"])
def test_the_list_changes_nothing_but_failures_and_passes(run, source, outcome, code):
    exit_code, report = run(source, [ENTRY])
    assert (report.results[0].outcome, exit_code) == (outcome, code)
    assert (report.results[0].known is not None) == (outcome is Outcome.KNOWN_FAILURE)


def test_an_entry_of_a_newer_version_does_not_hold(run):
    code, report = run(check(1, FAILS), [{**ENTRY, "since": "1.11"}])
    assert code == ExitCode.NONCONFORMANT
    assert (report.results[0].outcome, report.results[0].known) == (Outcome.FAILED, None)


def test_a_failure_that_is_not_listed_fails_the_run_beside_a_known_one(run):
    code, report = run(check(1, FAILS) + check(2, FAILS), [ENTRY])
    assert code == ExitCode.NONCONFORMANT
    assert report.footer.counts == {Outcome.FAILED: 1, Outcome.KNOWN_FAILURE: 1}


@pytest.mark.parametrize(("entries", "options", "complaint"), [
    ([{**ENTRY, "requirement": "DEMO-009"}], [], "list.yaml: no requirement matches 'DEMO-009'"),
    ([{**ENTRY, "requirement": "DEMO-003"}], [], "DEMO-003 is observed and never judged"),
    ([ENTRY, {**ENTRY}], [], "DEMO-001 is there 2 times"),
    ([{**ENTRY, "link": "javascript:alert(1)"}], [], "0.link"),
    ([{**ENTRY, "link": "https://example.invalid/><script>"}], [], "0.link"),
    ({}, [], "the top level"),
    ([ENTRY], ["--known-failing", "nowhere.yaml"], "there is no such file"),
    ([ENTRY], ["--mesh", "istio,linkerd", "--kubeconfig", "x"], "--known-failing is the list of one mesh"),
])
def test_a_wrong_list_is_refused_before_anything_runs(run, capsys, entries, options, complaint):
    code, report = run(check(1, "pass") + check(3, "pass", level="N"), entries, *options)
    shown = capsys.readouterr()
    assert (code, report) == (ExitCode.USAGE, None)
    assert complaint in shown.err + shown.out
    assert "Traceback" not in shown.err + shown.out


@pytest.mark.parametrize(("version", "since", "older"), [
    ("1.9.0", "1.10", True), ("1.10.0", "1.9", False), ("1.2", "1.2.0", False), ("v1.2.3", "1.2.3", False),
    ("1.29-alpha.7f2", "1.29", True), ("1.29.0", "1.29-alpha.7f2", False), ("2.0.0-rc1", "2.0.0", True),
    ("stable-2.14.9", "stable-2.14.10", True), ("edge-24.2.1", "stable-2.14.10", False),
    ("unknown", "1.0", False), ("1.0", "latest", False), ("1.0", "1" * 80, False), ("0.9", "v1", True),
])
def test_which_version_is_known_to_be_older(version, since, older):
    assert known.older(version, since) is older


def test_the_list_beside_the_mesh_holds_where_none_is_named(tmp_path, monkeypatch):
    shipped = mesh.load("linkerd")
    assert known.place(Settings(meshes=("linkerd",)), "linkerd") == "fixtures/meshes/linkerd/known-failing.yaml"
    own = tmp_path / "quiet"
    own.mkdir()
    (own / "mesh.yaml").write_bytes((shipped.directory / "mesh.yaml").read_bytes())
    (own / "known-failing.yaml").write_text(yaml.safe_dump([{**ENTRY, "requirement": "SPLIT-012"}]))
    name = str(own / "mesh.yaml")
    settings = Settings(meshes=(name,))
    assert known.find(settings, name, "SPLIT-012", "edge-26.1.1") == KNOWN
    assert known.find(settings, name, "SPLIT-012", "1.8.9") is None
    assert known.find(settings, name, "SPLIT-011", "2.0") is None
    assert known.place(settings, name) == "quiet/known-failing.yaml", "no directory of this machine"


def test_a_record_keeps_what_a_list_says_and_refuses_links_that_run_something(report_line):
    item = codec.decode(report_line())
    assert item.known == KNOWN
    for link in ("javascript:alert(1)", "https://x/\u202e", "http://example.invalid", "https://a b"):
        with pytest.raises(codec.RecordError, match=r"is not a valid result: \$\.known\.link"):
            codec.decode(report_line(link=link))


@pytest.fixture
def report_line():
    """A line of a record with a known failure."""

    def line(**changes):
        said = {"reason": KNOWN.reason, "link": KNOWN.link, "since": KNOWN.since} | changes
        document = {
            "type": "result", "requirement": "DEMO-001", "level": "B", "judged": True, "mesh": "reference",
            "api": "demo.example", "version": "v1alpha4", "outcome": "known-failure", "message": "", "duration": 1.0,
            "converged": [], "samples": [], "applied": [], "observed": "", "reproduce": "", "worker": "", "known": said,
        }
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"

    return line
