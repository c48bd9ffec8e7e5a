"""Sets of fields, and their FieldsV1 form in `metadata.managedFields`.

A path is a tuple of elements in FieldsV1 notation: `f:name` for a field, `k:{"name":"x"}` for an item of a keyed
list, `v:"x"` for a member of a set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance.sandbox.apiserver.shapes import KEY_DEFAULTS, Shape, identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.sandbox.apiserver.objects import JSON

Path: TypeAlias = tuple[str, ...]

PRESENT: Final = object()
"""The value of a path that says only that an item is there."""

_UNOWNED = frozenset(
    {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "name",
     "namespace", "resourceVersion", "selfLink", "uid"}
)  # fmt: skip


def leaves(obj: JSON, shape: Shape, *, ignore: frozenset[str] = frozenset()) -> dict[Path, Any]:
    """Every field of an object that can be owned, with its value. `ignore` names top-level fields to leave out."""
    found: dict[Path, Any] = {}
    for field, value in obj.items():
        if field in ("apiVersion", "kind") or field in ignore:
            continue
        if field == "metadata":
            owned = {name: item for name, item in (value or {}).items() if name not in _UNOWNED}
            if owned:
                _collect(owned, shape.child(field), ("f:metadata",), found)
        else:
            _collect(value, shape.child(field), (f"f:{field}",), found)
    return found


def _collect(value: Any, shape: Shape, path: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and not shape.atomic:
        for field, item in value.items():
            _collect(item, shape.child(field), (*path, f"f:{field}"), found)
        return
    if isinstance(value, list) and value:
        if shape.set:
            for item in value:
                found[*path, "v:" + _compact(item)] = PRESENT
            return
        keys = [identity(item, shape.keys) for item in value]
        if all(key is not None for key in keys):
            for key, item in zip(keys, value, strict=True):
                here = (*path, "k:" + _compact(key))
                found[here] = PRESENT
                for field, part in item.items():
                    _collect(part, shape.child(field), (*here, f"f:{field}"), found)
            return
    found[path] = value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def encode(paths: Iterable[Path]) -> JSON:
    """The FieldsV1 form."""
    root: JSON = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _folded(root)


def _folded(node: JSON) -> JSON:
    """FieldsV1 leaves the dot out where nothing else stands beside it."""
    return {
        element: {} if list(child) == ["."] or element == "." else _folded(child) for element, child in node.items()
    }


def decode(fields: Any) -> set[Path]:
    """The paths in a FieldsV1; raises ValueError when it is none."""
    found: set[Path] = set()

    def walk(node: Any, path: Path) -> None:
        if not isinstance(node, dict):
            raise ValueError(  # noqa: TRY004 - wrong data, not a wrong call
                f"FieldsV1 is made of maps, found {node!r}"
            )
        if not node and path:
            found.add(path)
        for element, child in node.items():
            if element == ".":
                found.add(path)
            else:
                walk(child, (*path, element))

    walk(fields, ())
    return found


def dotted(path: Path) -> str:
    """A path as people read it: `.spec.containers[name="a"].image`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            pairs = json.loads(rest)
            text += "[" + ",".join(f"{key}={_compact(value)}" for key, value in pairs.items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def is_key(path: Path) -> bool:
    """Whether a path is a field that identifies the item of a keyed list that it is in."""
    if len(path) < 2 or not path[-2].startswith("k:"):
        return False
    return path[-1].removeprefix("f:") in json.loads(path[-2].removeprefix("k:"))


def remove(obj: Any, path: Path) -> None:
    """Take a field or an item out of an object, in place, and with it the maps and lists that this leaves empty.

    Nothing happens when it is not there.
    """
    trail: list[tuple[Any, str | int]] = []
    node = obj
    for element in path:
        step = _step(node, element)
        if step is None:
            return
        trail.append((node, step))
        node = node[step]
    for depth, (holder, step) in enumerate(reversed(trail)):
        if depth and holder[step] not in ({}, []):
            return
        if depth and len(trail) - depth == 1:  # an empty `spec` or `metadata` stays
            return
        del holder[step]


def _step(node: Any, element: str) -> str | int | None:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return rest if isinstance(node, dict) and rest in node else None
    if not isinstance(node, list):
        return None
    wanted = json.loads(rest)
    for index, item in enumerate(node):
        if kind == "v" and item == wanted:
            return index
        if kind != "k" or not isinstance(item, dict):
            continue
        if all(item.get(key, KEY_DEFAULTS.get(key)) == value for key, value in wanted.items()):
            return index
    return None
