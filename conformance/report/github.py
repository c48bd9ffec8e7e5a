"""What GitHub Actions shows of a run: the summary of the job, and annotations.

A mesh's answer is part of what a run prints, and the runner takes lines of that for commands. While a run reports, the
runner is told to obey none (`stop-commands`), until a word that nobody can guess.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from conformance.outcome import Outcome, Result
from conformance.report import rows, summary
from conformance.report.collecting import Collecting
from conformance.report.model import Report

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
MAX_SUMMARY: Final = 1000 * 1024
"""The longest summary of a step, in bytes. GitHub takes 1024 KiB, and of what is longer nothing."""

MAX_ANNOTATIONS: Final = 10
"""How many annotations of a kind GitHub shows of a step."""

_MAX_MESSAGE: Final = 4000
_NOTE: Final = "\n**Left out here: {number} sections, more than GitHub shows. The whole report is `summary.md`.**\n"


class JobSummary(Collecting):
    """Appends to the file that GitHub Actions reads the summary of a step from."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return f"the summary of the job, {self._path.name} (${SUMMARY})"

    def write(self, report: Report) -> None:
        """Append the summary."""
        append(self._path, report)


def append(path: Path, report: Report) -> None:
    """Append as much of a report to a file as GitHub takes, what matters most first. Raises OSError."""
    there = path.stat().st_size if path.exists() else 0
    text = fitted(summary.sections(report), MAX_SUMMARY - there)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def fitted(sections: Iterable[str], room: int) -> str:
    """Return the sections, from the first on, that have room (in bytes), and how many were left out."""
    waiting = list(sections)
    note = len(_NOTE.encode()) + 16
    sizes = [len(section.encode()) for section in waiting]
    if sum(sizes) <= room:
        return "".join(waiting)
    taken: list[str] = []
    room -= note
    for section, size in zip(waiting, sizes, strict=True):
        if size > room:
            break
        taken.append(section)
        room -= size
    return "".join(taken) + (_NOTE.format(number=len(waiting) - len(taken)) if room >= 0 else "")


class Commands:
    """The commands to GitHub's runner, as lines of a run's output. Elsewhere there are none."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._active = variables.get("GITHUB_ACTIONS") == "true"
        self._word = ""

    def hold(self) -> str:
        """Return the line after which the runner obeys nothing; empty elsewhere."""
        if not self._active:
            return ""
        self._word = secrets.token_hex(16)
        return f"::stop-commands::{self._word}"

    def release(self, results: Iterable[Result]) -> str:
        """Return the line that ends `hold`, and the annotations of a run; empty elsewhere."""
        if not self._word:
            return ""
        word, self._word = self._word, ""
        return "\n".join([f"::{word}::", *annotate(results)])


def annotate(results: Iterable[Result]) -> list[str]:
    """Return an annotation for each violation, error, failed should and known failure, as many as GitHub shows."""
    found: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for result in results:
        kind, title = _kind(result)
        if kind:
            found[kind].append(_command(kind, f"{result.requirement} {title} {result.mesh}", _told(result)))
    lines: list[str] = []
    for kind, commands in found.items():
        more = len(commands) - MAX_ANNOTATIONS
        if more > 0:
            commands[MAX_ANNOTATIONS - 1:] = [_command(
                kind, "mesh-conformance", f"{more + 1} more of this kind are in the summary and in the reports")]
        lines += commands
    return lines


def _kind(result: Result) -> tuple[str, str]:
    """Return the kind of the annotation, empty for none, and what stands between requirement and mesh."""
    if result.stale:
        return "error", "is listed as a known failure and passes on"
    if result.outcome is Outcome.FAILED:
        return ("error" if result.level.binding else "warning"), "violated by"
    if result.outcome is Outcome.ERROR:
        return "error", "ended in an error on"
    return ("notice", "is a known failure of") if result.outcome is Outcome.KNOWN_FAILURE else ("", "")


def _told(result: Result) -> str:
    message = rows.reason(result) if result.outcome is Outcome.KNOWN_FAILURE else result.message or "no message"
    repeat = f"\nrepeat it: {rows.one_line(result.reproduce, 1000)}" if result.reproduce else ""
    return message[:_MAX_MESSAGE] + repeat


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_property(rows.one_line(title, 200))}::{_data(message)}"


def _data(text: str) -> str:
    """Escape as the runner's own toolkit does: a command ends with its line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
