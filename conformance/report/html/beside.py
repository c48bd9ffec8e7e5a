"""The performance record that may stand beside a conformance record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conformance.performance import record
from conformance.performance.model import Run

_PERFORMANCE: Final = (Path("performance") / "performance.json", Path("performance.json"))
"""Where a performance run leaves its record below a report directory, and where one is published."""


def performance_of(name: str) -> tuple[Run, ...]:
    """The performance run beside the record of that name: a file, a directory with one, or `-`, which has none."""
    path = Path(name)
    return () if name == "-" else performance_beside(path if path.is_dir() else path.parent)


def performance_beside(directory: Path) -> tuple[Run, ...]:
    """The performance run whose record stands in a report directory; none where there is none that can be read.

    A page about conformance is not withheld for what is wrong with another record: `mesh-conformance perf` says that.
    """
    try:
        file = file_of(directory)
        return (record.read(file),) if file else ()
    except (OSError, record.RecordError):
        return ()


def file_of(directory: Path) -> Path | None:
    """The file of the performance record in a report directory, None where there is none."""
    return next((directory / place for place in _PERFORMANCE if (directory / place).is_file()), None)
