"""Files of others as trees in which every value knows its place: the line in YAML, the path in JSON.

What a hostile file could do is bounded here: its size, how deep it goes, and how much its aliases multiply.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

import yaml

MOST_BYTES: Final = 1 << 20
_MOST_VALUES: Final = 200_000
_DEEPEST: Final = 40
_MERGE: Final = "tag:yaml.org,2002:merge"
_TAGS: Final = {f"tag:yaml.org,2002:{name}"
                for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")}

Scalar = str | int | float | bool | None


class DocumentError(Exception):
    """A file cannot be read, or is neither YAML nor JSON; the message says where it stops being so."""


@dataclass(frozen=True)
class Item:
    """A value and its place. `line` counts from 1 and is None in JSON; `path` is such as `clients[0].rps`.

    `repeated` are the keys that a mapping gives more than once, as items of their places. `text` is how a number, a
    truth value or a moment was written.
    """

    value: Scalar | tuple[Item, ...] | Mapping[str, Item]
    path: str
    line: int | None = None
    repeated: tuple[Item, ...] = ()
    text: str = ""

    @property
    def place(self) -> str:
        """The place as people look it up."""
        path = self.path or "the top level"
        return f"line {self.line}: {path}" if self.line else path

    @property
    def members(self) -> Mapping[str, Item]:
        """The members of a mapping; none of anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def elements(self) -> tuple[Item, ...]:
        """The elements of a list; none of anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def shown(self) -> str:
        """What was found, short enough for a message."""
        if isinstance(self.value, Mapping):
            return "a mapping"
        if isinstance(self.value, tuple):
            return "a list"
        if isinstance(self.value, str):
            return f"the text {self.value!r}" if len(self.value) <= 40 else f"the text {self.value[:40]!r}…"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return f"the number {(self.text or str(self.value))[:40]}"


def load(file: Path) -> Item:
    """Read a file of YAML or JSON. Raises DocumentError."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise DocumentError(f"{file} is larger than {MOST_BYTES >> 20} MiB: no SMP file is; was another file meant?")
    try:
        return parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file} is not UTF-8 text: byte {error.start}") from None
    except DocumentError as error:
        raise DocumentError(f"{file}: {error}") from None


def parse(text: str) -> Item:
    """Read YAML or JSON. Raises DocumentError."""
    if not text.strip():
        raise DocumentError("it is empty")
    try:
        return _json(text) if text.lstrip()[:1] in {"{", "["} else _yaml(text)
    except RecursionError:
        raise DocumentError(f"it goes deeper than {_DEEPEST} levels") from None


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, those that are repeated as well."""


def _json(text: str) -> Item:
    try:
        data = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        try:
            return _yaml(text)  # YAML's own notation of mappings and lists begins with the same characters
        except DocumentError:
            where = f"line {error.lineno}, column {error.colno}"
            raise DocumentError(f"{where}: neither JSON nor YAML: {error.msg}") from None
    except ValueError as error:  # digits without end
        raise DocumentError(f"not readable as JSON: {error}") from None
    return _of_json(data, "", 0, Bounds())


class Bounds:
    """Counts the values of a file, and stops at too many of them or too deep."""

    def __init__(self) -> None:
        self._count = 0

    def check(self, path: str, depth: int) -> None:
        """Count one. Raises DocumentError."""
        self._count += 1
        if depth > _DEEPEST:
            raise DocumentError(f"{path[:80]}…: it goes deeper than {_DEEPEST} levels")
        if self._count > _MOST_VALUES:
            raise DocumentError(f"it has more than {_MOST_VALUES} values")


def _of_json(data: Any, path: str, depth: int, bounds: Bounds) -> Item:
    bounds.check(path, depth)
    if isinstance(data, _Pairs):
        found = [(key, _of_json(value, _member(path, key), depth + 1, bounds)) for key, value in data]
        members = dict(found)
        return Item(members, path, repeated=tuple(item for key, item in found if members[key] is not item))
    if isinstance(data, list):
        elements = enumerate(data)
        return Item(tuple(_of_json(one, f"{path}[{place}]", depth + 1, bounds) for place, one in elements), path)
    return Item(data, path)


def _member(path: str, key: str) -> str:
    shown = key if len(key) <= 60 else f"{key[:60]}…"
    return f"{path}.{shown}" if path else shown


def _yaml(text: str) -> Item:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise DocumentError("it holds nothing but comments")
        return _of_yaml(node, "", 0, Bounds(), loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"not YAML: {str(error).partition(chr(10))[0]}") from None


def _of_yaml(node: yaml.Node, path: str, depth: int, bounds: Bounds, loader: yaml.SafeLoader) -> Item:
    bounds.check(path, depth)
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise DocumentError(f"line {line}: {path or 'the top level'}: the YAML tag {node.tag} is not understood here")
    if isinstance(node, yaml.SequenceNode):
        return Item(tuple(_of_yaml(one, f"{path}[{place}]", depth + 1, bounds, loader)
                          for place, one in enumerate(node.value)), path, line)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, depth, bounds, loader)
    if node.tag.endswith((":str", ":timestamp")):
        return Item(node.value, path, line)  # a moment is text for SMP, and YAML's idea of it loses the nanoseconds
    return Item(_scalar(node, loader), path, line, text=node.value)


def _scalar(node: yaml.Node, loader: yaml.SafeLoader) -> Scalar:
    value: Any = loader.construct_object(node)
    return value if isinstance(value, int | float | bool) else None


def _mapping(node: yaml.MappingNode, path: str, depth: int, bounds: Bounds, loader: yaml.SafeLoader) -> Item:
    members: dict[str, Item] = {}
    merged: dict[str, Item] = {}
    repeated = []
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise DocumentError(f"line {key_node.start_mark.line + 1}: {path or 'the top level'}: a key must be text")
        value = _of_yaml(value_node, _member(path, key_node.value), depth + 1, bounds, loader)
        place = Item(value.value, value.path, key_node.start_mark.line + 1, value.repeated, value.text)
        if key_node.tag == _MERGE:
            for one in value.elements or (value,):
                merged = {**one.members, **merged}
        elif key_node.value in members:
            repeated.append(place)
        else:
            members[key_node.value] = place
    return Item({**merged, **members}, path, node.start_mark.line + 1, tuple(repeated))


def every(item: Item) -> Iterator[Item]:
    """Give an item and all that is in it."""
    yield item
    for one in (*item.elements, *item.members.values()):
        yield from every(one)


def is_finite(value: object) -> TypeGuard[int | float]:
    """Tell whether a value is a number, and neither infinite nor nan."""
    # A comparison, because math.isfinite() fails for a whole number that no float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
