"""The report as one HTML file, `report.html`: see `conformance.report.html`."""

from __future__ import annotations

from pathlib import Path

from conformance.report.collecting import Collecting
from conformance.report.model import Report
from conformance.writing import write_whole


class Page(Collecting):
    """Writes `report.html` when the run has ended."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._path)

    def write(self, report: Report) -> None:
        """Write the page, with the performance run whose record stands beside it."""
        # Templates and pictures take a while to import, and a run that ends early needs none.
        from conformance.report.html import page, performance_beside  # noqa: PLC0415

        write_whole(self._path, page(report, performance_beside(self._path.parent)))
