"""The report for the console: a table per requirement group, the verdict, and how to repeat each failure."""

from __future__ import annotations

from typing import TextIO

from tabulate import tabulate

from conformance.outcome import Outcome, Result
from conformance.report import rows
from conformance.report.collecting import Collecting
from conformance.report.model import Report
from conformance.verdict import Verdict

_REMARK = 60
_FORMAT = "simple"


class Console(Collecting):
    """Prints to a text stream when the run has ended."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return "the console"

    def write(self, report: Report) -> None:
        """Print the report."""
        text = render(report)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        # A console that cannot show a character must not cost the report.
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


def render(report: Report) -> str:
    """The text of a whole report; every line break in it is the report's own."""
    parts = rows.broken(report.header)
    parts += [_group(title, results) for title, results in rows.groups(report.results)]
    parts += [_account(result) for result in rows.with_outcome(report.results, Outcome.FAILED, Outcome.ERROR)]
    parts += [_known(result) for result in report.results if result.known]
    parts.append(_verdicts(report))
    return "\n\n".join(parts) + "\n"


def _group(title: str, results: list[Result]) -> str:
    lines = [
        (r.requirement, r.level.value, r.outcome.value, f"{r.duration:.2f} s", rows.converged(r),
         rows.requests(r) or "", rows.one_line(rows.note(r), _REMARK))
        for r in results
    ]  # fmt: skip
    headers = ("requirement", "level", "outcome", "duration", "in effect", "requests", "remark")
    # Numbers are already text as they are to be shown: a mesh's answer that looks like one stays as it is.
    return f"{title}\n" + tabulate(lines, headers=headers, tablefmt=_FORMAT, disable_numparse=True)


def _account(result: Result) -> str:
    word = "violated by" if result.outcome is Outcome.FAILED else "ended in an error on"
    lines = [f"{result.requirement} {word} {result.mesh}:"]
    lines += [f"    {line}" for line in (result.message or "no message").split("\n")]
    if result.reproduce:
        lines.append(f"  repeat it: {rows.one_line(result.reproduce, 1000)}")
    return "\n".join(lines)


def _known(result: Result) -> str:
    """What became of a requirement on the list of known failures."""
    if result.stale or result.known is None:
        return f"{result.mesh}: {rows.one_line(result.message, 300)}"
    text = rows.one_line(rows.listed(result.known), 1000)
    return f"{result.requirement} fails on {result.mesh} as it is known to: {text}"


def _verdicts(report: Report) -> str:
    footer = report.footer
    lines = [
        (v.mesh, v.api, v.version, v.compliance.value, _capability(v), rows.one_line(v.reason, _REMARK))
        for v in footer.verdicts if not _unselected(v)
    ]
    ended = "interrupted" if footer.interrupted else "done"
    closing = f"{ended} after {footer.duration:.1f} s: {rows.tally(footer)}"
    several = len({v.mesh for v in footer.verdicts}) > 1
    if left := [f"{v.api} on {v.mesh}" if several else v.api for v in footer.verdicts if _unselected(v)]:
        closing = f"not selected: {', '.join(dict.fromkeys(left))}\n\n{closing}"
    if not lines:
        return f"Nothing was executed: not a pass.\n{closing}"
    headers = ("mesh", "API group", "version", "compliance", "capability", "why")
    return f"Verdict\n{tabulate(lines, headers=headers, tablefmt=_FORMAT, disable_numparse=True)}\n\n{closing}"


def _unselected(verdict: Verdict) -> bool:
    """Whether nothing of the API group was selected; a table of such says nothing."""
    return not verdict.counts and not verdict.missing and verdict.left_out > 0


def _capability(verdict: Verdict) -> str:
    """How much was seen to work; a hyphen where nobody looked."""
    looked = any(number and (outcome.judgement or outcome is Outcome.UNSUPPORTED)
                 for outcome, number in verdict.counts.items())
    return verdict.capability.value if looked else "-"
