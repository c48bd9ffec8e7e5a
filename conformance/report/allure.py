"""The report as Allure results, readable by Allure 2 and 3: the mesh is the parent suite and a label.

Allure groups by label `mesh` into environments. Its own verdicts are not used: it knows failed and broken, and
nothing of capability.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import yaml
from allure_commons.model2 import Label, Parameter, Status, StatusDetails, TestResult, TestStepResult
from allure_commons.types import AttachmentType, LabelType, Severity

from conformance.outcome import Outcome, Result
from conformance.report import rows
from conformance.report.allure_directory import CATEGORIES, Attached, clear, digest, write_environment, write_result
from conformance.report.codec import sample_document
from conformance.report.model import Footer, Header
from conformance.requirement import Level
from conformance.writing import write_whole

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
        clear(self._directory)
        categories = [
            {"name": name, "matchedStatuses": [status], **({"messageRegex": f"(?s){regex}"} if regex else {})}
            for name, status, regex in _CATEGORIES
        ]
        write_whole(self._directory / CATEGORIES, json.dumps(categories, indent=2) + "\n")
        self._facts = _facts(header)
        write_environment(self._directory, self._facts)

    def result(self, result: Result) -> None:
        """Write a result and its attachments."""
        stop = round(self._clock() * 1000)
        item = _test(result, stop - round(result.duration * 1000), stop)
        write_result(self._directory, item, _attachments(result))

    def finish(self, footer: Footer) -> None:
        """Add the verdicts to the facts of the environment; Allure itself only counts."""
        for verdict in footer.verdicts:
            name = f"verdict.{verdict.mesh}.{verdict.api}/{verdict.version}"
            self._facts[name] = f"{verdict.compliance}, capability {verdict.capability}"
        write_environment(self._directory, self._facts)


def _test(result: Result, start: int, stop: int) -> TestResult:
    known = result.outcome is Outcome.KNOWN_FAILURE
    version = [result.version] if result.version else []
    return TestResult(
        uuid=str(uuid.uuid4()),
        # Allure sets a mesh beside another by the test case, and a run beside the one before it by the history.
        testCaseId=digest(result.api, result.requirement),
        historyId=digest(result.mesh, result.api, result.version, result.requirement),
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


def _attachments(result: Result) -> list[Attached]:
    attachments: list[Attached] = []
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
