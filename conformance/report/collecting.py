"""What the writers share that write when the run has ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from conformance.outcome import Result
from conformance.report.model import Footer, Header, Report


class Collecting(ABC):
    """A `Writer` that keeps what it is told and writes the whole of it at the end."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._results: list[Result] = []

    @property
    @abstractmethod
    def target(self) -> str:
        """What it writes to, for messages."""

    @abstractmethod
    def write(self, report: Report) -> None:
        """Write a whole run, its results by mesh, API and requirement. May raise OSError."""

    @final
    def start(self, header: Header) -> None:
        """Begin a run, forgetting what an earlier one left."""
        self._header = header
        self._results = []

    @final
    def result(self, result: Result) -> None:
        """Keep one result."""
        self._results.append(result)

    @final
    def finish(self, footer: Footer) -> None:
        """Write what was kept."""
        if self._header is None:
            raise ValueError("a report was finished before it was started")
        # Workers end in any order.
        results = sorted(self._results, key=lambda result: result.case)
        self.write(Report(self._header, tuple(results), footer))
