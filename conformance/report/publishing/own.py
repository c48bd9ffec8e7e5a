"""The reports that this project can make by itself: the reference mesh with each dialect of SMI, in the sandbox.

A report is *current* when a run today would say the same of everything that does not change from run to run: which
requirements there are and in which words (the catalogue's digest), what was served and claimed, the outcome of each
requirement and the verdicts. Durations, counts of samples, names of objects and the day are not compared.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from conformance import __version__, dialect, selection
from conformance.exit_code import ExitCode
from conformance.mesh import registry
from conformance.options import DEFAULT_REPORT_DIR
from conformance.report.catalogue import digest
from conformance.report.model import Report
from conformance.report.publishing import contents, place
from conformance.report.writing import ReportError

TIME: Final = 1800.0
"""Seconds that one run may take, on the slowest machine."""
_JUDGED: Final = (ExitCode.CONFORMANT, ExitCode.NONCONFORMANT, ExitCode.ERROR)
_AGAIN: Final = "run `mesh-conformance report publish --own {}`"


def dialects(named: Sequence[str] = ()) -> list[str]:
    """Return the dialects of these names, or all. Raises ReportError, naming the closest ones."""
    try:
        return [dialect.load(name).name for name in named or dialect.names()]
    except dialect.DialectError as error:
        raise ReportError(str(error)) from error


@contextmanager
def made(name: str, workers: str = "2") -> Iterator[Path]:
    """Make the run for a dialect, in the sandbox, and give its record. Raises ReportError when there is none."""
    with TemporaryDirectory(prefix="mesh-conformance-publish-") as home:
        # By the usual name, for a record names the folders of its failures.
        directory = Path(home) / DEFAULT_REPORT_DIR
        directory.mkdir()
        command = [sys.executable, "-m", "conformance.cli", "run", "--smi", name, "-n", workers,
                   "--report-dir", str(directory)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME)
        except subprocess.TimeoutExpired as error:
            raise ReportError(f"the run with {name} did not end within {TIME:.0f} s") from error
        record = directory / contents.RECORD
        if ended.returncode not in _JUDGED or not record.is_file():
            said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-15:])
            raise ReportError(f"the run with {name} judged nothing, exit code {ended.returncode}:\n{said}")
        yield record


def difference(there: Report, now: Report) -> Iterator[str]:
    """Say in what a published report differs from a new one, among what does not change from run to run."""
    facts = (
        ("the harness's version", there.header.harness.version, now.header.harness.version),
        ("the requirements", there.header.catalogue.digest, now.header.catalogue.digest),
        ("the selection", sorted(there.header.selected), sorted(now.header.selected)),
        ("the meshes", _meshes(there), _meshes(now)),
        ("what is served", _served(there), _served(now)),
        ("the verdicts", _verdicts(there), _verdicts(now)),
    )
    yield from (f"{what} is not as published" for what, before, after in facts if before != after)
    before, after = _outcomes(there), _outcomes(now)
    for case in sorted(before.keys() | after.keys()):
        if before.get(case) != after.get(case):
            yield f"{case[0]} was {before.get(case, 'not there')}, is {after.get(case, 'not there')}"


def outdated(standing: Mapping[tuple[str, str], Report], named: Sequence[str] = ()) -> Iterator[str]:
    """Say which own report is missing or of other requirements than today's, without making a run."""
    wanted = digest(selection.rows((selection.SMI,)))
    version = _reference_version()
    for name in dialects(named):
        report = standing.get((place.REFERENCE, f"{version}+{name}"))
        again = _AGAIN.format(name)
        if report is None:
            yield f"{name}: there is no report of the reference mesh {version}; {again}"
        elif report.header.catalogue.digest != wanted:
            yield f"{name}: the requirements have changed since; {again}"
        elif report.header.harness.version != __version__:
            yield f"{name}: was made by {report.header.harness.version}, this is {__version__}; {again}"


def _reference_version() -> str:
    mesh = registry.load(place.REFERENCE)
    for sign in mesh.detect:
        for obj in mesh.install_objects():
            if obj["kind"] == sign.kind and obj["metadata"]["name"] == sign.name:
                return sign.version(obj)
    raise ReportError("the manifests of the reference mesh do not tell its version")


def _meshes(report: Report) -> list[tuple[str, str, str]]:
    return [(mesh.name, mesh.version, mesh.policy) for mesh in report.header.meshes]


def _served(report: Report) -> dict[str, tuple[str, ...]]:
    return {group: tuple(versions) for group, versions in report.header.apis.items()}


def _outcomes(report: Report) -> dict[tuple[str, str, str, str], str]:
    return {(result.requirement, result.mesh, result.api, result.version): result.outcome.value
            for result in report.results}


def _verdicts(report: Report) -> list[tuple[str, str, str, str, str]]:
    return sorted((v.mesh, v.api, v.version, v.capability.value, v.compliance.value) for v in report.footer.verdicts)
