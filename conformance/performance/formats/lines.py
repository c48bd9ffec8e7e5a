"""Text of other tools, untrusted: lines that must be there, each fault with its number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from conformance.performance.formats.foreign import FormatError
from conformance.performance.formats.quantities import duration

LONGEST: Final = 10_000
"""Characters that a line may have; the longest of any tool holds a URL."""
SUMMARY: Final = 10_000
"""Lines that a text which is no log may have."""


class Lines:
    """The lines of a tool's text, `most` of them or, for a log, any number; all raise FormatError with the line."""

    def __init__(self, tool: str, text: str, most: int | None = SUMMARY) -> None:
        self.tool = tool
        self.ended = text.endswith("\n")
        self.lines: Sequence[str] = text.splitlines()
        if most is not None and len(self.lines) > most:
            raise FormatError(tool, f"line {most + 1}", f"at most {most} lines", str(len(self.lines)))
        for number, line in enumerate(self.lines, 1):
            if len(line) > LONGEST:
                raise FormatError(tool, f"line {number}", f"at most {LONGEST} characters", str(len(line)))

    def find(self, pattern: str, after: int = 0) -> tuple[int, re.Match[str]] | None:
        """Return the first line (counted from 0) that fully matches, and the match; None where there is none."""
        return next(self.all(pattern, after), None)

    def all(self, pattern: str, after: int = 0) -> Iterator[tuple[int, re.Match[str]]]:
        """Give every line that fully matches."""
        compiled = re.compile(pattern, re.ASCII)
        for index in range(after, len(self.lines)):
            if match := compiled.fullmatch(self.lines[index]):
                yield index, match

    def need(self, pattern: str, what: str, after: int = 0) -> tuple[int, re.Match[str]]:
        """Return the first line that fully matches; `what` says what it is."""
        if found := self.find(pattern, after):
            return found
        raise FormatError(self.tool, f"line {len(self.lines)}, the end", what, "no such line",
                          "the text is truncated or was edited")

    def refuse(self, index: int, expected: str) -> NoReturn:
        """Raise FormatError about a line, counted from 0."""
        raise FormatError(self.tool, f"line {index + 1}", expected, f"{self.lines[index]!r:.80}")

    def time(self, index: int, text: str) -> tuple[float, float]:
        """Return a duration in seconds and the value of its last digit."""
        try:
            return duration(text)
        except ValueError:
            self.refuse(index, f"a duration such as 1.20ms, not {text!r:.40}")
