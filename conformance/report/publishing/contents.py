"""The files of one published report: the record as it was generated, and what is made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from conformance.performance.model import Run
from conformance.report import rows, summary
from conformance.report.model import Report
from conformance.report.publishing import measured, place
from conformance.report.summary import escape, fence

RECORD: Final = "report.jsonl"
SUMMARY: Final = "summary.md"
PAGE: Final = "report.html"
README: Final = "README.md"
SUMS: Final = "SHA256SUMS"


def files(record: bytes, report: Report, run: Run | None = None, *, html: bool) -> dict[str, bytes]:
    """Return the files by name, sums last. The record is kept to the byte; a performance run is made anonymous."""
    made = {RECORD: record, SUMMARY: summary.render(report).encode()}
    run = measured.anonymous(run) if run else None
    if run:
        made[measured.NAME] = measured.written(run)
    if html:
        from conformance.report.html import page  # noqa: PLC0415 - heavy, and often not wanted

        made[PAGE] = page(report, (run,) if run else ()).encode()
    made[README] = readme(report, run, html=html).encode()
    made[SUMS] = sums(made).encode()
    return made


def sums(made: Mapping[str, bytes]) -> str:
    """Return the sums of files as `sha256sum` writes them."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(made.items()))


def readme(report: Report, run: Run | None = None, *, html: bool) -> str:
    """Return the page that stands beside a record: what it is of, what came of it, how it is repeated."""
    header, footer = report.header, report.footer
    mesh = header.meshes[0]
    facts = [
        ("mesh", f"{mesh.name} {mesh.version}" + (f", {mesh.policy}" if mesh.policy else "")),
        *([("dialect of SMI", dialect)] if (dialect := place.dialect(header)) else []),
        ("proxy", f"{mesh.proxy.name} {mesh.proxy.version}" if mesh.proxy else "none"),
        ("Kubernetes", header.kubernetes),
        *_nodes(header.snapshot),
        ("served", "; ".join(f"{group} {', '.join(versions)}" for group, versions in sorted(header.apis.items()))),
        ("harness", f"{header.harness.name} {header.harness.version}"),
        ("requirements", f"{len(header.selected)}, catalogue {header.catalogue.digest or 'unknown'}"),
        ("run", f"{header.started}, {footer.duration:.0f} s"),
        ("results", rows.tally(footer)),
    ]
    verdicts = [(v.api, v.version, v.compliance.value, v.capability.value, v.reason) for v in footer.verdicts]
    known = [f"- {result.requirement}: {escape(result.known.reason)} (<{result.known.link}>)"
             for result in report.results if result.known]
    others = f"[{SUMMARY}]({SUMMARY}) for reading" + (f", [{PAGE}]({PAGE}) with the evidence" if html else "")
    lines = [
        f"# {escape(mesh.name)} {escape(mesh.version)}", "", *_table(("", ""), facts), "",
        "## Verdict", "", *_table(("API group", "version", "compliance", "capability", "why"), verdicts), "",
        *(["## Known failures", "", *known, ""] if known else []),
        "## Reproduce", "", f"With {escape(header.harness.name)} {escape(header.harness.version)}:", "",
        *fence(header.command, "sh"), "",
        "Each result in the record has the command that repeats it alone.", "",
        *(["What was measured:", "", *fence(run.header.command, "sh"), ""] if run else []),
        "## Files", "", f"[{RECORD}]({RECORD}) is the record as it was generated; all else is made of it: {others}.",
        *([f"[{measured.NAME}]({measured.NAME}) has what was measured of the mesh, without names of cluster and nodes."]
          if run else []),
        f"`sha256sum --check {SUMS}` tells whether they are as they were published.",
    ]
    return "\n".join(lines) + "\n"


def _nodes(snapshot: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Tell the nodes in a line. A snapshot is read as what anyone may have written."""
    part = snapshot.get("nodes") if snapshot else None
    items = part.get("items") if isinstance(part, dict) else None
    for item in items[:5] if isinstance(items, list) else ():
        if isinstance(item, dict):
            words = [str(item.get(key, "")) for key in ("osImage", "kernelVersion", "containerRuntimeVersion",
                                                        "architecture")]
            yield "nodes", f"{item.get('count', '?')} of {', '.join(word for word in words if word)}"


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    table = [f"| {' | '.join(headers)} |", "|" + "---|" * len(headers)]
    return table + [f"| {' | '.join(escape(cell) for cell in line)} |" for line in lines]
