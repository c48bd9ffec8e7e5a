"""What GitHub shows of a job: its summary within the limit, annotations, and no command that a mesh wrote."""

import re

import pytest

from conformance.cli import main
from conformance.report import github, summary
from conformance.report.github import Commands, JobSummary, annotate, fitted
from conformance.report.hygiene import clean_result
from conformance.report.record import encode
from conformance.report.writing import ReportError

HOSTILE = "got 100%\n::add-mask::*\r\n  ::error title=x::y\n##[set-env name=PATH]/tmp\n::set-output name=a::b, c: d"


def test_a_command_for_what_matters(results):
    found = annotate(results)
    assert [line.split("::")[1] for line in found] == [
        "error title=SPLIT-003 violated by reference", "error title=SPLIT-004 ended in an error on reference",
        "notice title=SPLIT-008 is a known failure of reference",
    ]  # fmt: skip
    repeat = "repeat it: mesh-conformance run --requirement SPLIT-003"
    assert found[0].endswith(f"::wanted 90 %25%0A   got 84 %25%0A{repeat}")


def test_a_failed_should_warns(result):
    assert annotate([result(1, "failed", "S", message="no")]) == [
        "::warning title=SPLIT-001 violated by reference::no"]


def test_no_text_of_a_mesh_ends_its_command(result):
    lines = annotate([clean_result(result(1, "failed", mesh=f"a:b,c%{HOSTILE}", message=HOSTILE))])
    (line,) = lines
    assert "\n" not in line
    assert "\r" not in line
    properties = line.split("::")[1].removeprefix("error title=")
    assert not set(properties) & set(":,\n\r")
    assert re.sub(r"%(25|0A|0D|3A|2C)", "", properties).count("%") == 0


def test_no_more_than_github_shows(result):
    lines = annotate([result(number, "failed", message="no") for number in range(1, 31)])
    assert len(lines) == github.MAX_ANNOTATIONS
    assert lines[-1].endswith("::21 more of this kind are in the summary and in the reports")
    assert len(annotate([result(number, "failed", message="no") for number in range(1, 11)])) == 10


def test_what_is_printed_commands_nothing():
    commands = Commands({"GITHUB_ACTIONS": "true"})
    word = commands.hold().removeprefix("::stop-commands::")
    assert re.fullmatch(r"[0-9a-f]{32}", word)
    assert commands.release([]) == f"::{word}::"
    assert commands.release([]) == "", "once"
    assert Commands({"GITHUB_ACTIONS": "true"}).hold() != f"::stop-commands::{word}"
    elsewhere = Commands({})
    assert (elsewhere.hold(), elsewhere.release([])) == ("", "")


def test_the_summary_is_what_the_page_says(report, run, tmp_path):
    path = tmp_path / "step"
    path.write_text("from before\n")
    run(JobSummary(path), report)
    text = path.read_text()
    assert text.startswith("from before\n# Conformance report")
    page = summary.render(report)
    assert sorted(text.removeprefix("from before\n").split("\n")) == sorted([*page.split("\n"), ""][:-1])
    assert text.index("## Verdict") < text.index("## Violations") < text.index("## reference: SPLIT")


def test_what_has_no_room_is_left_out_and_counted(result, report_of, tmp_path, run):
    long = "word " * 3000
    whole = report_of([result(number, "failed", message=long) for number in range(1, 200)])
    assert len(summary.render(whole).encode()) > github.MAX_SUMMARY
    path = tmp_path / "step"
    run(JobSummary(path), whole)
    text = path.read_text()
    assert len(text.encode()) <= github.MAX_SUMMARY
    assert text.startswith("# Conformance report")
    number = int(re.search(r"\*\*Left out here: (\d+) sections, more than GitHub shows", text)[1])
    assert number == len(summary.sections(whole)) - text.count("### SPLIT-") - 1
    assert text.count("```") % 2 == 0, "no block is cut in the middle"
    run(JobSummary(path), whole)
    assert len(path.read_bytes()) <= github.MAX_SUMMARY, "a second run of the same step"


@pytest.mark.parametrize("room", [-5, 0, 3, 150])
def test_no_room_at_all(room):
    assert len(fitted(["a" * 200, "b"], room).encode()) <= max(room, 0)


def test_the_command(report, tmp_path, monkeypatch, capsys):
    record = tmp_path / "report.jsonl"
    record.write_bytes(b"".join(encode(item) for item in (report.header, *report.results, report.footer)))
    monkeypatch.delenv(github.SUMMARY, raising=False)
    assert main(["report", "github", str(record)]) == 2
    assert "GITHUB_STEP_SUMMARY is not set" in capsys.readouterr().err
    monkeypatch.setenv(github.SUMMARY, str(tmp_path / "step"))
    assert main(["report", "github", str(record)]) == 0
    assert capsys.readouterr().out.startswith("::error title=SPLIT-003 violated by reference::")
    assert "## Violations" in (tmp_path / "step").read_text()
    monkeypatch.setenv(github.SUMMARY, str(tmp_path / "none" / "step"))
    assert main(["report", "github", str(record)]) == 3
    assert "the summary of the job cannot be written" in capsys.readouterr().err


def test_a_summary_that_cannot_be_written_is_said(report, tmp_path):
    from conformance.report.writers import writers  # noqa: PLC0415 - beside what it is for

    every = writers(None, more=[JobSummary(tmp_path / "none" / "step")])
    every.start(report.header)
    with pytest.raises(ReportError, match=r"written to the summary of the job, step \(\$GITHUB_STEP_SUMMARY\)"):
        every.finish(report.footer)
