"""What there is of a record, case by case, in little memory: an outcome is a byte, whatever the record's size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from conformance.outcome import Case, Outcome

_BLOCK: Final = 64
"""Kinds of cases that share a block; a mesh has a result for most of what it is held to, and so fills its blocks."""

MAX_BLOCKS: Final = 300_000
"""How many blocks are kept: a million results of real meshes take some 20,000, and all of these some 60 MB."""

MAX_KINDS: Final = 100_000
"""How many pairs of a requirement and a version of its API there may be in a record."""

_OUTCOMES: Final = tuple(Outcome)
_CODES: Final = {outcome: number for number, outcome in enumerate(_OUTCOMES, 1)}
_SEEN: Final = 0x80


class Kind(NamedTuple):
    """What a case is on any mesh."""

    api: str
    version: str
    requirement: str


class TooManyError(Exception):
    """There are more cases, or they are strewn wider, than is kept."""


class Cases:
    """The outcome of each case. Raises `TooManyError` where it would outgrow its bounds."""

    def __init__(self) -> None:
        self.meshes: dict[str, int] = {}
        self.kinds: dict[tuple[str, str, str], int] = {}
        self._blocks: dict[int, bytearray] = {}
        self.size = 0

    def put(self, mesh: str, kind: tuple[str, str, str], outcome: Outcome) -> bool:
        """Take in an outcome; `kind` is API, version and requirement. False, and nothing changed, if there is one."""
        return self.put_at(self.row(mesh), self.number(kind), outcome)

    def number(self, kind: tuple[str, str, str]) -> int:
        """The number of a kind of case, for `put_at`; a new one for a new kind."""
        number = self.kinds.get(kind)
        if number is None:
            if len(self.kinds) >= MAX_KINDS:
                raise TooManyError(f"more than {MAX_KINDS} requirements and versions of APIs")
            number = self.kinds[kind] = len(self.kinds)
        return number

    def row(self, mesh: str) -> int:
        """The number of a mesh, for `put_at`; a new one for a new mesh."""
        return self.meshes.setdefault(mesh, len(self.meshes))

    def put_at(self, row: int, number: int, outcome: Outcome) -> bool:
        """Take in an outcome as `put` does, of a mesh and a kind of case that have been numbered."""
        key = (row << 24) + number // _BLOCK
        block = self._blocks.get(key)
        if block is None:
            if len(self._blocks) >= MAX_BLOCKS:
                raise TooManyError("results strewn over too many meshes and requirements; split the record")
            block = self._blocks[key] = bytearray(_BLOCK)
        at = number % _BLOCK
        if block[at]:
            return False
        block[at] = _CODES[outcome]
        self.size += 1
        return True

    def get(self, mesh: str, kind: tuple[str, str, str]) -> Outcome | None:
        """The outcome of a case, `None` where there is no result."""
        found = self._find(mesh, kind)
        code = found[0][found[1]] & ~_SEEN if found else 0
        return _OUTCOMES[code - 1] if code else None

    def take(self, mesh: str, kind: tuple[str, str, str]) -> Outcome | None:
        """The outcome of a case as `get` gives it, but only once: `rest` no longer has it."""
        found = self._find(mesh, kind)
        code = found[0][found[1]] if found else 0
        if found is None or not code or code & _SEEN:
            return None
        found[0][found[1]] = code | _SEEN
        return _OUTCOMES[code - 1]

    def rest(self) -> Iterator[tuple[Case, Outcome]]:
        """What was not taken, by mesh and kind as they came."""
        kinds = [Kind(*kind) for kind in self.kinds]
        for mesh, row in self.meshes.items():
            for first in range(0, len(kinds), _BLOCK):
                block = self._blocks.get((row << 24) + first // _BLOCK, b"")
                for at, code in enumerate(block):
                    if code and not code & _SEEN:
                        kind = kinds[first + at]
                        yield Case(mesh, kind.api, kind.version, kind.requirement), _OUTCOMES[code - 1]

    def groups(self) -> set[tuple[str, str, str]]:
        """Each mesh with the API groups and versions that it has results for."""
        kinds = list(self.kinds)
        found: set[tuple[int, str, str]] = set()
        for key, block in self._blocks.items():
            first = (key & 0xFFFFFF) * _BLOCK
            row = key >> 24
            found.update((row, *kinds[first + at][:2]) for at, code in enumerate(block) if code)
        names = list(self.meshes)
        return {(names[row], api, version) for row, api, version in found}

    def _find(self, mesh: str, kind: tuple[str, str, str]) -> tuple[bytearray, int] | None:
        number, row = self.kinds.get(kind), self.meshes.get(mesh)
        if number is None or row is None:
            return None
        block = self._blocks.get((row << 24) + number // _BLOCK)
        return None if block is None else (block, number % _BLOCK)
