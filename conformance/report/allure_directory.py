"""A directory of Allure results: results with what is attached to them, and the facts of the environment."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from hashlib import md5
from pathlib import Path
from typing import Final

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import ATTACHMENT_PATTERN, Attachment, TestResult, TestStepResult
from allure_commons.types import AttachmentType

from conformance.writing import write_whole

ENVIRONMENT: Final = "environment.properties"
CATEGORIES: Final = "categories.json"
EXECUTOR: Final = "executor.json"

Attached = tuple[str, AttachmentType, str]
"""The name of an attachment, its type and its text."""


def clear(directory: Path) -> None:
    """Make the directory, and remove an earlier run's results from it; their history is kept. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in ("*-result.json", "*-attachment.*", CATEGORIES, ENVIRONMENT, EXECUTOR):
        for path in directory.glob(pattern):
            path.unlink()


def write_result(
    directory: Path, item: TestResult, attached: Iterable[Attached],
    steps: Iterable[tuple[TestStepResult, Iterable[Attached]]] = (),
) -> None:
    """Write a result, what is attached to it, and its steps with what is attached to those. Raises OSError."""
    # The logger is used without the plug-in manager that carries it in a pytest run with --alluredir: that one
    # is shared by the process, and would mix pytest's view of the tests into this one.
    logger = AllureFileLogger(directory)  # type: ignore[no-untyped-call]
    _attach(logger, item, attached)
    for step, below in steps:
        _attach(logger, step, below)
        item.steps.append(step)
    logger.report_result(result=item)  # type: ignore[no-untyped-call]


def _attach(logger: AllureFileLogger, item: TestResult | TestStepResult, attached: Iterable[Attached]) -> None:
    for name, kind, body in attached:
        source = ATTACHMENT_PATTERN.format(prefix=uuid.uuid4(), ext=kind.extension)
        logger.report_attached_data(body=body, file_name=source)  # type: ignore[no-untyped-call]
        item.attachments.append(Attachment(name=name, source=source, type=kind.mime_type))


def write_executor(directory: Path, build: str) -> None:
    """Write what made the results, without a word on where: no host, no user, no address. Raises OSError."""
    made_by = {"name": "mesh-conformance", "type": "mesh-conformance", "buildName": build,
               "reportName": "mesh-conformance"}
    write_whole(directory / EXECUTOR, json.dumps(made_by, indent=2) + "\n")


def write_environment(directory: Path, facts: Mapping[str, str]) -> None:
    """Write the facts that Allure shows beside the results, in place of earlier ones. Raises OSError."""
    lines = (f"{_property(name, key=True)}={_property(value)}\n" for name, value in facts.items())
    write_whole(directory / ENVIRONMENT, "".join(lines))


def digest(*parts: str) -> str:
    """Return what Allure knows a test by, from run to run: the same for the same parts."""
    return md5("\0".join(parts).encode(), usedforsecurity=False).hexdigest()


def _property(text: str, *, key: bool = False) -> str:
    """Escaped as Java properties are: ASCII only, and a key ends at the first blank, colon or equals sign."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    if key:
        escaped = "".join(f"\\{c}" if c in " :=#!" else c for c in escaped)
    units = escaped.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 0x7F else f"\\u{code:04x}" for code in codes)
