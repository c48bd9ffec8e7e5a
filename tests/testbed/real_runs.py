"""A run of the harness on a real cluster that goes on while a test breaks something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record


def until(condition, within, what):
    """Look again and again until something is there; return it."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {within} s"
        time.sleep(0.05)
    return found


class Going:
    """A run of the harness in another process."""

    def __init__(self, kubeconfig, directory, *options, environment=None):
        self._file, self._log = directory / "report.jsonl", directory.with_suffix(".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "conformance.cli", "run", "--kubeconfig", str(kubeconfig), "--report-dir",
                 str(directory), *options], stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})})

    @property
    def told(self):
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def results(self):
        """How many results it has so far."""
        return max(0, self._file.read_bytes().count(b"\n") - 1) if self._file.exists() else 0

    def until_results(self, number, within=300):
        """Wait until it has that many results."""
        until(lambda: self.results >= number or self.process.poll() is not None, within, f"result {number}")
        assert self.process.poll() is None, f"it has ended:\n{self.told}"

    def end(self, within=300, *, early=False):
        """Wait for its end. Returns exit code and record; nothing in it may be taken for the mesh's fault.

        `early`: end it as Ctrl-C does, where the rest would tell nothing more.
        """
        if early:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(within)
        assert "Traceback" not in self.told, self.told
        report = record.read(self._file)
        failed = [f"{result.requirement}: {result.message}" for result in report.results
                  if result.outcome is Outcome.FAILED]
        assert not failed, failed
        broken = any(result.outcome is Outcome.ERROR for result in report.results)
        wanted = ExitCode.ERROR if broken else ExitCode.CONFORMANT
        assert code == (ExitCode.INTERRUPTED if early else wanted), self.told
        return code, report

    def kill(self):
        """End it at once, with nothing cleaned up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
