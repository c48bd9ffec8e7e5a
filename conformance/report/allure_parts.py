"""What Allure shows of one result: its labels, links, steps with what is attached to them, and its description."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from allure_commons.model2 import Label, Link, Parameter, Status, TestStepResult
from allure_commons.types import AttachmentType, LabelType, LinkType, Severity

from conformance.outcome import Outcome, Result, SampleSummary
from conformance.report import rows, spec
from conformance.report.allure_directory import Attached
from conformance.report.codec import sample_document
from conformance.report.hygiene import clean_text
from conformance.report.model import Described
from conformance.report.summary import escape, fence
from conformance.requirement import Level

_SEVERITY: Final = {
    Level.MUST: Severity.CRITICAL,
    Level.BEHAVIOUR: Severity.NORMAL,
    Level.SHOULD: Severity.MINOR,
    Level.OPTIONAL: Severity.TRIVIAL,
    Level.AMBIGUOUS: Severity.TRIVIAL,
}
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[\w./?=&%+~#-]*)?")

_ID: Final = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{3}")
_MAX_DUMP: Final = 256 * 1024
"""How much of a dump is attached, in bytes."""

Step = tuple[TestStepResult, list[Attached]]
"""A step and what is attached to it."""


def labels(result: Result, described: Described | None) -> list[Label]:
    """Return what Allure groups and filters by: the mesh above the API in suites, the API's chapters in behaviours."""
    chapter, _, paragraph = (described.spec if described else "").partition(":")
    found = [
        (LabelType.PARENT_SUITE, result.mesh), (LabelType.SUITE, result.api), (LabelType.SUB_SUITE, result.version),
        (LabelType.EPIC, result.api),
        (LabelType.FEATURE, chapter.strip() or result.requirement.rpartition("-")[0]),
        (LabelType.STORY, paragraph.strip() or result.requirement),
        (LabelType.SEVERITY, _SEVERITY[result.level].value),
        (LabelType.THREAD, result.worker), (LabelType.FRAMEWORK, "mesh-conformance"), (LabelType.LANGUAGE, "python"),
        (LabelType.TAG, f"{result.api}/{result.version}" if result.version else result.api),
        (LabelType.TAG, result.level.name.lower()), (LabelType.TAG, result.outcome.value),
        ("mesh", result.mesh), ("requirement", result.requirement), ("level", result.level.value),
        ("outcome", "stale" if result.stale else result.outcome.value),
    ]
    return [Label(name=str(name), value=value) for name, value in found if value]


def links(result: Result, described: Described | None) -> list[Link]:
    """Return where the requirement is written down, and where a known failure is reported."""
    found = []
    page = spec.page(result.api, result.version)
    if page:
        name = ": ".join(filter(None, (f"{result.api} {result.version}", described.spec if described else "")))
        found.append(Link(type=LinkType.LINK, url=page, name=name))
    if result.known and _ADDRESS.fullmatch(result.known.link):
        found.append(Link(type=LinkType.ISSUE, url=result.known.link, name="known failure"))
    return found


def parameters(result: Result) -> list[Parameter]:
    """Return what tells this result from others of the same requirement; with it Allure 3 finds a result's history."""
    found = [Parameter(name="mesh", value=result.mesh)]
    return found + ([Parameter(name="version", value=result.version)] if result.version else [])


def description(result: Result, described: Described | None) -> str:
    """Return the statement, how binding it is, and what repeats the check, as Markdown that nothing in it can leave."""
    lines = [f"> {escape(described.statement)}", ""] if described else []
    lines += [f"Level {result.level.value}: {escape(result.level.meaning)}."]
    if described and described.spec:
        lines += ["", f"Section of the specification: {escape(described.spec)}"]
    if result.known:
        lines += ["", f"Listed as a known failure since {escape(result.known.since)}: {escape(result.known.reason)}"]
    if result.reproduce:
        lines += ["", "Repeat it:", "", *fence(result.reproduce, "sh")]
    return "\n".join(lines)


def steps(result: Result, start: int) -> Iterator[Step]:
    """What was applied, waited for and sent, in order, from `start` in milliseconds.

    Only how long was waited is known, not when: each step begins where the one before it ended.
    """
    if result.applied:
        what = ", ".join(filter(None, (_name(item) for item in result.applied)))
        objects = yaml.safe_dump_all([dict(item) for item in result.applied], sort_keys=False, allow_unicode=True)
        yield (_step(rows.one_line(f"apply {what or 'objects'}", 200), start, 0),
               [("applied objects", AttachmentType.YAML, objects)])
    for wait in result.convergence:
        lasted = round(wait.seconds * 1000)
        yield _step(f"{wait.what}: in effect after {wait.seconds:.2f} s ({wait.probes} probes)", start, lasted), []
        start += lasted
    for sample in result.samples:
        document = json.dumps(sample_document(sample), indent=2, ensure_ascii=False)
        step = _step(f"{sample.request}: {rows.sample_line(sample)}", start, 0)
        step.status = Status.FAILED if result.outcome.failing and _outside(sample) else Status.PASSED
        yield step, [(f"sample {sample.id}", AttachmentType.JSON, document)]
    if result.outcome is Outcome.OBSERVED and result.observed:
        yield _step("observed, not judged", start, 0), [("observed", AttachmentType.TEXT, result.observed)]


def dumped(report: Path, result: Result) -> list[Attached]:
    """Return the exchanges and events that a failed check left in the report's directory, if it is there."""
    if result.outcome not in (Outcome.FAILED, Outcome.ERROR) or not _ID.fullmatch(result.requirement):
        return []
    from conformance.dump import FAILURES  # noqa: PLC0415 - imports the clients of a cluster

    found: list[Attached] = []
    for name in ("exchanges", "events"):
        path = report / FAILURES / result.requirement / f"{name}.txt"
        with contextlib.suppress(OSError):  # a dump may fail, or be gone: the rest is to be told all the same
            with path.open("rb") as stream:
                text = stream.read(_MAX_DUMP).decode(errors="replace").strip()
            if text:
                found.append((name, AttachmentType.TEXT, clean_text(text, _MAX_DUMP)))
    return found


def _outside(sample: SampleSummary) -> bool:
    """Whether a count is not in its interval, which alone can be told from a sample; denials are judged elsewhere."""
    return any(not low <= sample.counts.get(name, 0) <= high for name, (low, high) in sample.expected.items())


def _name(item: Any) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return f"{item.get('kind', 'object')} {name}" if name else str(item.get("kind", ""))


def _step(name: str, start: int, duration: int) -> TestStepResult:
    return TestStepResult(name=name, status=Status.PASSED, stage="finished", start=start, stop=start + duration)
