"""All writers of a run as one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Final, TextIO

from conformance.outcome import Result
from conformance.report.allure import Allure
from conformance.report.codec import RecordError
from conformance.report.console import Console
from conformance.report.hygiene import clean_footer, clean_header, clean_result
from conformance.report.jsonl import JsonLines
from conformance.report.junit import JUnit
from conformance.report.model import Footer, Header
from conformance.report.page import Page
from conformance.report.summary import Summary
from conformance.report.writing import ReportError, Writer

_MAKERS: Final[Mapping[str, tuple[str, Callable[[Path], Writer]]]] = MappingProxyType({
    "jsonl": ("report.jsonl", JsonLines),
    "summary": ("summary.md", Summary),
    "junit": ("junit.xml", JUnit),
    "html": ("report.html", Page),
    "allure": ("allure-results", Allure),
})
"""By format: what it writes in the report directory, and the writer that is given this path."""

FORMATS: Final = tuple(_MAKERS)
"""The formats that are written to a directory, in this order."""


class Writers:
    """Cleans every event once and hands it to each writer.

    A writer that fails is told no more and does not keep the others from writing; the first failure of an event is
    raised as a `ReportError` when all have had their turn.
    """

    def __init__(self, writers: Iterable[Writer]) -> None:
        self._writers = list(writers)

    @property
    def target(self) -> str:
        """What they write to, for messages."""
        return ", ".join(writer.target for writer in self._writers) or "nothing"

    def start(self, header: Header) -> None:
        """Begin all reports. Raises `ReportError`."""
        clean = clean_header(header)
        self._tell(lambda writer: writer.start(clean))

    def result(self, result: Result) -> None:
        """Report a result. Raises `ReportError`."""
        clean = clean_result(result)
        self._tell(lambda writer: writer.result(clean))

    def finish(self, footer: Footer) -> None:
        """End all reports. Raises `ReportError`."""
        clean = clean_footer(footer)
        self._tell(lambda writer: writer.finish(clean))

    def _tell(self, event: Callable[[Writer], None]) -> None:
        failures: list[ReportError] = []
        for writer in tuple(self._writers):
            try:
                event(writer)
            except OSError as error:
                failures.append(ReportError.of(f"the report cannot be written to {writer.target}", error))
            except RecordError as error:
                failures.append(ReportError(f"the report cannot be written to {writer.target}: {error}"))
            else:
                continue
            self._writers.remove(writer)
        if failures:
            raise failures[0]


def writers(
    directory: Path | None, formats: Iterable[str] = FORMATS, *, stream: TextIO | None = None,
    more: Iterable[Writer] = (),
) -> Writers:
    """The writers of these formats to a directory, of the console's to a stream, and more; each can be left out.

    The directory is made and tried at once, so that a run does not end without a report after it has measured.
    Raises `ReportError` for an unknown format and for a directory that cannot be written to.
    """
    chosen: list[Writer] = []
    if directory is not None:
        wanted = tuple(formats)
        unknown = [name for name in wanted if name not in FORMATS]
        if unknown:
            raise ReportError(f"no report format is called {unknown[0]!r}; use {', '.join(FORMATS)}")
        _prepare(directory)
        chosen += [make(directory / name) for form, (name, make) in _MAKERS.items() if form in wanted]
    if stream is not None:
        chosen.append(Console(stream))
    return Writers([*chosen, *more])


def clear(directory: Path) -> None:
    """Remove the files of an earlier run: they would pass for those of a run that is killed before it has written.

    A writer of a whole directory sees to that itself; what cannot be removed, `writers` complains of.
    """
    for name, _ in _MAKERS.values():
        with contextlib.suppress(OSError):
            (directory / name).unlink()


def _prepare(directory: Path) -> None:
    new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory) as probe:
            # As much as a small report takes: a disk that has no room for it is told now.
            probe.write(bytes(64 * 1024))
    except OSError as error:
        if new:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise ReportError.of(f"the report directory {directory} cannot be written to", error) from error
