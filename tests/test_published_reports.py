"""The reports that are published in this repository are as they were published, and the index is of them."""

from __future__ import annotations

from pathlib import Path

from conformance.report.publishing import command

HOME = Path(__file__).resolve().parents[1] / "reports"


def test_what_stands_there_is_what_was_published(capsys):
    assert command.check(HOME) == command.DONE, capsys.readouterr().err
