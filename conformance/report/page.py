"""The report as one HTML file, `report.html`: see `conformance.report.html`."""

from __future__ import annotations

from pathlib import Path

from conformance.outcome import Result
from conformance.report.model import Footer, Header
from conformance.report.rows import Collected
from conformance.writing import write_whole


class Page:
    """Writes `report.html` when the run has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._collected = Collected()

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._path)

    def start(self, header: Header) -> None:
        """Keep the header."""
        self._collected.start(header)

    def result(self, result: Result) -> None:
        """Keep a result."""
        self._collected.result(result)

    def finish(self, footer: Footer) -> None:
        """Write the page, with the performance run whose record stands beside it."""
        # Templates and pictures take a while to import, and a run that ends early needs none.
        from conformance.report.html import page, performance_beside  # noqa: PLC0415

        write_whole(self._path, page(self._collected.report(footer), performance_beside(self._path.parent)))
