"""The report in the shape of the Gateway API's `ConformanceReport`, for tools that read those.

Same fields, same words (`success`, `partial`, `failure`; `Passed`, `Skipped`, `Failed`), one document a mesh, one
profile an API group and version. What differs is in docs/report-formats.md: the `apiVersion` is not the Gateway API's,
because these are not its tests; and what a mesh supports is what it was seen to do, never what it says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from conformance.outcome import Outcome, Result
from conformance.report.model import Header, MeshUnderTest, Report
from conformance.verdict import Verdict

API_VERSION: Final = "mesh-conformance/v1"
KIND: Final = "ConformanceReport"


@dataclass(frozen=True, slots=True)
class Implementer:
    """Who stands behind a mesh, as a report of the Gateway API wants to know. `contact` are names or addresses."""

    organization: str = ""
    url: str = ""
    contact: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tests:
    """One level of support: the requirements of it, by how they ended."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def take(self, requirement: str, outcome: Outcome | None) -> None:
        """Count a requirement; `None` is one that has no result."""
        if outcome is Outcome.PASSED:
            self.passed.append(requirement)
        elif outcome is not None and outcome.failing:
            self.failed.append(requirement)
        else:
            self.skipped.append(requirement)

    def status(self, *, whole: bool) -> dict[str, Any]:
        """Return the status; without `whole` there were more requirements than are known here."""
        good = bool(self.passed) and not self.skipped and whole
        result = "failure" if self.failed else "success" if good else "partial"
        status: dict[str, Any] = {
            "result": result,
            "statistics": {"Failed": len(self.failed), "Passed": len(self.passed), "Skipped": len(self.skipped)},
        }
        for name, requirements in (("failedTests", self.failed), ("skippedTests", self.skipped)):
            if requirements:
                status[name] = sorted(requirements)
        return status

    def __bool__(self) -> bool:
        return bool(self.passed or self.failed or self.skipped)


def render(report: Report, implementers: Mapping[str, Implementer] | None = None, mode: str = "default") -> str:
    """Return the report as YAML, one document a mesh; `implementers` by the mesh's name."""
    known = implementers or {}
    documents = [document(report, mesh, known.get(mesh.name, Implementer()), mode) for mesh in report.header.meshes]
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=False, width=120, explicit_start=True)


def document(report: Report, mesh: MeshUnderTest, by: Implementer, mode: str) -> dict[str, Any]:
    """Return the document of one mesh."""
    results = [result for result in report.results if result.mesh == mesh.name]
    profiles = [_profile(report, verdict, [r for r in results if (r.api, r.version) == (verdict.api, verdict.version)])
                for verdict in report.footer.verdicts if verdict.mesh == mesh.name]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "implementation": {"organization": by.organization, "project": mesh.name, "url": by.url,
                           "version": mesh.version, "contact": list(by.contact)},
        "date": report.header.started,
        "mode": mode,
        "apis": {group: list(versions) for group, versions in sorted(report.header.apis.items())},
        "profiles": profiles,
    }


def _profile(report: Report, verdict: Verdict, results: Iterable[Result]) -> dict[str, Any]:
    core, extended = _Tests(), _Tests()
    seen = set()
    for result in results:
        seen.add(result.requirement)
        if result.judged and result.outcome is not Outcome.NOT_APPLICABLE:
            (core if result.level.binding else extended).take(result.requirement, result.outcome)
    for name, row in _lost(report.header, verdict, seen).items():
        (core if row else extended).take(name, None)
    whole = not verdict.missing and not verdict.left_out and not report.footer.interrupted
    profile: dict[str, Any] = {
        "name": f"{verdict.api}/{verdict.version}" if verdict.version else verdict.api,
        "summary": _summary(verdict, interrupted=report.footer.interrupted),
        "core": core.status(whole=whole),
    }
    if extended:
        profile["extended"] = extended.status(whole=whole)
        for name, requirements in (("supportedFeatures", extended.passed),
                                   ("unsupportedFeatures", extended.failed + extended.skipped)):
            if requirements:
                profile["extended"][name] = sorted(requirements)
    return profile


def _lost(header: Header, verdict: Verdict, seen: set[str]) -> dict[str, bool]:
    """Return the judged requirements that were to run and have no result, with whether they are binding."""
    if not verdict.missing:
        return {}
    return {name: row.level.binding for name, row in header.catalogue.requirements.items()
            if row.judged and row.api == verdict.api and verdict.version in row.versions and name not in seen}


def _summary(verdict: Verdict, *, interrupted: bool) -> str:
    said = f"{verdict.compliance}, capability {verdict.capability}"
    said += f": {verdict.reason}" if verdict.reason else ""
    return f"{said}. The run was interrupted." if interrupted else f"{said}."
