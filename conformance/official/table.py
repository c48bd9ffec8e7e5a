"""Which requirements of ours and which tests of the official suite judge the same thing, as `pairs.yaml` has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from conformance import described
from conformance.official.errors import OfficialError

FILE: Final = Path(__file__).parent / "pairs.yaml"


class Scope(StrEnum):
    """How much of what our requirement asks for the official test asks for as well."""

    SAME = "same"
    PART = "part"
    """Less: what fails ours may pass theirs, and neither is wrong."""


@dataclass(frozen=True)
class Pair:
    """A requirement and the test that judges the same; `parts` are those of its subtests that do, all without any.

    `note` says how the two differ.
    """

    requirement: str
    test: str
    scope: Scope
    parts: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Pairs:
    """The pairs, and the version of the Gateway API whose tests they name."""

    api: str
    pairs: tuple[Pair, ...]


@cache
def pairs() -> Pairs:
    """Return the table. Raises OfficialError when it is not what its schema says."""
    return read(FILE)


def read(file: Path) -> Pairs:
    """Read and validate a table. Raises OfficialError, naming the file and the field."""
    data = described.read(file, "official-pairs.json", OfficialError)
    counted = Counter((entry["requirement"], entry["test"]) for entry in data["pairs"])
    for (requirement, test), number in counted.items():
        if number > 1:
            raise OfficialError(f"{file}: {requirement} and {test} are a pair {number} times")
    return Pairs(data["api"], tuple(
        Pair(entry["requirement"], entry["test"], Scope(entry["scope"]), tuple(entry.get("parts", ())), entry["note"])
        for entry in data["pairs"]
    ))
