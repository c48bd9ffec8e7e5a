"""Show a record as the summary and the annotations of a job of GitHub Actions, as a run there does by itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from conformance.report.views.whole import add_record, read_record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.options import OptionError  # noqa: PLC0415 - only this command needs them
    from conformance.report import github  # noqa: PLC0415 - as above
    from conformance.report.writing import ReportError  # noqa: PLC0415 - as above

    target = os.environ.get(github.SUMMARY)
    if not target:
        raise OptionError(f"{github.SUMMARY} is not set: GitHub Actions sets it for each step of a job. Elsewhere, "
                          "`mesh-conformance report show` shows a record")
    report = read_record(chosen.record)
    try:
        github.append(Path(target), report)
    except OSError as error:
        raise ReportError.of(f"the summary of the job cannot be written to {target}", error) from error
    print("\n".join(github.annotate(report.results)))
    return 0
