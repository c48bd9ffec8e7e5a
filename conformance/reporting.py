"""The part of the plugin that reports: it takes results, from this process or from workers, and closes the run."""

from __future__ import annotations

import contextlib
import io
import shutil
import time
from typing import Final

import pytest

from conformance import mesh as meshes
from conformance import paths
from conformance.dump import FAILURES
from conformance.options import Settings
from conformance.outcome import ExitCode, Result
from conformance.report import codec
from conformance.report.model import Header
from conformance.report.writers import Writers, writers
from conformance.report.writing import ReportError
from conformance.requirement import catalogue, select
from conformance.run import Run

RESULT_PROPERTY: Final = "mesh-conformance result"
HEADER_PROPERTY: Final = "mesh-conformance header"


class Reporting:
    """Registered once, in the process that the user sees."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._run: Run | None = None
        self._trouble: ReportError | None = None
        self._interrupted = False
        self._started = time.monotonic()
        self._text = io.StringIO()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Open the reports before anything is measured, so that a directory that cannot be written to ends the run."""
        if not self._settings.dry_run and any(item.get_closest_marker("requirement") for item in session.items):
            try:
                self._open()
            except ReportError as error:
                raise pytest.UsageError(str(error)) from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand the result of a check to the run's reports."""
        properties = dict(report.user_properties)
        if RESULT_PROPERTY not in properties:
            return
        found = codec.decode(str(properties[HEADER_PROPERTY]).encode())
        result = codec.decode(str(properties[RESULT_PROPERTY]).encode())
        if not isinstance(found, Header) or not isinstance(result, Result):
            raise TypeError("a worker sent something else than a header and a result")
        try:
            run = self._open()
            run.begin(found)
            run.take(result)
        except ReportError as error:
            self._trouble = self._trouble or error

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the run was broken off: its verdicts are incomplete."""
        self._interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the reports; the exit code is the verdict's."""
        if self._run is None:
            if self._settings.patterns and not self._settings.dry_run and not session.testsfailed:
                session.exitstatus = ExitCode.NOTHING
            return
        self._run.interrupted = self._interrupted
        try:
            session.exitstatus = self._run.finish()
        except ReportError as error:
            self._trouble = self._trouble or error
        if self._trouble is not None:
            session.exitstatus = ExitCode.ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables, the verdict, and what repeats each failure."""
        if self._run is None:
            return
        terminalreporter.ensure_newline()
        terminalreporter.write_line(self._text.getvalue())
        if self._trouble is not None:
            terminalreporter.write_line(f"error: {self._trouble}", red=True)
        elif self._settings.report_dir is not None:
            terminalreporter.write_line(f"reports: {self._settings.report_dir}")

    def _open(self) -> Run:
        if self._run is None:
            rows = catalogue(paths.suites())
            selected = select(rows, self._settings.patterns, self._settings.levels)
            found = tuple(meshes.load(name) for name in self._settings.meshes)
            self._run = Run(self._settings, rows, selected, found, self._writers(), self._started)
        return self._run

    def _writers(self) -> Writers:
        if self._settings.report_dir is not None:
            # What an earlier run left would pass for this one's, if this one were killed.
            shutil.rmtree(self._settings.report_dir / FAILURES, ignore_errors=True)
            for name in ("report.jsonl", "summary.md", "junit.xml"):
                with contextlib.suppress(OSError):
                    (self._settings.report_dir / name).unlink()
        return writers(self._settings.report_dir, stream=self._text)
