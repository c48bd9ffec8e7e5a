"""What stands in the record of a run: its header, its footer, and between them the results."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.outcome import Outcome, Result
from conformance.requirement import Level
from conformance.verdict import Verdict

SCHEMA = 1
"""The version of the record that is written, and the only one that is read."""


@dataclass(frozen=True, slots=True)
class Component:
    """A piece of software and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class MeshUnderTest:
    """A mesh as it was found; `proxy` is `None` for a mesh without one.

    `policy` says whether it denies by default; it is empty where the mesh does not implement TrafficTarget.
    """

    name: str
    version: str
    proxy: Component | None = None
    policy: str = ""


def environment() -> dict[str, str]:
    """Where the harness runs: Python's version, operating system and architecture, nothing that names a machine."""
    return {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}


def now(ago: float = 0.0) -> str:
    """The present, or `ago` seconds before it, as a record writes it: ISO 8601 in UTC, to the millisecond."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Described:
    """A requirement as a record explains it; `versions` are those of the API that have it."""

    title: str
    statement: str
    spec: str
    level: Level
    api: str
    versions: tuple[str, ...] = ()
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the meshes were held to: the selected requirements by id, and the digest of all, selected or not.

    Records with the same digest were judged by the same requirements. It is empty where nobody knows it, as in a record
    that was combined from records of catalogues that do not agree, or of parts of several.
    """

    digest: str = ""
    requirements: Mapping[str, Described] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """What a run was about to do, and with what.

    `apis` maps each API group to the versions that the cluster serves, `selected` are requirement ids,
    `command` repeats the run. `started` is ISO 8601 in UTC. `snapshot` is what was in the cluster, `None` where nobody
    looked. `parts` are the headers of the records that a combined one was made of; a run has none, a part neither.
    """

    harness: Component
    started: str
    command: str
    seed: int
    kubernetes: str
    meshes: tuple[MeshUnderTest, ...]
    apis: Mapping[str, tuple[str, ...]]
    selected: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=environment)
    catalogue: Catalogue = field(default_factory=Catalogue)
    snapshot: Mapping[str, Any] | None = None
    parts: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Footer:
    """How a run ended. `duration` is in seconds, `counts` by outcome over all results."""

    finished: str
    duration: float
    counts: Mapping[Outcome, int]
    verdicts: tuple[Verdict, ...]
    exit_code: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A whole record."""

    header: Header
    results: tuple[Result, ...]
    footer: Footer


def count(results: Iterable[Result]) -> dict[Outcome, int]:
    """How many results there are of each outcome, in the order of the vocabulary; absent ones are left out."""
    counts = Counter(result.outcome for result in results)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}
