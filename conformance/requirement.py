"""The catalogue: what a mesh is held to, one requirement a function, and the marker that declares it.

A suite function carries everything the catalogue knows about its requirement, so that the catalogue cannot
drift from what is run: the documentation, the selection on the command line and the reports all read it here.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from tabulate import tabulate

Function = TypeVar("Function", bound=Callable[..., object])

_ID = re.compile(r"[A-Z][A-Z0-9]*-\d{3}")
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?")


class Level(StrEnum):
    """How binding a requirement is; the letter is the one that catalogue and reports print."""

    MUST = "M"
    SHOULD = "S"
    BEHAVIOUR = "B"
    OPTIONAL = "O"
    AMBIGUOUS = "N"

    @property
    def meaning(self) -> str:
        """The level in words, for legends."""
        return _MEANINGS[self]

    @property
    def judged(self) -> bool:
        """Whether a mesh can fail a requirement of this level; the others are observed and recorded."""
        return self in {Level.MUST, Level.SHOULD, Level.BEHAVIOUR}

    @property
    def binding(self) -> bool:
        """Whether failing a requirement of this level makes a mesh nonconformant."""
        return self in {Level.MUST, Level.BEHAVIOUR}

    @classmethod
    def parse(cls, text: str) -> Level:
        """The level of a letter or a word (`M`, `must`), in any case; raises `UnknownLevel`."""
        wanted = text.strip().upper()
        for level in cls:
            if wanted in {level.value, level.name}:
                return level
        known = ", ".join(f"{level.value} ({level.name.lower()})" for level in cls)
        raise UnknownLevel(f"no requirement level is called {text.strip()!r}; use one of {known}")


_MEANINGS = {
    Level.MUST: "the text says must, always, will or required",
    Level.SHOULD: "the text says should or recommends",
    Level.BEHAVIOUR: "the text describes it as behaviour or in a worked example",
    Level.OPTIONAL: "the text leaves it to the implementation; observed, not judged",
    Level.AMBIGUOUS: "the text is ambiguous or silent; observed, not judged",
}


class CatalogueError(Exception):
    """The suites declare a requirement wrongly: the harness is at fault, never the mesh."""


class SelectionError(ValueError):
    """What the user asked to run does not exist; a usage error."""


class UnknownLevel(SelectionError):  # noqa: N818 - named for what was asked, as its sibling is
    """No level has this letter or name."""


class UnknownRequirement(SelectionError):  # noqa: N818 - as above
    """No requirement has this id or matches this pattern."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the catalogue.

    `versions` are the API versions that have the requirement, oldest first as declared. `section` points into
    the specification. `unjudged` says why a requirement of a judged level is only observed; it is empty else.
    `title` is the statement in a few words.
    """

    id: str
    level: Level
    api: str
    versions: tuple[str, ...]
    statement: str
    section: str = ""
    unjudged: str = ""
    title: str = ""

    @property
    def judged(self) -> bool:
        """Whether a mesh can pass or fail it, or whether it is only observed."""
        return self.level.judged and not self.unjudged

    @property
    def group(self) -> str:
        """The part of the id before the number: `SPLIT` of `SPLIT-003`."""
        return self.id.rpartition("-")[0]

    def applies_to(self, version: str) -> bool:
        """Whether that version of the API has this requirement."""
        return version in self.versions


def requirement(
    id: str,  # noqa: A002 - the catalogue's word
    *,
    level: str | Level,
    versions: Sequence[str],
    api: str,
    spec: str = "",
    unjudged: str = "",
) -> Callable[[Function], Function]:
    """Declare that a suite function checks the requirement `id`.

    The first paragraph of the function's docstring is the requirement's statement. The `Requirement` becomes the
    function's attribute `requirement` and the argument of its pytest mark of the same name. Levels O and N are
    never judged; `unjudged` gives the reason why a row of another level is not either.
    Raises `CatalogueError` when the declaration is incomplete or contradicts itself.
    """

    def declare(function: Function) -> Function:
        name = getattr(function, "__name__", repr(function))
        row = _row(name, id, level, versions, api, inspect.getdoc(function) or "", spec, unjudged)
        function.requirement = row  # type: ignore[attr-defined]
        marked: Function = pytest.mark.requirement(row)(function)
        return marked

    return declare


def _row(
    name: str,
    identifier: str,
    level: str | Level,
    versions: Sequence[str],
    api: str,
    documentation: str,
    spec: str,
    unjudged: str,
) -> Requirement:
    where = f"{identifier} ({name})"
    if not _ID.fullmatch(identifier):
        raise CatalogueError(f"{where}: an id is capitals, a hyphen and three digits, such as SPLIT-003")
    try:
        parsed = Level.parse(level)
    except UnknownLevel as error:
        raise CatalogueError(f"{where}: {error}") from None
    if isinstance(versions, str) or not versions or not all(_VERSION.fullmatch(v) for v in versions):
        raise CatalogueError(f"{where}: versions must be a sequence such as ('v1alpha4',), not {versions!r}")
    if len(set(versions)) != len(versions):
        raise CatalogueError(f"{where}: a version is named twice in {versions!r}")
    if not api:
        raise CatalogueError(f"{where}: name the API group, such as split.smi-spec.io")
    if unjudged and not parsed.judged:
        raise CatalogueError(f"{where}: level {parsed.value} is never judged; leave `unjudged` out")
    statement = " ".join(documentation.split("\n\n", maxsplit=1)[0].split())
    if not statement:
        raise CatalogueError(f"{where}: has no docstring; its first paragraph must state the requirement")
    title = name.removeprefix("test_").replace("_", " ")
    return Requirement(identifier, parsed, api, tuple(versions), statement, spec, unjudged, title)


def catalogue(directory: Path) -> tuple[Requirement, ...]:
    """All requirements that the suite files (`test_*.py`) under a directory declare, sorted by id.

    The files are executed as modules of their own, outside pytest's collection, so that the catalogue can be
    printed without fixtures or a cluster. Raises `CatalogueError` for a file that does not load, a requirement
    declared twice, and a directory without any.
    """
    return tuple(checks(directory))


def checks(directory: Path) -> dict[Requirement, Callable[..., object]]:
    """Return the suite function that checks each requirement, sorted by id. Raises as `catalogue` does."""
    found: dict[str, tuple[Requirement, Callable[..., object], str]] = {}
    for path in sorted(directory.rglob("test_*.py")):
        where = path.relative_to(directory).as_posix()
        for row, function in _declared(path, where):
            if row.id in found:
                raise CatalogueError(f"{row.id} is declared twice: in {found[row.id][2]} and in {where}")
            found[row.id] = (row, function, where)
    if not found:
        raise CatalogueError(f"no requirement is declared by any test_*.py under {directory}")
    return {row: function for _, (row, function, _) in sorted(found.items())}


def _declared(path: Path, where: str) -> list[tuple[Requirement, Callable[..., object]]]:
    module = _load(path, where)
    rows = []
    for value in vars(module).values():
        row = getattr(value, "requirement", None)
        # A function imported from another suite file is declared there, not here.
        if isinstance(row, Requirement) and getattr(value, "__module__", None) == module.__name__:
            rows.append((row, value))
    return rows


def _load(path: Path, where: str) -> ModuleType:
    name = "_catalogue_" + re.sub(r"\W", "_", where)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CatalogueError(f"{where} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    # Registered only while it loads: dataclasses look their module up, and pytest must later import its own.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except CatalogueError as error:
        raise CatalogueError(f"{where}: {error}") from error
    except Exception as error:
        raise CatalogueError(f"{where} does not load: {type(error).__name__}: {error}") from error
    finally:
        del sys.modules[name]
    return module


def select(
    catalogue: Iterable[Requirement],
    patterns: Iterable[str] = (),
    levels: Iterable[str | Level] = (),
) -> tuple[Requirement, ...]:
    """The requirements that match any of the patterns and any of the levels; none given means all.

    A pattern is an id or a glob (`SPLIT-00*`), in any case; patterns and levels may be comma lists.
    The result can be empty when pattern and level exclude each other: running it is then not a pass.
    Raises `UnknownRequirement` for a pattern that matches nothing, naming close matches, and `UnknownLevel`.
    """
    rows = tuple(catalogue)
    wanted = {Level.parse(item) for item in _items(levels)} or set(Level)
    globs = [item.upper() for item in _items(patterns)]
    for glob in globs:
        if not any(fnmatchcase(row.id, glob) for row in rows):
            raise UnknownRequirement(_unknown(glob, [row.id for row in rows]))
    return tuple(
        row for row in rows if row.level in wanted and (not globs or any(fnmatchcase(row.id, g) for g in globs))
    )


def _items(lists: Iterable[str]) -> list[str]:
    return [item.strip() for text in lists for item in text.split(",") if item.strip()]


def _unknown(pattern: str, known: list[str]) -> str:
    close = get_close_matches(pattern, known, n=3, cutoff=0.6)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    else:
        hint = f"its groups are {', '.join(sorted({name.rpartition('-')[0] for name in known})) or 'none'}."
    return f"no requirement matches {pattern!r}; {hint} `mesh-conformance requirements` lists all."


def to_markdown(catalogue: Iterable[Requirement]) -> str:
    """The catalogue as the page `docs/requirements.md`, one table per API group."""
    rows = tuple(catalogue)
    lines = [
        "# Requirements",
        "",
        "Generated by `mesh-conformance requirements --format markdown`; do not edit.",
        "",
        "| level | meaning |",
        "|---|---|",
        *(f"| {level.value} | {level.meaning} |" for level in Level),
    ]
    for api in sorted({row.api for row in rows}):
        lines += ["", f"## {api}", "", "| id | level | versions | requirement | section |", "|---|---|---|---|---|"]
        lines += [_markdown_row(row) for row in rows if row.api == api]
    return "\n".join(lines) + "\n"


def _markdown_row(row: Requirement) -> str:
    statement = row.statement
    if row.unjudged:
        statement += f" (Observed, not judged: {row.unjudged})"
    cells = (row.id, row.level.value, ", ".join(row.versions), statement, row.section)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_table(catalogue: Iterable[Requirement], *, width: int = 76) -> str:
    """The catalogue for the console; `width` is that of the statement's column, in characters."""
    rows = [
        (row.id, row.level.value, "yes" if row.judged else "no", _short(row.versions), row.statement)
        for row in catalogue
    ]
    headers = ("id", "level", "judged", "versions", "requirement")
    return tabulate(rows, headers=headers, maxcolwidths=[None, None, None, 16, width], tablefmt="simple")


def to_json(catalogue: Iterable[Requirement]) -> str:
    """The catalogue as a JSON list, for other tools; `unjudged` says why a row of a judged level is only observed."""
    rows = [
        {"id": row.id, "level": row.level.value, "judged": row.judged, "api": row.api, "versions": row.versions,
         "title": row.title, "requirement": row.statement, "section": row.section, "unjudged": row.unjudged}
        for row in catalogue
    ]  # fmt: skip
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _short(versions: Sequence[str]) -> str:
    """`v1alpha1,2,3` for versions of one stage, so that a row of the console is not four lines high."""
    stages = {version.rstrip("0123456789") for version in versions}
    if len(stages) > 1:
        return ", ".join(versions)
    stage = stages.pop()
    return stage + ",".join(version.removeprefix(stage) for version in versions)
