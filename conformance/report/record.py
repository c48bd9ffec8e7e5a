"""The record of a run, read back.

A record is JSON Lines: one header, one line a result, one footer, each held to `schema/record-v1.json` when it is
written and when it is read. A record without a footer is a run that broke off and cannot be published. Whoever does not
need the whole of a large one reads a `stream.RecordStream`.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from conformance.outcome import Result
from conformance.report.codec import MAX_LINE, MissingFooter, RecordError, decode, encode
from conformance.report.model import Component, Footer, Header, MeshUnderTest, Report, count, environment, now
from conformance.report.stream import RecordStream

__all__ = [
    "MAX_LINE",
    "Component",
    "Footer",
    "Header",
    "MeshUnderTest",
    "MissingFooter",
    "RecordError",
    "Report",
    "count",
    "decode",
    "encode",
    "environment",
    "load",
    "now",
    "read",
]

def read(path: Path) -> Report:
    """Read a record from a file.

    What is read was written by someone else: it is held to the schema, checked against itself and cleaned like
    what is written. Raises `RecordError` with the line, `MissingFooter` for a run that broke off.
    """
    try:
        with path.open("rb") as stream:
            return load(stream)
    except OSError as error:
        raise RecordError(f"the record {path} cannot be read: {error.strerror}") from error


def load(stream: BinaryIO, name: str = "") -> Report:
    """Read a record from a binary stream, as `read` does; `name` is for messages."""
    source = RecordStream(stream, name)
    results: list[Result] = []
    try:
        results.extend(line.result() for line in source)
    except MissingFooter as error:
        raise MissingFooter(error.header, tuple(results), error.line, name) from None
    return Report(source.header, tuple(results), source.footer)
