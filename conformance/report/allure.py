"""The report as Allure results, readable by Allure 2 and 3: the mesh is the parent suite and a label.

Allure groups by label `mesh` into environments. Its own verdicts are not used: it knows failed and broken, and
nothing of capability.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from allure_commons.model2 import Status, StatusDetails, TestResult

from conformance.outcome import Outcome, Result
from conformance.report import allure_parts as parts
from conformance.report import rows
from conformance.report.allure_directory import (
    CATEGORIES,
    clear,
    digest,
    write_environment,
    write_executor,
    write_result,
)
from conformance.report.model import Catalogue, Described, Footer, Header
from conformance.requirement import Level
from conformance.writing import write_whole

_STATUS: Final = {
    Outcome.PASSED: Status.PASSED,
    # Allure counts what passed: what was never judged must not make that number bigger.
    Outcome.OBSERVED: Status.SKIPPED,
    Outcome.FAILED: Status.FAILED,
    Outcome.KNOWN_FAILURE: Status.FAILED,
    Outcome.ERROR: Status.BROKEN,
    Outcome.UNSUPPORTED: Status.SKIPPED,
    Outcome.NOT_APPLICABLE: Status.SKIPPED,
    Outcome.SKIPPED: Status.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Category:
    """A heading of the report. Allure 2 finds what belongs there by `prefix`, with which the message begins."""

    name: str
    status: str
    outcome: str
    level: str = ""
    prefix: str = ""


CATEGORIES_IN_ORDER: Final = (
    Category("Known failures", "failed", "known-failure", prefix="known-failure: "),
    Category("Recommendations not followed", "failed", "failed", Level.SHOULD.value, "should: "),
    Category("Nonconformance", "failed", "failed"),
    Category("Stale in the list of known failures", "broken", "stale", prefix="stale: "),
    Category("Errors of the harness or the cluster", "broken", "error"),
    Category("Observed, not judged", "skipped", "observed", prefix="observed: "),
    Category("Not claimed by the mesh or not served", "skipped", "unsupported", prefix="unsupported: "),
    Category("Not in the served version", "skipped", "not-applicable", prefix="not-applicable: "),
    Category("Left out by the user", "skipped", "skipped", prefix="skipped: "),
)
"""The first that fits is taken."""


class Allure:
    """Writes a directory of Allure results; results of an earlier run in it are removed, its history is kept.

    `ended` tells when a result was ready, in seconds since 1970.
    """

    def __init__(self, directory: Path, ended: Callable[[Result], float] = lambda _: time.time()) -> None:
        self._directory = directory
        self._ended = ended
        self._facts: dict[str, str] = {}
        self._catalogue = Catalogue()

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._directory)

    def start(self, header: Header) -> None:
        """Clear the directory of an earlier run and describe this one."""
        clear(self._directory)
        write_whole(self._directory / CATEGORIES, json.dumps(categories(), indent=2) + "\n")
        write_executor(self._directory, f"{header.harness.name} {header.harness.version}, {header.started}")
        self._facts = _facts(header)
        self._catalogue = header.catalogue
        write_environment(self._directory, self._facts)

    def result(self, result: Result) -> None:
        """Write a result and its attachments."""
        stop = round(self._ended(result) * 1000)
        start = stop - round(result.duration * 1000)
        described = self._catalogue.requirements.get(result.requirement)
        attached = parts.dumped(self._directory.parent, result)
        write_result(self._directory, _test(result, described, start, stop), attached, parts.steps(result, start))

    def finish(self, footer: Footer) -> None:
        """Add the verdicts to the facts of the environment; Allure itself only counts."""
        for verdict in footer.verdicts:
            name = f"verdict.{verdict.mesh}.{verdict.api}/{verdict.version}"
            self._facts[name] = f"{verdict.compliance}, capability {verdict.capability}"
        write_environment(self._directory, self._facts)


class Timeline:
    """When the results of a record were ready, as far as it tells: each worker's checks without a gap."""

    def __init__(self, header: Header) -> None:
        try:
            self._started = datetime.fromisoformat(header.started).timestamp()
        except ValueError:
            self._started = 0.0
        self._busy: dict[tuple[str, str], float] = {}

    def __call__(self, result: Result) -> float:
        """Return when a result was ready, in seconds since 1970."""
        worker = (result.mesh, result.worker)
        self._busy[worker] = self._busy.get(worker, self._started) + result.duration
        return self._busy[worker]


def categories() -> list[dict[str, object]]:
    """Return what `categories.json` says, in expressions that Java and JavaScript read alike."""
    return [
        {"name": category.name, "matchedStatuses": [category.status],
         **({"messageRegex": f"{category.prefix}[\\s\\S]*"} if category.prefix else {})}
        for category in CATEGORIES_IN_ORDER
    ]


def _test(result: Result, described: Described | None, start: int, stop: int) -> TestResult:
    known = result.outcome is Outcome.KNOWN_FAILURE
    version = [result.version] if result.version else []
    title = described.title if described else ""
    return TestResult(
        uuid=str(uuid.uuid4()),
        # Allure sets a mesh beside another by the test case, and a run beside the one before it by the history.
        testCaseId=digest(result.api, result.requirement),
        historyId=digest(result.mesh, result.api, result.version, result.requirement),
        fullName=f"{result.api}#{result.requirement}",
        name=f"{result.requirement} {title}".strip(),
        titlePath=[result.mesh, result.api, *version],
        description=parts.description(result, described),
        status=Status.BROKEN if result.stale else _STATUS[result.outcome],
        statusDetails=StatusDetails(message=_message(result), trace=_trace(result), known=known or None),
        stage="finished",
        labels=parts.labels(result, described),
        links=parts.links(result, described),
        parameters=parts.parameters(result),
        start=start,
        stop=stop,
    )


def _message(result: Result) -> str:
    """Return the message. It begins with the outcome where Allure's status is coarser, for the categories to tell."""
    if result.outcome is Outcome.OBSERVED:
        return f"observed: {result.observed or result.message}"
    if result.outcome in {Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.SKIPPED, Outcome.KNOWN_FAILURE}:
        return f"{result.outcome}: {rows.reason(result)}"
    if result.outcome is Outcome.FAILED and result.level is Level.SHOULD:
        return f"should: {result.message}"
    return result.message


def _trace(result: Result) -> str | None:
    wanted = result.outcome.failing or result.outcome is Outcome.ERROR
    seen = result.message if result.outcome is Outcome.KNOWN_FAILURE else ""
    repeat = f"repeat it: {result.reproduce}" if wanted and result.reproduce else ""
    return "\n".join(filter(None, (seen, repeat))) or None


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
