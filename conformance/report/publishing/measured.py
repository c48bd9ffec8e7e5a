"""The performance record that is published with a report: what was measured of the same mesh, beside what was judged.

It stands beside a run's record, and whoever wrote it may have written anything. It is published without the names of
the cluster and its nodes, which are nobody else's business; every figure stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from conformance.performance import record
from conformance.performance.document import to_json
from conformance.performance.model import Run
from conformance.report import verifying
from conformance.report.html.beside import file_of
from conformance.report.hygiene import clean_text
from conformance.report.model import Report
from conformance.report.publishing.place import Unpublishable

NAME: Final = "performance.json"
"""Its name among the files of a published report."""
MAX_RECORD: Final = 4 * 2**20
"""The largest that is published, in bytes: six times what a run of all probes takes, for it stands in a repository."""
_OTHERWISE: Final = "Measure again, or leave it out with --no-performance"


def beside(path: Path) -> Run | None:
    """Return the performance run beside a record, None where there is none. Raises Unpublishable."""
    file = file_of(path if path.is_dir() else path.parent)
    return read(file) if file else None


def read(file: Path) -> Run:
    """Return the run of a record that is published, or is to be. Raises Unpublishable."""
    try:
        run = record.read(file)
    except record.RecordError as error:
        raise Unpublishable(f"{error}. {_OTHERWISE}") from error
    if (size := len(written(run))) > MAX_RECORD:
        raise Unpublishable(f"{file} takes {size} bytes, and at most {MAX_RECORD} are published. {_OTHERWISE}")
    return run


def anonymous(run: Run) -> Run:
    """Return the run without the names of its cluster and nodes: these are numbered."""
    place = run.header.environment
    nodes = tuple(replace(node, name=f"node-{number}") for number, node in enumerate(place.nodes, 1))
    return replace(run, header=replace(run.header, environment=replace(place, cluster="", nodes=nodes)))


def written(run: Run) -> bytes:
    """Return the record of a run as it is published."""
    return json.dumps(to_json(run), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def objections(run: Run, report: Report) -> Iterator[str]:
    """Say what keeps a performance run from being published with a report."""
    ours = {(mesh.name, mesh.version) for mesh in report.header.meshes}
    header = run.header
    if (header.mesh, header.mesh_version) not in ours:
        judged = ", ".join(f"{name} {version}" for name, version in sorted(ours))
        yield f"{NAME} is of {header.mesh} {header.mesh_version}, the record of {judged}. {_OTHERWISE}"
    if not header.command.startswith("mesh-conformance perf"):
        yield f"the command that repeats {NAME} is none of mesh-conformance. {_OTHERWISE}"
    if "--mutant" in header.command:
        yield f"{NAME} is of a mesh that was broken on purpose (--mutant). {_OTHERWISE}"
    if not any(result.figures or result.invalid for result in run.results):
        yield f"{NAME} has no figure. {_OTHERWISE}"
    yield from (f"{NAME} {problem}. {_OTHERWISE}" for problem in _exposed(anonymous(run)))


def _exposed(run: Run) -> Iterator[str]:
    """Say what in a run is nobody else's business, each once."""
    texts = dict.fromkeys(verifying.texts_of(to_json(run)))
    if any(clean_text(text) != text for text in texts):
        yield "has secrets"
    yield from dict.fromkeys(verifying.exposed(texts))
