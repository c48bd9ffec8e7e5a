"""Print a record as the console shows the end of a run.

What is listed can be narrowed to meshes, requirements and outcomes; the verdicts are those of the whole record. Of more
results than anybody reads their numbers are shown instead. With --format json it is one JSON document, of any size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from conformance.outcome import Outcome
from conformance.report.lines import ResultLine
from conformance.report.model import Report
from conformance.report.stream import RecordStream
from conformance.report.views.whole import add_record, streamed

LISTED: Final = 5_000
"""The most results that are listed one by one."""

FORMATS: Final = ("pretty", "markdown", "json", "html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("--format", choices=FORMATS, default="pretty", help="default: pretty")
    parser.add_argument(
        "--mesh", action="append", default=[], metavar="NAME", help="only results on this mesh; repeatable"
    )
    parser.add_argument(
        "--requirement", action="append", default=[], metavar="ID", help="only results of these; globs work; repeatable"
    )
    parser.add_argument(
        "--outcome",
        action="append",
        default=[],
        choices=[outcome.value for outcome in Outcome],
        help="only results that ended so; repeatable",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    with streamed(chosen.record) as stream:
        lines = _narrowed(stream, chosen)
        if chosen.format == "json":
            _print_json(stream, lines)
            return 0
        kept: list[ResultLine] = []
        number = 0
        limit = _limit(chosen.format)
        for line in lines:
            number += 1
            if number <= limit:
                kept.append(line)
        if number > limit:
            print(_numbers(stream, number, chosen.format))
        else:
            results = sorted((line.result() for line in kept), key=lambda result: result.case)
            sys.stdout.write(_rendered(Report(stream.header, tuple(results), stream.footer), chosen))
    return 0


def _narrowed(stream: RecordStream, chosen: argparse.Namespace) -> Iterator[ResultLine]:
    """Give the results that were asked for, of all that are read."""
    meshes, outcomes = set(chosen.mesh), {Outcome(name) for name in chosen.outcome}
    wanted = _ids(stream.header.selected, chosen.requirement)
    for line in stream:
        if (
            (not meshes or line.mesh in meshes)
            and (not outcomes or line.outcome in outcomes)
            and (wanted is None or line.requirement in wanted)
        ):
            yield line


def _ids(selected: tuple[str, ...], patterns: list[str]) -> set[str] | None:
    if not patterns:
        return None
    return {name for name in selected if any(fnmatchcase(name, pattern.upper()) for pattern in patterns)}


def _limit(form: str) -> int:
    if form != "html":
        return LISTED
    from conformance.report.html import MAX_RESULTS  # noqa: PLC0415 - only for this format

    return MAX_RESULTS


def _rendered(report: Report, chosen: argparse.Namespace) -> str:
    if chosen.format == "html":
        from conformance.report.html import page, performance_of  # noqa: PLC0415 - only for this format

        runs = performance_of(chosen.record)
        return page(report, [run for run in runs if not chosen.mesh or run.header.mesh in chosen.mesh])
    from conformance.report import console, summary  # noqa: PLC0415 - as above

    return summary.render(report) if chosen.format == "markdown" else console.render(report)


def _print_json(stream: RecordStream, lines: Iterator[ResultLine]) -> None:
    """Print the lines of the record as they come, within one document; a broken one is left without its end."""
    from conformance.report.codec import encode  # noqa: PLC0415 - only for this format

    out = sys.stdout.buffer
    out.write(b'{"header":' + encode(stream.header).strip() + b',"results":[')
    for number, _ in enumerate(lines):
        out.write((b",\n" if number else b"\n") + stream.raw.strip())
    out.write(b'],"footer":' + encode(stream.footer).strip() + b"}\n")
    out.flush()


def _numbers(stream: RecordStream, number: int, form: str) -> str:
    """The numbers of results of each mesh and API group, for a record of which not all can be listed."""
    from conformance.report.codec import RecordError  # noqa: PLC0415 - only here
    from conformance.report.views.tables import Table, render  # noqa: PLC0415 - as above

    if form == "html":
        raise RecordError(
            f"{number} results are more than a page shows ({_limit(form)}); narrow them with --mesh, "
            "--requirement or --outcome",
            name=stream.name,
        )
    present = [outcome for outcome in Outcome if stream.footer.counts.get(outcome)]
    verdicts = Table(
        "Verdicts",
        ("mesh", "API group", "version", "compliance", "capability", *present),
        [
            (
                v.mesh,
                v.api,
                v.version,
                v.compliance.value,
                v.capability.value,
                *(str(v.counts.get(o, 0)) for o in present),
            )
            for v in stream.footer.verdicts
        ],
    )
    note = (
        f"{number} results are too many to list: --mesh, --requirement and --outcome narrow them to at most {LISTED}, "
        "--format json prints all"
    )
    return render((verdicts,), form, note)
