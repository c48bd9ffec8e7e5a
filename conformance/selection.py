"""The suites of requirements, and which of them a run is about."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from conformance import paths
from conformance.requirement import Requirement, SelectionError, catalogue

SMI: Final = "smi"
GATEWAY: Final = "gateway"
SUITES: Final = (SMI, GATEWAY)
"""Folders below the suites' own, in the order in which they are looked through."""


def rows(suites: Sequence[str]) -> tuple[Requirement, ...]:
    """Return the requirements of these suites, sorted by id. Raises CatalogueError."""
    return tuple(sorted((row for suite in suites for row in catalogue(paths.suites() / suite)), key=lambda row: row.id))


def chosen(named: Sequence[str], patterns: Sequence[str] = (), tests: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the suites of a run: those named, else those of the tests that pytest was given, else of the patterns.

    Without any it is the suite of SMI. A pattern is looked for in that suite first. Raises SelectionError for a name
    that no suite has.
    """
    unknown = [name for name in named if name not in SUITES]
    if unknown:
        raise SelectionError(f"there is no suite {unknown[0]!r}; use {' or '.join(SUITES)}")
    return tuple(dict.fromkeys(named)) or _of_tests(tests) or _of_patterns(patterns) or (SMI,)


def _of_tests(tests: Sequence[str]) -> tuple[str, ...]:
    """Return the suites in which files or folders are that pytest was given."""
    home = paths.suites().resolve()
    found: set[str] = set()
    for test in tests:
        path = Path(test.partition("::")[0]).resolve()
        if path == home:
            found.update(SUITES)
        elif path.is_relative_to(home):
            found.add(path.relative_to(home).parts[0])
    return tuple(suite for suite in SUITES if suite in found)


def _of_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    wanted = [pattern.strip().upper() for pattern in patterns]
    if not wanted:
        return ()
    found: set[str] = set()
    for suite in (suite for suite in SUITES if (paths.suites() / suite).is_dir()):
        ids = [row.id for row in catalogue(paths.suites() / suite)]
        here = [pattern for pattern in wanted if any(fnmatchcase(name, pattern) for name in ids)]
        found.update([suite] if here else ())
        wanted = [pattern for pattern in wanted if pattern not in here]
        if not wanted:
            break
    return tuple(suite for suite in SUITES if suite in found)
