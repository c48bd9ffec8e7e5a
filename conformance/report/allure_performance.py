"""A performance run as Allure results: one test per probe, with its figures, pictures and what other tools read."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from allure_commons.model2 import Label, Status, StatusDetails, TestResult
from allure_commons.types import AttachmentType, LabelType

from conformance.performance.model import ProbeResult, Run
from conformance.report.allure_directory import Attached, clear, digest, write_environment, write_result


def write(
    directory: Path, run: Run, pictures: Mapping[str, Mapping[str, str]], tables: Sequence[str],
) -> None:
    """Write a run's results in place of an earlier run's.

    `pictures` are SVGs by title, by probe, `tables` the tables of figures of each result. Raises OSError.
    """
    clear(directory)
    for result, table in zip(run.results, tables, strict=True):
        attached: list[Attached] = [("figures", AttachmentType.TEXT, table)]
        attached += [(title, AttachmentType.SVG, svg) for title, svg in pictures.get(result.probe, {}).items()]
        attached.append(("figures as JSON", AttachmentType.JSON, _figures(result)))
        write_result(directory, _test(run, result), attached)
    environment = run.header.environment
    write_environment(directory, {
        "mesh": f"{run.header.mesh_title} {run.header.mesh_version}", "kubernetes": environment.kubernetes,
        "nodes": str(len(environment.nodes)), "command": run.header.command,
    })


def _test(run: Run, result: ProbeResult) -> TestResult:
    start = round(result.started * 1000)
    labels = {LabelType.PARENT_SUITE: run.header.mesh, LabelType.SUITE: "performance", "mesh": run.header.mesh,
              "probe": result.probe, LabelType.FRAMEWORK: "mesh-conformance"}
    return TestResult(
        uuid=str(uuid.uuid4()), testCaseId=digest(result.probe), historyId=digest(run.header.mesh, result.probe),
        fullName=f"performance#{result.probe}", name=result.probe, description=result.title,
        status=Status.PASSED if result.valid else Status.BROKEN,
        statusDetails=StatusDetails(message="\n".join(f"invalid: {found}" for found in result.invalid)),
        stage="finished", labels=[Label(name=str(name), value=value) for name, value in labels.items()],
        start=start, stop=start + round(result.seconds * 1000),
    )


def _figures(result: ProbeResult) -> str:
    rows = [{"figure": figure.key, "unit": figure.unit, "value": figure.value, "low": figure.low, "high": figure.high,
             "confidence": figure.confidence} for figure in result.figures]
    return json.dumps(rows, indent=2)
