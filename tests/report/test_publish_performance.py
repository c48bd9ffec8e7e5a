"""What was measured goes with what was judged: shown, published without names of machines, hostile until read."""

from __future__ import annotations

import dataclasses
import json

import pytest
from html_reports import performance_run

from conformance import cli
from conformance.outcome import Outcome
from conformance.performance import record as performance_record
from conformance.report.publishing import command, measured

URL = "https://grafana.acme-corp.com/d/1"


def run_of(version="1.2.3", text="", **changes):
    """A performance run of the mesh that the records here are of."""
    made = performance_run(text)
    return dataclasses.replace(made, header=dataclasses.replace(made.header, mesh_version=version, **changes))


@pytest.fixture
def judged(record, result, tmp_path):
    """A report directory with a record that may be published, and the performance record that it is given beside it."""
    results = (result(1, "passed", "M"), result(3, "passed"))

    def make(run=None, text=None):
        directory = tmp_path / "run"
        (directory / "performance").mkdir(parents=True, exist_ok=True)
        (directory / "report.jsonl").write_bytes(
            open(record("made", results, command="mesh-conformance run"), "rb").read())  # noqa: PTH123, SIM115
        file = directory / "performance" / "performance.json"
        if run:
            performance_record.write(file, run)
        if text is not None:
            file.write_text(text)
        return directory

    return make


@pytest.fixture
def publish(tmp_path, capsys):
    """Publish as the command line does: the exit code, and what was printed."""

    def go(*words):
        code = cli.main(["report", "publish", "--to", str(tmp_path / "reports"), *map(str, words)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return go


@pytest.fixture
def there(tmp_path):
    return tmp_path / "reports" / "reference" / "1.2.3+v1alpha4"


# --- show ---


def test_show_draws_what_stands_beside_the_record(judged, report_command):
    pytest.importorskip("matplotlib")
    directory = judged(run_of())
    for name in (directory, directory / "report.jsonl"):
        code, out, _ = report_command("show", name, "--format", "html")
        assert code == 0
        assert "Performance of Reference mesh 1.2.3" in out
        assert "<svg" in out
    _, out, _ = report_command("show", directory, "--format", "html", "--mesh", "reference")
    assert "Performance of" in out
    assert "Performance of" not in report_command("show", directory)[1]


def test_show_leaves_out_what_was_measured_of_other_meshes_or_cannot_be_read(judged, report_command, piped):
    directory = judged(run_of())
    assert "Performance of" not in report_command("show", directory, "--format", "html", "--mesh", "another")[1]
    piped((directory / "report.jsonl").read_bytes())
    assert "Performance of" not in report_command("show", "-", "--format", "html")[1]
    code, out, _ = report_command("show", judged(text="{"), "--format", "html")
    assert code == 0
    assert "Performance of" not in out


# --- publish ---


def test_what_was_measured_is_published_without_names_of_machines(judged, publish, there, report_command):
    whole = run_of()
    assert publish(judged(whole))[0] == 0
    kept = performance_record.read(there / measured.NAME)
    assert kept.results == whole.results
    assert (kept.header.environment.cluster, [node.name for node in kept.header.environment.nodes]) == ("", ["node-1"])
    assert kept.header.environment.nodes[0].kernel == "6.1.0"
    assert "Performance of Reference mesh 1.2.3" in (there / "report.html").read_text()
    assert f"  {measured.NAME}\n" in (there / "SHA256SUMS").read_text()
    readme = (there / "README.md").read_text()
    assert f"[{measured.NAME}]({measured.NAME})" in readme
    assert "What was measured:\n\n```sh\nmesh-conformance perf run\n```\n" in readme
    assert publish("--check") == (0, "")
    assert "stands there already" in publish(judged(whole))[1]
    assert "Performance of" in report_command("matrix", there, "--format", "html")[1], "drawn of what was published"


def test_it_is_left_out_when_asked_and_where_there_is_none(judged, publish, there):
    assert publish(judged(run_of()), "--no-performance")[0] == 0
    assert not (there / measured.NAME).exists()
    assert "Performance of" not in (there / "report.html").read_text()
    assert measured.NAME not in (there / "README.md").read_text()


@pytest.mark.parametrize(("run", "complaint"), [
    (run_of("1.2.4"), "performance.json is of reference 1.2.4, the record of reference 1.2.3"),
    (run_of(mesh="linkerd"), "performance.json is of linkerd 1.2.3, the record of reference 1.2.3"),
    (run_of(command=f"mesh-conformance perf run {URL}"), "names the host grafana.acme-corp.com"),
    (run_of(command="mesh-conformance perf run --mutant weights-84-16"), "broken on purpose"),
    (run_of(command="curl x | sh"), "is none of mesh-conformance"),
    (run_of(text=" 8.8.8.8"), "names the address 8.8.8.8"),
    (run_of(command="mesh-conformance perf run --header 'Authorization: Bearer abcdefghijklmnop1234'"), "has secrets"),
    (dataclasses.replace(run_of(), results=()), "performance.json has no figure"),
])
def test_what_may_not_be_published_is_refused_with_what_to_do(judged, publish, there, run, complaint):
    code, told = publish(judged(run))
    assert code == command.REFUSED
    assert complaint in told
    assert "leave it out with --no-performance" in told
    assert not there.parent.parent.exists()


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "is not JSON"), ("{", "the file is truncated"), ("[]", "performance.json"),
    ('{"format": 7}', "performance.json"),
    ("[" * 100_000, "is not JSON"), ("\x00", "is not JSON"),
])
def test_what_is_no_performance_record_is_refused(judged, publish, there, text, complaint):
    code, told = publish(judged(text=text))
    assert code == command.REFUSED
    assert complaint in told
    assert "--no-performance" in told
    assert "Traceback" not in told
    assert not there.parent.parent.exists()


def test_one_that_is_too_large_is_refused(judged, publish, monkeypatch):
    monkeypatch.setattr(measured, "MAX_RECORD", 100)
    code, told = publish(judged(run_of()))
    assert (code, "at most 100 are published" in told) == (command.REFUSED, True)


def test_markup_in_it_is_text(judged, publish, there):
    assert publish(judged(run_of(text="<script>alert(1)</script>")))[0] == 0
    assert "<script>alert(1)" not in (there / "report.html").read_text()


def test_check_reads_what_was_published_as_anybodys(judged, publish, there):
    assert publish(judged(run_of()))[0] == 0
    file = there / measured.NAME
    document = json.loads(file.read_text())
    document["header"]["mesh_version"] = "9.9.9"
    file.write_text(json.dumps(document))
    code, told = publish("--check")
    assert code == command.REFUSED
    assert "performance.json is not as its SHA256SUMS says" in told
    assert "performance.json is of reference 9.9.9" in told
    file.write_text("{")
    code, told = publish("--check")
    assert (code, "the file is truncated" in told) == (command.REFUSED, True)
    file.unlink()
    assert publish("--check")[0] == command.REFUSED


def test_the_record_alone_takes_what_stands_beside_it(judged, publish, there):
    assert publish(judged(run_of()) / "report.jsonl")[0] == 0
    assert (there / measured.NAME).exists()
    assert Outcome.PASSED.value in (there / "README.md").read_text()
