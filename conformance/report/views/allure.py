"""Make a report with an installed Allure, 2 or 3, that keeps its history and measures nobody."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from conformance import temporary
from conformance.options import DEFAULT_REPORT_DIR
from conformance.report.views.whole import RECORD, read_record

RESULTS: Final = "allure-results"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "results", metavar="RESULTS", nargs="?", default=str(DEFAULT_REPORT_DIR),
        help=f"a directory of Allure results, one with {RESULTS} in it, a {RECORD}, or - for a record from standard "
             f"input (default: {DEFAULT_REPORT_DIR})")
    parser.add_argument("-o", "--output", type=Path, default=Path("allure-report"), metavar="DIR",
                        help="directory for the report (default: allure-report); an earlier report there is replaced, "
                             "and gives its history")
    parser.add_argument("--allure", default="", metavar="PATH", help="the generator (default: allure in PATH)")
    parser.add_argument("--single-file", action="store_true", help="put all into one page, which opens from a disk")
    parser.add_argument("--time-limit", type=_seconds, default=300.0, metavar="SECONDS",
                        help="how long the generator may take (default: 300)")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report import allure_generator, allure_report  # noqa: PLC0415 - only this command needs them

    generator = allure_generator.find(chosen.allure)
    allure_report.check(chosen.output)
    path = Path(chosen.results)
    with temporary.directory("allure") as directory:
        if (path / RESULTS).is_dir():
            results = path / RESULTS
        elif path.is_dir() and not (path / RECORD).is_file():
            results = path
        else:  # a record, or a published report, which has nothing else that this could be made of
            results = directory / RESULTS
            _write(chosen.results, results)
        number = allure_report.make(generator, results, chosen.output, single_file=chosen.single_file,
                                    seconds=chosen.time_limit)
    look = f"open {chosen.output / 'index.html'}" if chosen.single_file else f"{generator.program} open {chosen.output}"
    print(f"Allure {generator.version} made {chosen.output}, number {number} of its history; look at it with: {look}")
    return 0


def _write(record: str, results: Path) -> None:
    from conformance.report.allure import Allure, Timeline  # noqa: PLC0415 - as above

    report = read_record(record)
    writer = Allure(results, Timeline(report.header))
    writer.start(report.header)
    for result in report.results:
        writer.result(result)
    writer.finish(report.footer)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0 and at most 86400")
    return seconds
