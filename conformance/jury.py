"""Judges mutants by runs in processes of their own: many in one sandbox where that can be, else in one of its own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Self

from conformance import temporary
from conformance.kill_matrix import Kill
from conformance.outcome import Outcome
from conformance.report import record
from conformance.report.codec import RecordError
from conformance.sandbox.mutants import Mutant
from conformance.series import OUTPUT, Task

RUN_WITHIN: Final = 600.0
"""Seconds after which a run is given up; it is killed, and its sandbox with it."""
_ENDED_WITHIN: Final = 60.0


class _LateError(Exception):
    """A run did not come to its end."""


class Jury:
    """Judges mutants, for as many threads as ask. A context manager that ends what it has started.

    `bytecode` is a directory in which processes keep compiled modules for each other: a third of what a short run
    computes.
    """

    def __init__(self, bytecode: str = "") -> None:
        self._environment = _environment(bytecode)
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._all: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.dismiss()
        for process in self._all:
            process.wait()

    def judge(self, subject: Mutant | None, requirements: Sequence[str]) -> Kill:
        """Run these requirements on one mutant, or on the mesh as it is."""
        if not requirements:
            return Kill(subject, trouble="no judged requirement is the one that it must fail")
        with temporary.directory("selftest") as directory:
            output = directory / OUTPUT
            try:
                # The mesh as it is gets sandboxes of its own, as a user's run does. (In a shared one, where its control
                # plane had just been replaced, on a busy machine the API server was late to notice its metrics.)
                if subject is not None and subject.replaceable:
                    self._in_series(Task(subject.name, tuple(requirements), str(directory)))
                else:
                    self._alone(subject, requirements, output)
                report = record.read(directory / "report.jsonl")
            except _LateError:
                return Kill(subject, trouble=f"no end within {RUN_WITHIN:g} s")
            except (RecordError, OSError) as error:
                said = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
                return Kill(subject, trouble=f"no report ({error}): {said.strip()[-400:]}")
        failed = tuple(sorted(r.requirement for r in report.results if r.outcome is Outcome.FAILED))
        broken = [f"{r.requirement}: {r.message}" for r in report.results if r.outcome is Outcome.ERROR]
        missing = sorted(set(requirements) - {r.requirement for r in report.results})
        broken += [f"without a result: {', '.join(missing)}"] if missing else []
        return Kill(subject, failed, "; ".join(broken))

    def _in_series(self, task: Task) -> None:
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = _Process(self._environment)
            self._all.append(process)
        if process.run(task):
            self._idle.put(process)

    def _alone(self, subject: Mutant | None, requirements: Sequence[str], output: Path) -> None:
        command = [sys.executable, "-m", "conformance.cli", "run", "--report-dir", str(output.parent), "-q",
                   "--requirement", ",".join(requirements)]
        command += ["--mutant", subject.name] if subject else []
        command += ["--smi", subject.dialect] if subject and subject.dialect else []
        with output.open("wb") as file:
            try:
                subprocess.run(command, stdout=file, stderr=file, timeout=RUN_WITHIN, check=False,
                               env=self._environment)
            except subprocess.TimeoutExpired:
                raise _LateError from None


class _Process:
    """A process that makes a series of runs."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "conformance.series"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, env=environment)

    def run(self, task: Task) -> bool:
        """Have one run made; tell whether the process is good for another. Raises _LateError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(task.encode())
            self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], RUN_WITHIN)[0]:
            self._process.kill()
            raise _LateError
        return bool(self._process.stdout.readline())

    def dismiss(self) -> None:
        """Tell it that there is nothing more to do."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def wait(self) -> None:
        """Wait until it has ended, and its sandbox with it."""
        try:
            self._process.wait(_ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


def _environment(bytecode: str) -> dict[str, str]:
    if not bytecode:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": bytecode}
