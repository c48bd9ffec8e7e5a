"""A run in a job of GitHub Actions: its summary, its annotations, and no command of a mesh that is obeyed."""

from __future__ import annotations

import re

import pytest

from conformance import checks, cli, paths
from conformance.exit_code import ExitCode
from conformance.report import github

pytest_plugins = ["pytester"]

SUITE = '''
import pytest
from conformance.outcome import Nonconformance
from conformance.requirement import requirement

@pytest.fixture(scope="session")
def mesh(request):
    return request.param

def row(number, level):
    return requirement(f"DEMO-{number:03}", level=level, versions=("v1alpha4",), api="demo.example")

@row(1, "B")
def test_1(mesh):
    """Demands something."""
    raise Nonconformance("bread", "stone\\n::add-mask::*\\n  ::error::mine\\n##[add-path]/tmp")

@row(2, "S")
def test_2(mesh):
    """Recommends something."""
    raise Nonconformance("bread", "cake")
'''


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the checks as `mesh-conformance run` does; returns its exit code."""

    def go(*options):
        suite = pytester.path / "suites"
        (suite / "smi").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(paths, "suites", lambda: suite)
        monkeypatch.setattr(checks, "dump", lambda *_: [])  # there is no cluster to ask
        (suite / "smi" / "test_demo.py").write_text(SUITE)
        return cli.main(["run", "--report-dir", str(pytester.path / "report"), *options])

    return go


def obeyed(output):
    """Return the lines that GitHub's runner takes for commands: it stops at its own word until that word comes."""
    found, word = [], ""
    for line in output.split("\n"):
        if word:
            word = "" if line.strip() == f"::{word}::" else word
        elif stop := re.match(r"\s*::stop-commands::(.+)", line):
            word = stop[1]
        elif re.match(r"\s*::", line) or "##[" in line:
            found.append(line)
    assert not word, "the runner was never told to obey again"
    return found


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_job_is_annotated_and_obeys_no_mesh(run, monkeypatch, capfd, workers):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run(*workers) == ExitCode.NONCONFORMANT
    output = capfd.readouterr().out
    assert "  ::error::mine" in output
    commands = obeyed(output)
    assert [line.partition("::")[2].partition("::")[0] for line in commands] == [
        "error title=DEMO-001 violated by reference", "warning title=DEMO-002 violated by reference"]
    assert "%0A::add-mask::*%0A" in commands[0]


def test_elsewhere_nothing_is_said(run, monkeypatch, capfd):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    run()
    assert not re.search(r"^::(stop-commands|error|warning)", capfd.readouterr().out, re.MULTILINE)


def test_the_summary_of_the_job(run, monkeypatch, tmp_path):
    monkeypatch.setenv(github.SUMMARY, str(tmp_path / "step"))
    run()
    text = (tmp_path / "step").read_text()
    assert text.startswith("# Conformance report")
    assert "### DEMO-001 on reference" in text
    assert run() == ExitCode.NONCONFORMANT
    assert (tmp_path / "step").read_text().count("# Conformance report") == 2, "the second run of a step is added"


def test_a_summary_that_cannot_be_written_is_an_error(run, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv(github.SUMMARY, str(tmp_path / "none" / "step"))
    assert run() == ExitCode.ERROR
    output = capfd.readouterr().out
    assert "error: the report cannot be written to the summary of the job, step ($GITHUB_STEP_SUMMARY)" in output
    assert obeyed(output), "it obeys again all the same"


def test_a_run_that_cannot_begin_leaves_the_runner_obeying(run, monkeypatch, pytester, capfd):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setattr(cli, "writers", lambda _: None)  # who asks first, and would end it before pytest begins
    (pytester.path / "report").write_text("in the way")
    assert run() == ExitCode.USAGE
    assert obeyed(capfd.readouterr().out) == []
