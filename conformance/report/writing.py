"""What a writer of a report is, and what it may fail with."""

from __future__ import annotations

import errno
from typing import Protocol

from conformance.outcome import Result
from conformance.report.model import Footer, Header

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another directory with --report-dir",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another directory with --report-dir",
    errno.EACCES: "permission denied; choose a directory of your own with --report-dir",
    errno.EPERM: "permission denied; choose a directory of your own with --report-dir",
    errno.EROFS: "the file system is read-only; choose another directory with --report-dir",
    errno.ENOTDIR: "a part of the path is a file; choose another directory with --report-dir",
    errno.EEXIST: "it is a file; choose another directory with --report-dir",
    errno.EISDIR: "a directory stands where the file has to go; remove it or choose another directory",
    errno.ENAMETOOLONG: "the name is too long; choose another directory with --report-dir",
}


class ReportError(Exception):
    """A report cannot be written; the message says which, why, and what to do."""

    @classmethod
    def of(cls, doing: str, error: OSError) -> ReportError:
        """The error that says what was being done when the operating system refused, and what to do next."""
        why = _ADVICE.get(error.errno or 0, f"{error.strerror or error}; choose another directory with --report-dir")
        return cls(f"{doing}: {why}")


class Writer(Protocol):
    """Takes a run as a stream of events and makes one form of report of it.

    What arrives is already clean (see `hygiene`). A writer may raise `OSError`: it is turned into a `ReportError`
    by who calls it, which is always `writers.Writers`.
    """

    @property
    def target(self) -> str:
        """What it writes to, for messages."""

    def start(self, header: Header) -> None:
        """Take the header: the run begins."""

    def result(self, result: Result) -> None:
        """Take one result, in the order in which they end."""

    def finish(self, footer: Footer) -> None:
        """Take the footer: the run has ended."""
