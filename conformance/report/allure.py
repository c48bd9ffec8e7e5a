"""The report as Allure results, readable by Allure 2 and 3: the mesh is the parent suite and a label.

Allure groups by label `mesh` into environments. Its own verdicts are not used: it knows failed and broken, and
nothing of capability.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from hashlib import md5
from pathlib import Path
from typing import Final

import yaml
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import (
    ATTACHMENT_PATTERN,
    Attachment,
    Label,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)
from allure_commons.types import AttachmentType, LabelType, Severity

from conformance.outcome import Outcome, Result
from conformance.report import rows
from conformance.report.codec import sample_document
from conformance.report.model import Footer, Header
from conformance.report.writing import write_whole
from conformance.requirement import Level

_STATUS = {
    Outcome.PASSED: Status.PASSED,
    Outcome.OBSERVED: Status.PASSED,
    Outcome.FAILED: Status.FAILED,
    Outcome.KNOWN_FAILURE: Status.FAILED,
    Outcome.ERROR: Status.BROKEN,
    Outcome.UNSUPPORTED: Status.SKIPPED,
    Outcome.NOT_APPLICABLE: Status.SKIPPED,
    Outcome.SKIPPED: Status.SKIPPED,
}
_SEVERITY = {
    Level.MUST: Severity.CRITICAL,
    Level.BEHAVIOUR: Severity.NORMAL,
    Level.SHOULD: Severity.MINOR,
    Level.OPTIONAL: Severity.TRIVIAL,
    Level.AMBIGUOUS: Severity.TRIVIAL,
}
# Messages begin with the outcome where Allure's status is coarser than it, so that the expressions can tell.
_CATEGORIES = (
    ("Known failures", "failed", "known-failure: .*"),
    ("Violations of the specification", "failed", None),
    ("Errors of the harness or the cluster", "broken", None),
    ("Not claimed by the mesh or not served", "skipped", "unsupported: .*"),
    ("Not in the served version", "skipped", "not-applicable: .*"),
    ("Left out by the user", "skipped", "skipped: .*"),
)
ENVIRONMENT: Final = "environment.properties"
_OURS = ("*-result.json", "*-attachment.*", "categories.json", ENVIRONMENT)


class Allure:
    """Writes a directory of Allure results; results of an earlier run in it are removed, its history is kept."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._facts: dict[str, str] = {}

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._directory)

    def start(self, header: Header) -> None:
        """Clear the directory of an earlier run and describe this one."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for pattern in _OURS:
            for path in self._directory.glob(pattern):
                path.unlink()
        categories = [
            {"name": name, "matchedStatuses": [status], **({"messageRegex": f"(?s){regex}"} if regex else {})}
            for name, status, regex in _CATEGORIES
        ]
        write_whole(self._directory / "categories.json", json.dumps(categories, indent=2) + "\n")
        self._facts = _facts(header)
        write_whole(self._directory / ENVIRONMENT, properties(self._facts))

    def result(self, result: Result) -> None:
        """Write a result and its attachments."""
        # The logger is used without the plug-in manager that carries it in a pytest run with --alluredir: that one
        # is shared by the process, and would mix pytest's view of the tests into this one.
        logger = AllureFileLogger(self._directory)  # type: ignore[no-untyped-call]
        stop = round(self._clock() * 1000)
        item = _test(result, stop - round(result.duration * 1000), stop)
        for name, kind, body in _attachments(result):
            source = ATTACHMENT_PATTERN.format(prefix=uuid.uuid4(), ext=kind.extension)
            logger.report_attached_data(body=body, file_name=source)  # type: ignore[no-untyped-call]
            item.attachments.append(Attachment(name=name, source=source, type=kind.mime_type))
        logger.report_result(result=item)  # type: ignore[no-untyped-call]

    def finish(self, footer: Footer) -> None:
        """Add the verdicts to the facts of the environment; Allure itself only counts."""
        for verdict in footer.verdicts:
            name = f"verdict.{verdict.mesh}.{verdict.api}/{verdict.version}"
            self._facts[name] = f"{verdict.compliance}, capability {verdict.capability}"
        write_whole(self._directory / ENVIRONMENT, properties(self._facts))


def _test(result: Result, start: int, stop: int) -> TestResult:
    known = result.outcome is Outcome.KNOWN_FAILURE
    version = [result.version] if result.version else []
    return TestResult(
        uuid=str(uuid.uuid4()),
        # Allure sets a mesh beside another by the test case, and a run beside the one before it by the history.
        testCaseId=_digest(result.api, result.requirement),
        historyId=_digest(result.mesh, result.api, result.version, result.requirement),
        fullName=f"{result.api}#{result.requirement}",
        name=result.requirement,
        titlePath=[result.mesh, result.api, *version],
        status=_STATUS[result.outcome],
        statusDetails=StatusDetails(message=_message(result), trace=_trace(result), known=known or None),
        stage="finished",
        labels=_labels(result),
        parameters=[Parameter(name="version", value=result.version)] if version else [],
        steps=_steps(result, start),
        start=start,
        stop=stop,
    )


def _digest(*parts: str) -> str:
    return md5("\0".join(parts).encode(), usedforsecurity=False).hexdigest()


def _message(result: Result) -> str:
    if result.outcome is Outcome.OBSERVED:
        return result.observed or result.message
    if result.outcome in {Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.SKIPPED, Outcome.KNOWN_FAILURE}:
        return f"{result.outcome}: {rows.reason(result)}"
    return result.message


def _trace(result: Result) -> str | None:
    wanted = result.outcome.failing or result.outcome is Outcome.ERROR
    return f"repeat it: {result.reproduce}" if wanted and result.reproduce else None


def _labels(result: Result) -> list[Label]:
    labels = {
        LabelType.PARENT_SUITE: result.mesh,
        LabelType.SUITE: result.api,
        LabelType.SUB_SUITE: result.version,
        LabelType.SEVERITY: _SEVERITY[result.level].value,
        LabelType.THREAD: result.worker,
        LabelType.FRAMEWORK: "mesh-conformance",
        LabelType.LANGUAGE: "python",
        "mesh": result.mesh,
        "requirement": result.requirement,
        "level": result.level.value,
        "outcome": result.outcome.value,
    }
    return [Label(name=str(name), value=value) for name, value in labels.items() if value]


def _steps(result: Result, start: int) -> list[TestStepResult]:
    """What was waited for and what was sent, in order; only the durations of waits are known, not their moments."""
    steps = [
        _step(f"{c.what}: in effect after {c.seconds:.2f} s ({c.probes} probes)", start, round(c.seconds * 1000))
        for c in result.convergence
    ]
    return steps + [_step(f"{sample.request}: {rows.sample_line(sample)}", start, 0) for sample in result.samples]


def _step(name: str, start: int, duration: int) -> TestStepResult:
    return TestStepResult(name=name, status=Status.PASSED, stage="finished", start=start, stop=start + duration)


def _attachments(result: Result) -> list[tuple[str, AttachmentType, str]]:
    attachments = []
    if result.samples:
        samples = [sample_document(sample) for sample in result.samples]
        attachments.append(("samples", AttachmentType.JSON, json.dumps(samples, indent=2, ensure_ascii=False)))
    if result.applied:
        objects = yaml.safe_dump_all([dict(item) for item in result.applied], sort_keys=False, allow_unicode=True)
        attachments.append(("applied objects", AttachmentType.YAML, objects))
    if result.observed:
        attachments.append(("observed", AttachmentType.TEXT, result.observed))
    return attachments


def _facts(header: Header) -> dict[str, str]:
    return {
        header.harness.name: header.harness.version,
        "kubernetes": header.kubernetes,
        **{f"mesh.{mesh.name}": mesh.version for mesh in header.meshes},
        **{f"proxy.{mesh.name}": f"{mesh.proxy.name} {mesh.proxy.version}" for mesh in header.meshes if mesh.proxy},
        **{f"api.{group}": ", ".join(versions) for group, versions in header.apis.items()},
        **{f"policy.{mesh.name}": mesh.policy for mesh in header.meshes if mesh.policy},
        "seed": str(header.seed),
        **header.environment,
    }


def properties(facts: Mapping[str, str]) -> str:
    return "".join(f"{_property(name, key=True)}={_property(value)}\n" for name, value in facts.items())


def _property(text: str, *, key: bool = False) -> str:
    """Escaped as Java properties are: ASCII only, and a key ends at the first blank, colon or equals sign."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    if key:
        escaped = "".join(f"\\{c}" if c in " :=#!" else c for c in escaped)
    units = escaped.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 0x7F else f"\\u{code:04x}" for code in codes)
