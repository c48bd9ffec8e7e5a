"""The performance record that may stand beside a conformance record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conformance.performance import record
from conformance.performance.model import Run

_PERFORMANCE: Final = Path("performance") / "performance.json"
"""Where, below a report directory, a performance run leaves its record."""


def performance_of(name: str) -> tuple[Run, ...]:
    """The performance run beside the record of that name: a file, a directory with one, or `-`, which has none."""
    path = Path(name)
    return () if name == "-" else performance_beside(path if path.is_dir() else path.parent)


def performance_beside(directory: Path) -> tuple[Run, ...]:
    """The performance run whose record stands in a report directory; none where there is none that can be read.

    A page about conformance is not withheld for what is wrong with another record: `mesh-conformance perf` says that.
    """
    file = directory / _PERFORMANCE
    try:
        return (record.read(file),) if file.is_file() else ()
    except (OSError, record.RecordError):
        return ()
