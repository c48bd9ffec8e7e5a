"""A comparison with the official suite as people and programs read it: a table on the console, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tabulate import tabulate

from conformance.official.comparison import Compared, Comparison, Relation
from conformance.report.summary import escape

_HEADERS: Final = ("requirement", "ours", "official test", "theirs", "")


def pretty(found: Comparison) -> str:
    """The comparison as the console shows it."""
    table = tabulate([_cells(row) for row in found.rows], headers=_HEADERS, maxcolwidths=[None, None, 60, 40, None],
                     disable_numparse=True)
    return "\n".join([_heading(found), "", table, "", *_remarks(found)])


def markdown(found: Comparison) -> str:
    """The comparison as a section of Markdown."""
    lines = [f"| {' | '.join(_HEADERS)} |", "|" + "---|" * len(_HEADERS)]
    lines += ["| " + " | ".join(escape(cell) for cell in _cells(row)) + " |" for row in found.rows]
    return "\n".join([escape(_heading(found)), "", *lines, "", *(f"- {escape(line)}" for line in _remarks(found))])


def as_json(found: Comparison) -> str:
    """The comparison as one JSON object."""
    return json.dumps(document(found), indent=2)


def document(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON has it."""
    claims = found.claims
    return {
        "mesh": {"name": found.mesh.name, "version": found.mesh.version},
        "official": None if claims is None else {
            "api": claims.api, "channel": claims.channel, "date": claims.date, "project": claims.project,
            "version": claims.version,
        },
        "counts": {relation.value: found.count(relation) for relation in Relation},
        "pairs": [
            {"requirement": row.pair.requirement, "version": row.version, "ours": row.ours, "test": row.pair.test,
             "parts": list(row.pair.parts), "scope": row.pair.scope, "theirs": row.theirs, "why": row.why,
             "relation": row.relation, "note": row.pair.note}
            for row in found.rows
        ],
        "unpaired": [{"test": test.name, "theirs": test.outcome} for test in found.unpaired],
        "alone": [{"requirement": result.requirement, "version": result.version, "ours": result.outcome}
                  for result in found.alone],
        "claimed_without_evidence": dict(found.unproved),
        "failed_and_not_reported": list(found.uncounted),
        "warnings": list(found.warnings),
    }


FORMATS: Final[Mapping[str, Callable[[Comparison], str]]] = {
    "pretty": pretty, "markdown": markdown, "json": as_json,
}


def _heading(found: Comparison) -> str:
    theirs = "the official suite"
    if found.claims is not None:
        theirs += f" of the Gateway API {found.claims.api}, on {found.claims.project} {found.claims.version}"
    counts = ", ".join(f"{number} {relation}" for relation in Relation if (number := found.count(relation)))
    return f"{found.mesh.name} {found.mesh.version} and {theirs}: {counts or 'nothing to compare'}"


def _cells(row: Compared) -> Sequence[str]:
    ours = str(row.ours) if row.ours else "no result"
    parts = f" ({len(row.pair.parts)} of its parts)" if row.pair.parts else ""
    theirs = f"{row.theirs or 'no verdict'}" + (f": {row.why}" if row.why else "")
    version = f" ({row.version})" if row.version else ""
    return f"{row.pair.requirement}{version}", ours, f"{row.pair.test}{parts}", theirs, row.relation


def _remarks(found: Comparison) -> list[str]:
    lines = [f"warning: {text}" for text in found.warnings]
    lines += [f"{row.relation}: {row.pair.requirement} and {row.pair.test}: {row.pair.note}"
              for row in found.rows if row.relation in (Relation.DISAGREE, Relation.COMPATIBLE)]
    if found.alone:
        lines.append("judged by us alone: " + ", ".join(f"{result.requirement} {result.outcome}"
                                                        for result in found.alone))
    if found.unpaired:
        lines.append("judged by them alone: " + ", ".join(f"{test.name} {test.outcome}" for test in found.unpaired))
    if found.unproved:
        told = ", ".join(f"{feature} ({why})" for feature, why in found.unproved.items())
        lines.append(f"their report calls supported what no test of theirs showed: {told}")
    if found.uncounted:
        lines.append(f"their report leaves out what failed: {', '.join(found.uncounted)}")
    return lines
