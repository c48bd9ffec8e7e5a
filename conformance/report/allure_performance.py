"""A performance run as Allure results: one test per probe, with its figures, pictures and what other tools read."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Final

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import ATTACHMENT_PATTERN, Attachment, Label, Status, StatusDetails, TestResult
from allure_commons.types import AttachmentType, LabelType

from conformance.performance.model import ProbeResult, Run
from conformance.report.allure import ENVIRONMENT, properties
from conformance.report.writing import write_whole

_OURS: Final = ("*-result.json", "*-attachment.*")
Attached = tuple[str, AttachmentType, str]


def write(
    directory: Path, run: Run, pictures: Mapping[str, Mapping[str, str]], texts: Mapping[str, str],
) -> None:
    """Write a run's results in place of an earlier run's.

    `pictures` are SVGs by title, by probe, `texts` the tables of figures by probe. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in _OURS:
        for path in directory.glob(pattern):
            path.unlink()
    logger = AllureFileLogger(directory)  # type: ignore[no-untyped-call]
    for result in run.results:
        item = _test(run, result)
        attached: list[Attached] = [("figures", AttachmentType.TEXT, texts[result.probe])]
        attached += [(title, AttachmentType.SVG, svg) for title, svg in pictures.get(result.probe, {}).items()]
        attached.append(("figures as JSON", AttachmentType.JSON, _figures(result)))
        for name, kind, body in attached:
            source = ATTACHMENT_PATTERN.format(prefix=uuid.uuid4(), ext=kind.extension)
            logger.report_attached_data(body=body, file_name=source)  # type: ignore[no-untyped-call]
            item.attachments.append(Attachment(name=name, source=source, type=kind.mime_type))
        logger.report_result(result=item)  # type: ignore[no-untyped-call]
    environment = run.header.environment
    facts = {"mesh": f"{run.header.mesh_title} {run.header.mesh_version}", "kubernetes": environment.kubernetes,
             "nodes": str(len(environment.nodes)), "command": run.header.command}
    write_whole(directory / ENVIRONMENT, properties(facts))


def _test(run: Run, result: ProbeResult) -> TestResult:
    start = round(result.started * 1000)
    labels = {LabelType.PARENT_SUITE: run.header.mesh, LabelType.SUITE: "performance", "mesh": run.header.mesh,
              "probe": result.probe, LabelType.FRAMEWORK: "mesh-conformance"}
    return TestResult(
        uuid=str(uuid.uuid4()), testCaseId=_digest(result.probe), historyId=_digest(run.header.mesh, result.probe),
        fullName=f"performance#{result.probe}", name=result.probe, description=result.title,
        status=Status.PASSED if result.valid else Status.BROKEN,
        statusDetails=StatusDetails(message="\n".join(f"invalid: {found}" for found in result.invalid)),
        stage="finished", labels=[Label(name=str(name), value=value) for name, value in labels.items()],
        start=start, stop=start + round(result.seconds * 1000),
    )


def _digest(*parts: str) -> str:
    return md5("\0".join(parts).encode(), usedforsecurity=False).hexdigest()


def _figures(result: ProbeResult) -> str:
    rows = [{"figure": figure.key, "unit": figure.unit, "value": figure.value, "low": figure.low, "high": figure.high,
             "confidence": figure.confidence} for figure in result.figures]
    return json.dumps(rows, indent=2)
