"""Known failures: which list holds for a run, and what of it holds for the version of the mesh that was found.

A listed requirement is judged as any other. Only what is said of it differs: a failure is shown as known and does not
fail the run, a pass means that the list is stale and does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from conformance import mesh as meshes
from conformance import paths
from conformance.mesh import KnownFailure, MeshError
from conformance.mesh.description import KNOWN_FAILING, known_failing
from conformance.options import Settings
from conformance.outcome import Known
from conformance.requirement import Requirement, UnknownRequirement, select

_NUMBER: Final = re.compile(r"(?P<channel>[A-Za-z]*)[-_]?(?P<numbers>\d+(?:\.\d+)*)(?P<rest>.*)")
_PRERELEASE: Final = re.compile(r"[-_.]?(alpha|beta|rc|pre|dev|a|b)(?![a-z])", re.IGNORECASE)


def check(settings: Settings, catalogue: Callable[[], Iterable[Requirement]]) -> None:
    """Make sure that every list of a run names requirements that there are and that can fail.

    The catalogue is asked for only where a list has something on it.
    Raises MeshError, which names the list, and what reading a list raises.
    """
    rows: dict[str, Requirement] = {}
    for name in settings.meshes:
        entries = listed(settings, name)
        rows = rows or ({row.id: row for row in catalogue()} if entries else {})
        for entry in entries:
            try:
                select(rows.values(), [entry.requirement])
            except UnknownRequirement as error:
                raise MeshError(f"{place(settings, name)}: {error}") from None
            if not rows[entry.requirement].judged:
                raise MeshError(f"{place(settings, name)}: {entry.requirement} is observed and never judged: it cannot "
                                "fail; take it out")


def listed(settings: Settings, name: str) -> tuple[KnownFailure, ...]:
    """Return the list of known failures that a run uses for a mesh. Raises MeshError."""
    if settings.known_failing is not None:
        return _read(settings.known_failing)
    return meshes.load(name).known_failing


def place(settings: Settings, name: str) -> str:
    """Return the file in which the list of a mesh stands, as a report may name it: without a machine's directories."""
    if settings.known_failing is not None:
        return settings.known_failing.name
    directory = meshes.load(name).directory
    home = paths.fixtures()
    if directory.is_relative_to(home):
        return f"fixtures/{directory.relative_to(home).as_posix()}/{KNOWN_FAILING}"
    return f"{directory.name}/{KNOWN_FAILING}"


def find(settings: Settings, name: str, requirement: str, version: str) -> Known | None:
    """Return what the list says of a requirement on a version of the mesh; None when it does not hold for that one.

    Raises MeshError.
    """
    for entry in listed(settings, name):
        if entry.requirement == requirement and not older(version, entry.since):
            return Known(entry.reason, entry.link, entry.since)
    return None


def older(version: str, since: str) -> bool:
    """Whether a version is known to come before another. Tags of which that cannot be told (`latest`) do not.

    Tags of two channels (`edge-24.2.1`, `stable-2.14.10`) are numbered apart: neither comes before the other.
    """
    one, other = _parts(version), _parts(since)
    if one is None or other is None or one[0] != other[0]:
        return False
    return one[1:] < other[1:]


def _parts(version: str) -> tuple[str, tuple[int, ...], int] | None:
    found = _NUMBER.fullmatch(version.strip())
    if found is None or len(found["numbers"]) > 60:
        return None
    numbers = [int(number) for number in found["numbers"].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()  # 1.2 is 1.2.0
    channel = found["channel"].lower()
    final = 0 if _PRERELEASE.match(found["rest"]) else 1
    return "" if channel == "v" else channel, tuple(numbers), final


@cache
def _read(file: Path) -> tuple[KnownFailure, ...]:
    if not file.is_file():
        raise MeshError(f"--known-failing {file}: there is no such file")
    return known_failing(file)
