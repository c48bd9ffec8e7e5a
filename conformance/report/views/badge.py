"""Write badges of a record: for each mesh, and each API group of it, what Shields reads and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.report.views.whole import add_record, read_record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("-o", "--output", type=Path, default=Path("badges"), metavar="DIR",
                        help="directory for the badges (default: badges); files of the same names are replaced")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report import badges  # noqa: PLC0415 - only this command needs them
    from conformance.report.writing import ReportError  # noqa: PLC0415 - as above
    from conformance.writing import write_whole  # noqa: PLC0415 - as above

    found = badges.badges(read_record(chosen.record).footer)
    if not found:
        raise ReportError("the record has no verdict: nothing was executed, and there is nothing to put on a badge")
    try:
        chosen.output.mkdir(parents=True, exist_ok=True)
        for name, text in badges.written(found).items():
            write_whole(chosen.output / name, text)
    except OSError as error:
        raise ReportError.of(f"the badges cannot be written to {chosen.output}", error) from error
    for badge in found:
        print(f"{chosen.output / badge.name}.svg, .json: {badge.label}: {badge.message}")
    return 0
