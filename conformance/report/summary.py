"""The report as a page of Markdown, `summary.md`, to be read where code is reviewed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from conformance.outcome import Outcome
from conformance.report import rows
from conformance.report.collecting import Collecting
from conformance.report.model import Report
from conformance.writing import write_whole

# What Markdown and the HTML inside it react to within a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@])")
_ADDRESS = re.compile(r"https?://[\w.-]+(?::\d{1,5})?(?:/[\w./?=&%+~#-]*)?", re.ASCII)
_NOT_RUN = (Outcome.UNSUPPORTED, Outcome.NOT_APPLICABLE, Outcome.SKIPPED)


class Summary(Collecting):
    """Writes `summary.md` when the run has ended."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._path)

    def write(self, report: Report) -> None:
        """Write the page."""
        write_whole(self._path, render(report))


def render(report: Report) -> str:
    """The page of a whole report."""
    blocks = (
        _opening(report),
        _verdicts(report),
        *_results(report),
        *_accounts("Violations", report, Outcome.FAILED),
        _stale(report),
        *_accounts("Known failures", report, Outcome.KNOWN_FAILURE),
        *_accounts("Errors of the harness or the cluster", report, Outcome.ERROR),
        _observations(report),
        _not_run(report),
    )
    return _joined(*blocks)


def sections(report: Report) -> list[str]:
    """The parts of the page that can stand alone, what matters most first, for a place that has not room for all."""
    blocks = (
        _opening(report) + _verdicts(report),
        *_accounts("Violations", report, Outcome.FAILED),
        _stale(report),
        *_accounts("Errors of the harness or the cluster", report, Outcome.ERROR),
        *_accounts("Known failures", report, Outcome.KNOWN_FAILURE),
        *_results(report),
        _observations(report),
        _not_run(report),
    )
    return [_joined(block) for block in blocks if block]


def _joined(*blocks: list[str]) -> str:
    return "\n".join(line for block in blocks for line in block) + "\n"


def escape(text: str) -> str:
    """The text in one line, with nothing in it that Markdown or HTML would act on."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    # An escaped colon keeps a bare address from becoming a link.
    return line.replace("://", ":\\//").replace("www.", "www\\.")


def fence(text: str, language: str = "text") -> list[str]:
    """The text as a code block that no run of backticks in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return [f"{mark}{language}", *text.split("\n"), mark]


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    table = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return table + ["| " + " | ".join(escape(cell) for cell in line) + " |" for line in lines]


def _opening(report: Report) -> list[str]:
    header, footer = report.header, report.footer
    meshes = [
        f"{mesh.name} {mesh.version}" + (f" ({mesh.proxy.name} {mesh.proxy.version})" if mesh.proxy else "")
        + (f", {mesh.policy}" if mesh.policy else "")
        for mesh in header.meshes
    ]
    facts = [
        ("mesh", ", ".join(meshes)),
        ("Kubernetes", header.kubernetes),
        ("served", "; ".join(f"{group} {', '.join(versions)}" for group, versions in sorted(header.apis.items()))),
        ("harness", f"{header.harness.name} {header.harness.version}, seed {header.seed}"),
        ("environment", ", ".join(f"{key} {value}" for key, value in header.environment.items())),
        ("run", f"{header.started}, {footer.duration:.1f} s, {rows.tally(footer)}"),
    ]
    lines = ["# Conformance report", ""]
    if footer.interrupted:
        lines += ["**The run was interrupted: what follows is not a complete report.**", ""]
    lines += _table(("", ""), facts)
    return [*lines, "", "Reproduce:", "", *fence(header.command, "sh"), ""]


def _verdicts(report: Report) -> list[str]:
    lines = [
        (v.mesh, v.api, v.version, v.compliance.value, v.capability.value, v.reason) for v in report.footer.verdicts
    ]
    headers = ("mesh", "API group", "version", "compliance", "capability", "why")
    return ["## Verdict", "", *(_table(headers, lines) if lines else ["Nothing was executed: not a pass."]), ""]


def _results(report: Report) -> list[list[str]]:
    blocks = []
    for title, results in rows.groups(report.results):
        cells = [
            (r.requirement, r.level.value, r.outcome.value, f"{r.duration:.2f} s", rows.converged(r),
             str(rows.requests(r) or ""), rows.one_line(rows.note(r)))
            for r in results
        ]  # fmt: skip
        headers = ("requirement", "level", "outcome", "duration", "in effect after", "requests", "remark")
        blocks.append([f"## {escape(title)}", "", *_table(headers, cells), ""])
    return blocks


def _accounts(heading: str, report: Report, outcome: Outcome) -> list[list[str]]:
    blocks: list[list[str]] = []
    for result in rows.with_outcome(report.results, outcome):
        lines = [] if blocks else [f"## {heading}", ""]
        lines += [f"### {result.requirement} on {escape(result.mesh)}", ""]
        if result.known is not None:
            reason, since = escape(result.known.reason), escape(result.known.since)
            lines += [f"Known since {since}: {reason} ({_link(result.known.link)})", ""]
        lines += [*fence(result.message or "no message"), ""]
        lines += [f"- {escape(rows.sample_line(sample))}" for sample in result.samples]
        if result.samples:
            lines.append("")
        if result.reproduce:
            lines += ["Repeat it:", "", *fence(result.reproduce, "sh"), ""]
        blocks.append(lines)
    return blocks


def _link(address: str) -> str:
    return f"<{address}>" if _ADDRESS.fullmatch(address) else escape(address)


def _stale(report: Report) -> list[str]:
    lines = [f"- {escape(result.mesh)}: {escape(result.message)}" for result in report.results if result.stale]
    return ["## Stale in the list of known failures", "", *lines, ""] if lines else []


def _observations(report: Report) -> list[str]:
    lines = [
        (r.requirement, r.mesh, r.level.value, r.observed or r.message)
        for r in rows.with_outcome(report.results, Outcome.OBSERVED)
    ]
    if not lines:
        return []
    headers = ("requirement", "mesh", "level", "what was seen")
    return ["## Observed, not judged", "", *_table(headers, lines), ""]


def _not_run(report: Report) -> list[str]:
    lines = [
        (r.requirement, r.mesh, r.outcome.value, rows.reason(r)) for r in rows.with_outcome(report.results, *_NOT_RUN)
    ]
    return ["## Not run", "", *_table(("requirement", "mesh", "outcome", "why"), lines), ""] if lines else []
