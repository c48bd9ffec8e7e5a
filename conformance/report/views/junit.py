"""Print a record as JUnit's XML, as a run writes it to junit.xml: for records that were combined."""

from __future__ import annotations

import argparse

from conformance.report.views.whole import add_record, read_record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report import junit  # noqa: PLC0415 - only this command needs it

    print(junit.render(read_record(chosen.record)), end="")
    return 0
