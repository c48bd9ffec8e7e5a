"""The part of the plugin that reports: it takes results, from this process or from workers, and closes the run."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path
from typing import Final

import pytest

from conformance import mesh as meshes
from conformance import selection
from conformance.dump import FAILURES
from conformance.exit_code import ExitCode
from conformance.options import Settings
from conformance.outcome import Result
from conformance.report import codec, github
from conformance.report.lock import DirectoryLock
from conformance.report.model import Header
from conformance.report.writers import Writers, clear, writers
from conformance.report.writing import ReportError
from conformance.requirement import select
from conformance.run import Run

RESULT_PROPERTY: Final = "mesh-conformance result"
HEADER_PROPERTY: Final = "mesh-conformance header"


class Reporting:
    """Registered once, in the process that the user sees."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._run: Run | None = None
        self._lock: DirectoryLock | None = None
        self._trouble: ReportError | None = None
        self._interrupted = False
        self._failed: set[str] = set()  # of these there is no result
        self._started = time.monotonic()
        self._text = io.StringIO()
        self._commands = github.Commands(os.environ)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Open the reports before anything is measured, so that a directory that cannot be written to ends the run.

        pytest announces the end of a collection that failed as well, by which an earlier report would be lost.
        """
        if self._measures and any(item.get_closest_marker("requirement") for item in session.items):
            try:
                self._open()
            except ReportError as error:
                raise pytest.UsageError(str(error)) from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand the result of a check to the run's reports."""
        properties = dict(report.user_properties)
        if report.failed:
            self._failed.add(report.nodeid)
        if RESULT_PROPERTY not in properties:
            return
        self._failed.discard(report.nodeid)
        found = codec.decode(str(properties[HEADER_PROPERTY]).encode()) if HEADER_PROPERTY in properties else None
        result = codec.decode(str(properties[RESULT_PROPERTY]).encode())
        if not isinstance(found, Header | None) or not isinstance(result, Result):
            raise TypeError("a worker sent something else than a header and a result")
        try:
            run = self._open()
            if found is not None:
                run.begin(found)
            run.take(result)
        except ReportError as error:
            self._trouble = self._trouble or error

    @property
    def _measures(self) -> bool:
        return not self._settings.dry_run and not self._config.option.collectonly

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the run was broken off: its verdicts are incomplete."""
        self._interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the reports; the exit code is the verdict's, unless something failed that no verdict knows of."""
        if self._run is None:
            ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            if ended and self._measures and self._settings.patterns:
                session.exitstatus = ExitCode.NOTHING
            return
        self._run.interrupted = self._interrupted
        code = ExitCode.ERROR
        try:
            code = self._run.finish()
        except ReportError as error:
            self._trouble = self._trouble or error
        unknown = exitstatus == pytest.ExitCode.INTERNAL_ERROR or bool(self._failed)
        if self._trouble is not None or (unknown and code in (ExitCode.CONFORMANT, ExitCode.NOTHING)):
            code = ExitCode.ERROR
        session.exitstatus = code

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables, the verdict, and what repeats each failure."""
        if self._run is None:
            return
        terminalreporter.ensure_newline()
        terminalreporter.write_line(self._text.getvalue())
        if hint := self._run.hint():
            terminalreporter.write_line(hint)
        if self._trouble is not None:
            terminalreporter.write_line(f"error: {self._trouble}", red=True)
        elif self._settings.report_dir is not None:
            terminalreporter.write_line(f"reports: {self._settings.report_dir}")

    def _tell(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if text and reporter is not None:
            # Whether the dots of a run that has workers have begun a line is nothing that the reporter knows.
            reporter.write_line(f"\n{text}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Let other runs write to the report directory, and GitHub's runner obey again, now that all is printed."""
        if self._lock is not None:
            self._lock.release()
        self._tell(self._commands.release(self._run.results if self._run else ()))

    def _open(self) -> Run:
        if self._run is None:
            self._tell(self._commands.hold())
            rows = selection.rows(self._settings.suites)
            selected = select(rows, self._settings.patterns, self._settings.levels)
            found = tuple(meshes.load(name) for name in self._settings.meshes)
            self._run = Run(self._settings, rows, selected, found, self._writers(), self._started)
        return self._run

    def _writers(self) -> Writers:
        if self._settings.report_dir is not None:
            self._lock = DirectoryLock(self._settings.report_dir)
            # What an earlier run left would pass for this one's, if this one were killed.
            shutil.rmtree(self._settings.report_dir / FAILURES, ignore_errors=True)
            clear(self._settings.report_dir)
        more = [github.JobSummary(Path(path))] if (path := os.environ.get(github.SUMMARY)) else []
        return writers(self._settings.report_dir, stream=self._text, more=more)
