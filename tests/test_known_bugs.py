"""Bugs that real meshes had where the specification is silent: no check fails, and the report shows what is done."""

from __future__ import annotations

import pytest

from conformance import cli
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record
from conformance.sandbox.mutants import OBSERVED


@pytest.fixture
def observed(tmp_path):
    def run(*options):
        code = cli.main(["run", "--report-dir", str(tmp_path), *options])
        result, = record.read(tmp_path / "report.jsonl").results
        assert (code, result.outcome) == (ExitCode.NOTHING, Outcome.OBSERVED)
        return result.observed

    return run


@pytest.mark.parametrize("name", OBSERVED)
def test_the_observation_shows_the_bug(observed, name):
    requirement = OBSERVED[name].kills
    assert "503" in observed("--mutant", name, "--requirement", requirement)
    assert "503" not in observed("--requirement", requirement)
