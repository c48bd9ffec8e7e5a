"""One run at a time writes into a report directory: two would leave a mixture that looks like a report."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from conformance.report.writing import ReportError


class DirectoryLock:
    """The right to write into a directory, until `release` or the end of the process, however it ends.

    It is the operating system's lock on the directory itself: no file is left that would have to be removed after a run
    that was killed.
    """

    def __init__(self, directory: Path) -> None:
        """Make the directory if need be. Raises ReportError, also when another run is writing there."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ReportError.of(f"the report directory {directory} cannot be written to", error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise ReportError(f"the report directory {directory} is in use by another run; wait until it has ended, or "
                              "choose another directory with --report-dir") from None
        except OSError:
            pass  # a file system without locks, such as some network ones: as good as it gets

    def release(self) -> None:
        """Let others write there. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
