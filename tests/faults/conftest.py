"""Faults are tried on real runs: in this process where something has to be broken, in another where it is ended."""

from __future__ import annotations

import pytest

from conformance import cli
from conformance.report import record


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the suite in this process; returns the exit code and the record, if there is one."""
    monkeypatch.chdir(tmp_path)

    def go(*options):
        directory = tmp_path / "report"
        code = cli.main(["run", "--report-dir", str(directory), *options])
        found = directory / "report.jsonl"
        return code, record.read(found) if found.exists() else None

    return go
