"""The record itself, `report.jsonl`: all else is derived from it."""

from __future__ import annotations

from pathlib import Path

from conformance.outcome import Result
from conformance.report.codec import encode
from conformance.report.model import Footer, Header


class JsonLines:
    """Writes each line when its event comes, so that a killed run leaves what it found, without a footer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def target(self) -> str:
        """What it writes to, for messages."""
        return str(self._path)

    def start(self, header: Header) -> None:
        """Begin the file with the header; an earlier record of the same name is replaced."""
        self._path.write_bytes(encode(header))

    def result(self, result: Result) -> None:
        """Append a result."""
        self._append(encode(result))

    def finish(self, footer: Footer) -> None:
        """Append the footer: from here on the record is complete."""
        self._append(encode(footer))

    def _append(self, line: bytes) -> None:
        # Opened for each line: no handle is left to a run that ends anywhere, and a full disk shows at its line.
        with self._path.open("ab") as stream:
            stream.write(line)
