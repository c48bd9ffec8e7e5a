"""What a record must be to be published: what `report verify` asks of any, and what its place asks besides."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from typing import Final

from conformance import selection
from conformance.outcome import Outcome
from conformance.report import verifying
from conformance.report.model import Report
from conformance.report.publishing import contents, place

MAX_RECORD: Final = 16 * 2**20
"""The largest record that is published, in bytes: it stands in a repository."""
_NOT_PUBLISHED: Final = (("--mutant", "the mesh was broken on purpose"),
                         ("--level", "only requirements of some levels were judged"))


def objections(data: bytes, report: Report) -> Iterator[str]:
    """Say what keeps a report from being published. `data` are the bytes that it was read of."""
    yield from (f"line {finding.line}: {finding.problem}" for finding in
                verifying.verify_stream(io.BytesIO(data), contents.RECORD, requirements()))
    yield from besides(report)


def besides(report: Report) -> Iterator[str]:
    """Say what keeps a report from being published though nothing is wrong with its record."""
    header, footer = report.header, report.footer
    if header.parts:
        yield "it was combined from several; publish each of them as it was generated"
    for option, why in _NOT_PUBLISHED:
        if place.option(header, option):
            yield f"{option}: {why}"
    if not any(result.outcome.judgement for result in report.results):
        yield "nothing was judged"
    for verdict in footer.verdicts:
        told = sum(number for outcome, number in verdict.counts.items() if outcome is not Outcome.NOT_APPLICABLE)
        if told and (verdict.left_out or verdict.missing):
            gone = verdict.left_out + verdict.missing
            yield (f"{verdict.api}: {gone} of its requirements were not selected or have no result. An API group is "
                   "published whole or not at all: select all of it, or nothing of it")
    yield from (f"{result.requirement}: {result.message}" for result in report.results if result.stale)
    if not header.command.startswith("mesh-conformance run"):
        yield "the command that repeats it is none of mesh-conformance"


@cache
def requirements() -> frozenset[str]:
    """Return the ids of all requirements of this version of the harness, of every suite."""
    return frozenset(row.id for row in selection.rows(selection.SUITES))
