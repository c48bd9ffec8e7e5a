"""JSON patch, merge patch and strategic merge patch. Every function returns the new object and changes no argument."""

from __future__ import annotations

from typing import Any

import jsonpatch

from conformance.sandbox.apiserver.errors import ApiError, bad_request
from conformance.sandbox.apiserver.objects import JSON, clone
from conformance.sandbox.apiserver.shapes import Shape

_ORDER = "$setElementOrder/"
_REMOVE = "$deleteFromPrimitiveList/"


def json_patch(obj: JSON, operations: Any) -> JSON:
    """RFC 6902. Raises ApiError 400 for what is no list, 422 for operations that cannot be applied to the object."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    try:
        patched = jsonpatch.JsonPatch(operations).apply(obj)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        # the real server gives no more than its first sentence
        why = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", why) from error
    return _object(patched)


def merge_patch(obj: JSON, patch: Any) -> JSON:
    """RFC 7386."""
    return _object(_merged(obj, _object(patch)))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        else:
            result[field] = _merged(result.get(field), value)
    return result


def _object(value: Any) -> JSON:
    if not isinstance(value, dict):
        raise bad_request(f"the patch must make an object, found {type(value).__name__}")
    return value


def strategic(obj: JSON, patch: Any, shape: Shape) -> JSON:
    """Kubernetes' strategic merge: keyed lists merge item by item; `$patch`, `$retainKeys`, `$setElementOrder/…` and
    `$deleteFromPrimitiveList/…` are honoured.
    """
    return _object(_strategic_map(clone(obj), _object(patch), shape))


def _directive(patch: JSON) -> str:
    found = str(patch.get("$patch", "merge"))
    if found not in ("merge", "replace", "delete"):
        raise ApiError(500, "", f"unknown patch type: {found} in map: {patch}")
    return found


def _strategic_map(target: Any, patch: JSON, shape: Shape) -> JSON | None:
    """None when the patch says that the map goes."""
    directive = _directive(patch)
    if directive == "replace":
        return {field: clone(value) for field, value in patch.items() if field != "$patch"}
    if directive == "delete":
        return None
    result: JSON = target if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {field: value for field, value in result.items() if field in patch["$retainKeys"]}
    for field, value in patch.items():
        if field.startswith(_REMOVE):
            name = field.removeprefix(_REMOVE)
            result[name] = [item for item in result.get(name) or [] if item not in value]
    for field, value in patch.items():
        if not field.startswith("$"):
            _strategic_field(result, field, value, shape.child(field))
    for field, order in patch.items():
        name = field.removeprefix(_ORDER)
        if field.startswith(_ORDER) and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], order, shape.child(name))
    return result


def _strategic_field(result: JSON, field: str, value: Any, shape: Shape) -> None:
    if isinstance(value, dict):
        value = _strategic_map(result.get(field), value, shape)
    elif isinstance(value, list):
        value = _strategic_list(result.get(field), value, shape)
    if value is None:
        result.pop(field, None)
    else:
        result[field] = value


def _strategic_list(target: Any, patch: list[Any], shape: Shape) -> list[Any]:
    present = target if isinstance(target, list) else []
    if shape.set:
        return [*present, *(item for item in patch if item not in present)]
    key = shape.keys[0] if shape.keys else None
    if key is None or not all(isinstance(item, dict) for item in patch):
        return clone(patch)
    if any(item.get("$patch") == "replace" for item in patch):
        return [clone(item) for item in patch if "$patch" not in item]
    result = list(present)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        merged = _strategic_map(result[place] if place is not None else None, item, shape)
        if place is not None and merged is None:
            del result[place]
        elif place is not None:
            result[place] = merged
        elif merged is not None:
            result.append(merged)
    return result


def _ordered(items: list[Any], order: list[Any], shape: Shape) -> list[Any]:
    """The items in the wanted order; those that are not mentioned keep their place behind their predecessor."""
    key = shape.keys[0] if shape.keys else None
    wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]
    rank = -1.0
    ranked: list[tuple[float, int, Any]] = []
    for index, item in enumerate(items):
        own = item.get(key) if key and isinstance(item, dict) else item
        rank = float(wanted.index(own)) if own in wanted else rank + 0.001
        ranked.append((rank, index, item))
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]
