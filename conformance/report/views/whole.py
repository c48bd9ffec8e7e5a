"""A whole record for views that need all of it at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conformance.options import DEFAULT_REPORT_DIR
from conformance.report.codec import RecordError
from conformance.report.hygiene import clean_text
from conformance.report.model import Report
from conformance.report.record import load, read
from conformance.report.stream import RecordStream

RECORD: Final = "report.jsonl"


def add_record(parser: argparse.ArgumentParser) -> None:
    """Declare the record as an argument; without it, that of the last run here is taken."""
    usual = DEFAULT_REPORT_DIR / RECORD
    parser.add_argument("record", metavar="RECORD", nargs="?", default=str(usual),
                        help=f"a {RECORD}, a directory with one, or - for standard input (default: {usual})")


def read_record(name: str) -> Report:
    """Return the record of that name. Raises RecordError, for a run that broke off as well."""
    if name == "-":
        return load(sys.stdin.buffer)
    path = Path(name)
    return read(path / RECORD if path.is_dir() else path)


@contextmanager
def streamed(name: str) -> Iterator[RecordStream]:
    """Open the record of that name to be read line by line. Raises RecordError."""
    if name == "-":
        yield RecordStream(sys.stdin.buffer, "standard input")
        return
    path = Path(name) / RECORD if Path(name).is_dir() else Path(name)
    try:
        opened = path.open("rb")
    except OSError as error:
        raise RecordError(f"the record {clean_text(str(path))} cannot be read: {error.strerror}") from error
    with opened as stream:
        yield RecordStream(stream, clean_text(str(path)))
