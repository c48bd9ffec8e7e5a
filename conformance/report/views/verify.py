"""Say whether a record may be published, and what stands against it, each with its line.

Schema, header and footer, counts and verdicts; requirements that are explained; released versions of harness and mesh;
how to repeat each failure; nothing secret: no tokens, no certificates, no addresses outside the cluster. A SHA256SUMS
beside the record is held to. What `report publish` refuses besides, such as a mesh that was broken on purpose, is found
here as well.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from conformance.report.views.whole import RECORD, add_record

if TYPE_CHECKING:
    from conformance.report.verifying import Finding


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("--format", choices=("pretty", "json"), default="pretty", help="default: pretty")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report import verifying  # noqa: PLC0415 - only this command needs the catalogue
    from conformance.report.publishing import rules  # noqa: PLC0415 - as above

    known = rules.requirements()
    if chosen.record == "-":
        with TemporaryFile() as kept:  # it is read twice
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.seek(0)
            found = verifying.verify_stream(kept, "standard input", known)
            kept.seek(0)
            found += _unpublishable(kept, "standard input")
    else:
        path = Path(chosen.record)
        path = path / RECORD if path.is_dir() else path
        found = verifying.verify(path, known)
        with path.open("rb") as stream:
            found += _unpublishable(stream, path.name)
    if chosen.format == "json":
        print(verifying.as_json(found))
    else:
        for finding in found:
            print(finding)
        number = "1 finding" if len(found) == 1 else f"{len(found)} findings"
        print(f"{number}: not to be published" if found else "nothing stands against publishing it")
    return 1 if found else 0


def _unpublishable(stream: BinaryIO, name: str) -> list[Finding]:
    """Return what publishing asks besides; of a record that cannot be read, all has been told."""
    from conformance.report.codec import RecordError  # noqa: PLC0415 - as above
    from conformance.report.hygiene import clean_text  # noqa: PLC0415 - as above
    from conformance.report.publishing import place, rules  # noqa: PLC0415 - as above
    from conformance.report.record import load  # noqa: PLC0415 - as above
    from conformance.report.verifying import Finding  # noqa: PLC0415 - as above

    name = clean_text(name, 256)
    if stream.seek(0, 2) > rules.MAX_RECORD:
        return [Finding(name, 0, f"is larger than what is published ({rules.MAX_RECORD} bytes)")]
    stream.seek(0)
    try:
        report = load(stream)
        found = [Finding(name, 0, problem) for problem in rules.besides(report)]
        place.of(report.header)
    except RecordError:
        return []
    except place.Unpublishable as error:
        found.append(Finding(name, 0, str(error)))
    return found
