"""What a performance run leaves: tables for the console, and files that people and other tools read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tabulate import tabulate

from conformance.performance import record, wording
from conformance.performance.comparing import compare, rendering, thresholds
from conformance.performance.comparing.comparison import Comparison, Incomparable
from conformance.performance.comparing.thresholds import Judged, ThresholdError
from conformance.performance.formats import fortio
from conformance.performance.model import Figure, ProbeResult, Run
from conformance.performance.options import Probing
from conformance.performance.record import RecordError
from conformance.performance.showing import html, openmetrics
from conformance.performance.showing.chart import PicturesMissing
from conformance.performance.showing.illustration import illustrated
from conformance.performance.smp import result as smp
from conformance.performance.smp.messages import MessageError
from conformance.report import allure_performance
from conformance.writing import write_whole

DIRECTORY: Final = "performance"
"""Below the report directory."""


def finish(run: Run, directory: Path | None, chosen: Probing) -> tuple[str, bool, bool]:
    """Write the run's files and compare it with the baselines.

    Returns what to print, whether a figure has regressed, and whether the comparison could not be made.
    """
    tables = [_table(result) for result in run.results]
    lines = ["\n\n".join(tables)]
    judged: tuple[Judged, ...] = ()
    comparison = None
    broken = False
    try:
        judged = thresholds.judge(run, chosen.thresholds)
        lines += [str(one) for one in judged]
        if chosen.baselines:
            comparison = compare.compare([record.read(file) for file in chosen.baselines], [run], force=chosen.force)
            lines.append(rendering.render(comparison))
    except (ThresholdError, RecordError, Incomparable) as error:
        lines.append(f"error: {error}")
        broken = True
    if directory is not None:
        target = directory / DIRECTORY
        try:
            lines += [*_written(run, target, tables, comparison, judged), f"reports: {target}"]
        except (OSError, RecordError) as error:
            lines.append(f"error: the reports could not be written to {target}: {error}")
            broken = True
    return "\n".join(lines), comparison is not None and comparison.regressed, broken


def _table(result: ProbeResult) -> str:
    """Return the figures of a probe as a table, with what was invalid and what was remarked."""
    lines = [f"{result.probe}: {result.title} ({result.seconds:.0f} s)"]
    rows = [(_name(figure), _value(figure), _confidence(figure)) for figure in result.figures]
    if rows:
        lines.append(tabulate(rows, ("figure", "value", "confidence"), tablefmt="simple", disable_numparse=True))
    lines += [f"INVALID  {invalidity}" for invalidity in result.invalid]
    lines += [f"note     {note}" for note in result.notes]
    return "\n".join(lines)


def _value(figure: Figure) -> str:
    return wording.interval(figure.value, figure.low, figure.high, figure.unit)


def _confidence(figure: Figure) -> str:
    return wording.quantity(figure.confidence, "share") if figure.confidence else ""


def _name(figure: Figure) -> str:
    labels = " ".join(figure.labels.values())
    return f"{figure.name} {labels}".rstrip()


def _written(
    run: Run, target: Path, tables: Sequence[str], comparison: Comparison | None, judged: Sequence[Judged],
) -> list[str]:
    """Write the record of a run and everything derived from it; return what could not be written, and why."""
    target.mkdir(parents=True, exist_ok=True)
    record.write(target / "performance.json", run)
    write_whole(target / "metrics.prom", openmetrics.render(run))
    text = "\n\n".join(tables)
    write_whole(target / "summary.md", f"# Performance of {run.header.mesh_title}\n\n```\n{text}\n```\n")
    missing = _for_others(run, target)
    pictures: dict[str, dict[str, str]] = {}
    try:
        pictures = {result.probe: illustrated(result) for result in run.results}
        html.write(target / "performance.html", run, comparison, judged, pictures)
    except PicturesMissing as error:
        missing.append(f"no page and no pictures: {error}")
    allure_performance.write(target / "allure", run, pictures, tables)
    return missing


def _for_others(run: Run, target: Path) -> list[str]:
    """Write what Meshery and fortio read, in place of an earlier run's; return what could not be."""
    for directory in (target / "smp", target / "fortio"):
        directory.mkdir(exist_ok=True)
        for file in directory.glob("*.json"):
            file.unlink()
    missing = []
    try:
        found = smp.documents(run, details_uri="performance.json")
        smp.write(target / "smp", found)
        if found.left_out:
            missing.append(f"without a result in SMP's format: {len(found.left_out)} loads, first {found.left_out[0]}")
    except MessageError as error:
        missing.append(f"not in SMP's format: {error}")
    for result in run.results:
        for number, load in enumerate(result.loads, 1):
            name = "-".join([result.probe, *load.labels.values(), str(number)]).replace(" ", "")
            said = fortio.write(load, started=result.started, version=run.header.harness, labels=name)
            write_whole(target / "fortio" / f"{name}.json", json.dumps(said, indent=1) + "\n")
    return missing
