"""The shape of the matrix: which row, column and cell each result of a report belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from conformance.outcome import Outcome, Result
from conformance.report import rows
from conformance.report.html.marks import NOTHING, Mark, mark_of
from conformance.report.model import Described, Report
from conformance.requirement import Level

_TROUBLE = frozenset({Outcome.FAILED, Outcome.KNOWN_FAILURE, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Entry:
    """One result in its cell. `number` is its place among all entries, `key` its address in the page."""

    number: int
    key: str
    result: Result
    mark: Mark
    version: str

    @property
    def trouble(self) -> bool:
        """Whether there is an account of it to read: of a violation, an error, or a stale entry among known ones."""
        return self.result.outcome in _TROUBLE or self.result.stale

    @property
    def note(self) -> str:
        """What to remark on it in one line."""
        return rows.one_line(rows.note(self.result), 160)


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one requirement on one mesh; `missing` where it was to run and did not."""

    entries: tuple[Entry, ...]
    missing: Mark | None


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement. `failing`: on some mesh violated, in error or without a result; `disagreement`: see `differ`."""

    requirement: str
    level: Level | None
    title: str
    statement: str
    spec: str
    cells: tuple[Cell, ...]
    failing: bool
    disagreement: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The requirements of one API group."""

    api: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it: columns are meshes in the order of the header."""

    meshes: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def entries(self) -> list[Entry]:
        """All entries, row by row."""
        return [entry for group in self.groups for row in group.rows for cell in row.cells for entry in cell.entries]

    @property
    def size(self) -> int:
        """How many requirements there are."""
        return sum(len(group.rows) for group in self.groups)


def differ(results: Sequence[Result]) -> bool:
    """Whether of the meshes that were held to a requirement some passed and some did not."""
    judgements = [result.outcome.failing for result in results if result.outcome.judgement]
    return len(set(judgements)) > 1


def build(report: Report) -> Matrix:
    """The matrix of a report. A requirement that was selected and has no result has a row as well."""
    header = report.header
    meshes = tuple(dict.fromkeys([*(mesh.name for mesh in header.meshes), *(r.mesh for r in report.results)]))
    found: dict[str, list[Result]] = defaultdict(list)
    for result in report.results:
        found[result.requirement].append(result)
    described = header.catalogue.requirements
    apis = {requirement: results[0].api for requirement, results in found.items()}
    apis |= {one: described[one].api if one in described else "" for one in header.selected if one not in found}
    grouped: dict[str, list[Row]] = defaultdict(list)
    numbers = count()
    for requirement in sorted(apis, key=lambda one: (apis[one], one)):
        row = _row(requirement, found.get(requirement, []), meshes, described.get(requirement), numbers)
        grouped[apis[requirement]].append(row)
    return Matrix(meshes, tuple(Group(api, tuple(rows)) for api, rows in grouped.items()))


def _row(
    requirement: str, results: Sequence[Result], meshes: Sequence[str], about: Described | None, numbers: Iterator[int],
) -> Row:
    level = results[0].level if results else about.level if about else None
    cells = tuple(_cell([result for result in results if result.mesh == mesh], numbers) for mesh in meshes)
    return Row(
        requirement=requirement, level=level, title=about.title if about else "",
        statement=about.statement if about else "", spec=about.spec if about else "", cells=cells,
        failing=any(cell.missing or any(entry.trouble for entry in cell.entries) for cell in cells),
        disagreement=differ(results),
    )


def _cell(results: Sequence[Result], numbers: Iterator[int]) -> Cell:
    """The results of one requirement on one mesh: several where the API is served in several versions."""
    several = len(results) > 1
    entries = tuple(
        Entry(next(numbers), _key(result, several=several), result, mark_of(result), result.version if several else "")
        for result in results
    )
    return Cell(entries, None if entries else NOTHING)


def _key(result: Result, *, several: bool) -> str:
    parts = [result.requirement, result.mesh, *([result.version] if several else [])]
    return "/".join(parts)
