"""The record of a run, read back.

A record is JSON Lines: one header, one line a result, one footer, each held to `schema/record-v1.json` when it is
written and when it is read. A record without a footer is a run that broke off and cannot be published.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from conformance.outcome import Case, Result, Verdict, verdict
from conformance.report.codec import MAX_LINE, RecordError, decode, encode
from conformance.report.model import Component, Footer, Header, MeshUnderTest, Report, count, environment, now

__all__ = [
    "MAX_LINE",
    "MAX_RESULTS",
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

MAX_RESULTS = 100_000
"""The most results that one record may have."""


class MissingFooter(RecordError):  # noqa: N818 - names what is wrong
    """The record is whole as far as it goes, but the run did not end; `header` and `results` are what there is."""

    def __init__(self, header: Header, results: tuple[Result, ...], line: int) -> None:
        super().__init__("the record has no footer: the run broke off, and its record cannot be published", line)
        self.header = header
        self.results = results


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


def load(stream: BinaryIO) -> Report:
    """Read a record from a binary stream, as `read` does."""
    reader = _Reader()
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        try:
            reader.take(line)
        except RecordError as error:
            raise RecordError(error.problem, number) from error
    return reader.report(number)


class _Reader:
    """Takes the lines of a record one by one and holds them to each other."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._results: dict[Case, Result] = {}
        self._footer: Footer | None = None

    def take(self, line: bytes) -> None:
        if self._footer is not None:
            raise RecordError("stands after the footer, which is the last line of a record")
        item = decode(line)
        if isinstance(item, Header):
            if self._header is not None:
                raise RecordError("is a second header; records are combined by a command, not by concatenation")
            self._header = item
        elif self._header is None:
            raise RecordError("stands before the header, which is the first line of a record")
        elif isinstance(item, Result):
            self._take_result(item, self._header)
        else:
            self._take_footer(item)

    def _take_result(self, result: Result, header: Header) -> None:
        if result.case in self._results:
            raise RecordError(f"is a second result of {result.requirement} on {result.mesh}")
        if result.requirement not in header.selected:
            raise RecordError(f"is a result of {result.requirement}, which the header does not select")
        if result.mesh not in {mesh.name for mesh in header.meshes}:
            raise RecordError(f"is a result on {result.mesh}, a mesh that the header does not name")
        if len(self._results) >= MAX_RESULTS:
            raise RecordError(f"is one result too many: a record has at most {MAX_RESULTS}")
        self._results[result.case] = result

    def _take_footer(self, footer: Footer) -> None:
        counts = count(self._results.values())
        if counts != {outcome: number for outcome, number in footer.counts.items() if number}:
            told = ", ".join(f"{number} {outcome}" for outcome, number in footer.counts.items()) or "none"
            found = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "none"
            raise RecordError(f"the footer counts {told}, the results are {found}: lines were lost or added")
        for claimed in footer.verdicts:
            self._check_verdict(claimed)
        judged = {(claimed.mesh, claimed.api, claimed.version) for claimed in footer.verdicts}
        for case in self._results:
            if (case.mesh, case.api, case.version) not in judged:
                raise RecordError(f"the footer has no verdict on {case.mesh} for {case.api} {case.version}")
        self._footer = footer

    def _check_verdict(self, told: Verdict) -> None:
        key = (told.mesh, told.api, told.version)
        results = [result for case, result in self._results.items() if (case.mesh, case.api, case.version) == key]
        found = verdict(*key, results, missing=told.missing, left_out=told.left_out)
        if (told.compliance, told.capability) != (found.compliance, found.capability):
            raise RecordError(f"the verdict does not follow from the results: it says {told}, they say {found}")

    def report(self, lines: int) -> Report:
        if self._header is None:
            raise RecordError("the record is empty")
        results = tuple(self._results.values())
        if self._footer is None:
            raise MissingFooter(self._header, results, lines)
        return Report(self._header, results, self._footer)
