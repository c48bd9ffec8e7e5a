"""Say whether a record may be published, and what stands against it, each with its line.

Schema, header and footer, counts and verdicts; requirements that are explained; released versions of harness and mesh;
how to repeat each failure; nothing secret: no tokens, no certificates, no addresses outside the cluster. A SHA256SUMS
beside the record is held to.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.report.views.whole import RECORD, add_record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("--format", choices=("pretty", "json"), default="pretty", help="default: pretty")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance import selection  # noqa: PLC0415 - only this command needs the catalogue
    from conformance.report import verifying  # noqa: PLC0415 - as above

    known = [row.id for row in selection.rows(selection.SUITES)]
    if chosen.record == "-":
        found = verifying.verify_stream(sys.stdin.buffer, "standard input", known)
    else:
        path = Path(chosen.record)
        found = verifying.verify(path / RECORD if path.is_dir() else path, known)
    if chosen.format == "json":
        print(verifying.as_json(found))
    else:
        for finding in found:
            print(finding)
        number = "1 finding" if len(found) == 1 else f"{len(found)} findings"
        print(f"{number}: not to be published" if found else "nothing stands against publishing it")
    return 1 if found else 0
