"""Print what each mesh does: requirements by meshes, below the verdicts.

Records of several meshes are made with `mesh-conformance report combine`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from conformance.outcome import Outcome
from conformance.report.stream import RecordStream
from conformance.report.views.tables import Table, render
from conformance.report.views.whole import add_record, read_record, streamed

FORMATS: Final = ("pretty", "markdown", "json", "html")

_NONE: Final = "-"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_record(parser)
    parser.add_argument("--format", choices=FORMATS, default="pretty", help="default: pretty")
    parser.add_argument(
        "--only",
        choices=("failures", "disagreements"),
        help="only requirements that some mesh fails, or in which meshes differ; for all formats but html",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    if chosen.format == "html":
        from conformance.report.html import page, performance_of  # noqa: PLC0415 - only for this format

        sys.stdout.write(page(read_record(chosen.record), performance_of(chosen.record)))
        return 0
    with streamed(chosen.record) as stream:
        for _ in stream:
            pass
        if chosen.format == "json":
            json.dump(document(stream, chosen.only), sys.stdout, indent=1)
            print()
        else:
            print(render(_tables(stream, chosen.only), chosen.format))
    return 0


def document(stream: RecordStream, only: str | None = None) -> dict[str, Any]:
    """Return the matrix of a record that has been read, as JSON has it."""
    explained = stream.header.catalogue.requirements
    return {
        "catalogue": stream.header.catalogue.digest,
        "meshes": [{"name": mesh.name, "version": mesh.version} for mesh in stream.header.meshes],
        "verdicts": [
            {
                "mesh": v.mesh,
                "api": v.api,
                "version": v.version,
                "compliance": v.compliance.value,
                "capability": v.capability.value,
                "reason": v.reason,
            }
            for v in stream.footer.verdicts
        ],
        "requirements": [
            {
                "id": name,
                "title": explained[name].title if name in explained else "",
                "level": explained[name].level.value if name in explained else "",
                "results": {
                    mesh: {version: outcome.value for version, outcome in found.items()}
                    for mesh, found in cells.items()
                },
            }
            for name, cells in cells_of(stream, only)
        ],
    }


def cells_of(stream: RecordStream, only: str | None = None) -> Iterator[tuple[str, dict[str, dict[str, Outcome]]]]:
    """Give each requirement with the outcomes on each mesh, by version of the API: there is nearly always one."""
    kinds: dict[str, list[tuple[str, str, str]]] = {}
    for kind in stream.cases.kinds:
        kinds.setdefault(kind[2], []).append(kind)
    for name in sorted(kinds):
        cells: dict[str, dict[str, Outcome]] = {}
        for mesh in stream.header.meshes:
            found = {kind[1]: outcome for kind in kinds[name] if (outcome := stream.cases.get(mesh.name, kind))}
            if found:
                cells[mesh.name] = found
        if _wanted(only, cells):
            yield name, cells


def _wanted(only: str | None, cells: dict[str, dict[str, Outcome]]) -> bool:
    outcomes = [outcome for found in cells.values() for outcome in found.values()]
    if only == "failures":
        return any(outcome.failing for outcome in outcomes)
    # What was not judged on a mesh is no opinion of it.
    return only is None or len({outcome for outcome in outcomes if outcome.judgement}) > 1


def _tables(stream: RecordStream, only: str | None) -> tuple[Table, Table]:
    meshes = [mesh.name for mesh in stream.header.meshes]
    explained = stream.header.catalogue.requirements
    titles = [f"{mesh.name} {mesh.version}" for mesh in stream.header.meshes]
    verdicts: dict[tuple[str, str], dict[str, str]] = {}
    for found in stream.footer.verdicts:
        words = f"{found.compliance}, {found.capability}"
        verdicts.setdefault((found.api, found.version), {})[found.mesh] = words
    above = [
        (f"{api} {version}", *(by.get(mesh, _NONE) for mesh in meshes))
        for (api, version), by in sorted(verdicts.items())
    ]
    below = [
        (
            name,
            explained[name].level.value if name in explained else "",
            explained[name].title if name in explained else "",
            *(_words(cells.get(mesh)) for mesh in meshes),
        )
        for name, cells in cells_of(stream, only)
    ]
    return (
        Table("Compliance and capability", ("API group", *titles), above),
        Table("Requirements", ("requirement", "level", "title", *titles), below),
    )


def _words(found: dict[str, Outcome] | None) -> str:
    if not found:
        return _NONE
    if len(set(found.values())) == 1:
        return next(iter(found.values())).value
    return ", ".join(f"{version} {outcome}" for version, outcome in sorted(found.items()))
