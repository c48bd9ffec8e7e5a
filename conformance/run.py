"""One run: what was selected, what came of it, and the reports. Lives in the process that reports, not in workers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from conformance import __version__, selection, smi
from conformance import mesh as meshes
from conformance.exit_code import ExitCode, exit_code
from conformance.mesh import Mesh
from conformance.options import Settings
from conformance.outcome import Case, Result
from conformance.report.catalogue import describe
from conformance.report.model import Component, Footer, Header, MeshUnderTest, count, now
from conformance.report.writers import Writers
from conformance.requirement import Requirement
from conformance.verdict import Verdict, verdicts

UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Surroundings:
    """What a worker found where it ran: the cluster, the meshes on it and the APIs it serves.

    `snapshot` is what was in the cluster, `None` where nobody looked.
    """

    kubernetes: str = ""
    meshes: tuple[MeshUnderTest, ...] = ()
    apis: smi.ServedApis = field(default_factory=lambda: smi.ServedApis({}))
    snapshot: Mapping[str, Any] | None = None

    def version(self, requirement: Requirement) -> str:
        """Return the API version in which a requirement is judged here, or its newest when none is served."""
        return self.apis.version(requirement.api) or requirement.versions[-1]


def header(settings: Settings, surroundings: Surroundings, selected: Iterable[Requirement]) -> Header:
    """Return the header of a record. It names every mesh that was asked for, found or not."""
    found = {under_test.name: under_test for under_test in surroundings.meshes}
    asked = [meshes.load(name).name for name in settings.meshes]
    return Header(
        harness=Component("mesh-conformance", __version__), started=now(), command=settings.command(), seed=0,
        kubernetes=surroundings.kubernetes or UNKNOWN, apis=surroundings.apis.served,
        meshes=tuple(found.get(name, MeshUnderTest(name, UNKNOWN)) for name in asked),
        selected=tuple(requirement.id for requirement in selected), snapshot=surroundings.snapshot,
    )


class Run:
    """Takes results as they come and closes the reports with the verdicts."""

    def __init__(self, settings: Settings, catalogue: tuple[Requirement, ...], selected: tuple[Requirement, ...],
                 meshes: tuple[Mesh, ...], writers: Writers, started: float) -> None:
        self.settings = settings
        self.interrupted = False
        self.results: list[Result] = []
        self._catalogue = catalogue
        self._selected = selected
        self._meshes = meshes
        self._writers = writers
        self._header: Header | None = None
        self._started = started
        # With workers, this is made when the first of them has a result.
        self._began = now(time.monotonic() - started)

    def begin(self, found: Header) -> None:
        """Take what the first worker found where it runs; later ones find the same."""
        if self._header is None:
            # A worker knows when its first check ended; the run began before that.
            # The catalogue is put in here: workers need not send it.
            catalogue = describe(self._catalogue, self._selected)
            self._header = replace(found, started=self._began, catalogue=catalogue)
            self._writers.start(self._header)

    def take(self, result: Result) -> None:
        """Take one result. Raises ReportError."""
        self.begin(header(self.settings, Surroundings(), self._selected))
        self.results.append(result)
        self._writers.result(result)

    def finish(self) -> ExitCode:
        """Close the reports and return the exit code. Raises ReportError."""
        self.begin(header(self.settings, Surroundings(), self._selected))
        decided = self._verdicts()
        code = exit_code(self.results, decided, interrupted=self.interrupted)
        self._writers.finish(Footer(
            finished=now(), duration=round(time.monotonic() - self._started, 3), counts=count(self.results),
            verdicts=decided, exit_code=int(code), interrupted=self.interrupted,
        ))
        return code

    def hint(self) -> str:
        """Say what else could be judged, where a mesh claims nothing of SMI but the Gateway API; else nothing."""
        if selection.GATEWAY in self.settings.suites or any(result.outcome.judgement for result in self.results):
            return ""
        claimed = [mesh.title for mesh in self._meshes if mesh.apis.get(smi.GATEWAY)
                   and not any(mesh.apis.get(group) for group in (*smi.RESOURCES, smi.METRICS))]
        return f"{', '.join(claimed)}: claims {smi.GATEWAY}; --suite {selection.GATEWAY} judges that" if claimed else ""

    def _verdicts(self) -> tuple[Verdict, ...]:
        chosen = set(self._selected)
        expected = [case for row in self._catalogue if row in chosen for case in self._cases(row)]
        left_out = [case for row in self._catalogue if row not in chosen for case in self._cases(row)]
        return verdicts(self.results, expected=expected, left_out=left_out)

    def _cases(self, requirement: Requirement) -> list[Case]:
        """Return the judged cases of a requirement: one per mesh, in the version in which that mesh is judged.

        The header tells what the first mesh was judged in, the results tell it of every mesh.
        """
        if not requirement.judged:
            return []
        served = smi.ServedApis(self._header.apis if self._header else {}).version(requirement.api)
        seen = {result.mesh: result.version for result in self.results if result.api == requirement.api}
        versions = {mesh.name: seen.get(mesh.name) or served or requirement.versions[-1] for mesh in self._meshes}
        return [Case(mesh, requirement.api, version, requirement.id) for mesh, version in versions.items()
                if requirement.applies_to(version)]
