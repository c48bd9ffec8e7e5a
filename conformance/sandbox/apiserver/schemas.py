"""Structural OpenAPI v3 schemas of custom resources: pruning, defaulting, validation.

Validation is jsonschema's, its findings are put in the words of the Kubernetes API server. CEL rules
(`x-kubernetes-validations`) are not evaluated.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from conformance.sandbox.apiserver.errors import Cause, quoted
from conformance.sandbox.apiserver.objects import JSON, clone
from conformance.sandbox.apiserver.wording import cause_of

_TYPE_META = ("apiVersion", "kind", "metadata")
_KEPT = (
    "required", "enum", "minimum", "maximum", "multipleOf", "pattern", "minLength", "maxLength", "minItems", "maxItems",
    "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip


def prune(value: Any, schema: JSON, path: str = "", *, root: bool = True) -> list[str]:
    """Remove from `value`, in place, what the schema does not specify; returns the paths that were removed."""
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return []
        found: list[str] = []
        for index, item in enumerate(value):
            found += prune(item, items, f"{path}[{index}]", root=False)
        return found
    if not isinstance(value, dict):
        return []
    properties: JSON = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    keep = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    resource = root or bool(schema.get("x-kubernetes-embedded-resource"))
    removed: list[str] = []
    for field in list(value):
        at = f"{path}.{field}" if path else field
        if resource and field in _TYPE_META:
            continue
        if field in properties:
            removed += prune(value[field], properties[field], at, root=False)
        elif isinstance(others, dict):
            removed += prune(value[field], others, at, root=False)
        elif not (keep or others is True):
            removed.append(at)
            del value[field]
    return removed


def default(value: Any, schema: JSON) -> None:
    """Fill in the schema's defaults, in place. A null that the schema does not allow gives way to the default."""
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for item in value:
                default(item, items)
        return
    if isinstance(value, dict):
        _default_fields(value, schema)


def _default_fields(value: JSON, schema: JSON) -> None:
    for field, rule in (schema.get("properties") or {}).items():
        if "default" in rule and (field not in value or (value[field] is None and not rule.get("nullable"))):
            value[field] = clone(rule["default"])
        if field in value:
            default(value[field], rule)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        for field, item in value.items():
            if field not in (schema.get("properties") or {}):
                default(item, others)


class Validator:
    """Checks objects of one version of a custom resource."""

    def __init__(self, schema: JSON) -> None:
        translated = _translate(schema)
        for field in _TYPE_META:  # checked elsewhere, for every kind alike
            translated.get("properties", {}).pop(field, None)
        translated["required"] = [name for name in translated.get("required", []) if name not in _TYPE_META]
        self._checker = Draft202012Validator(translated)
        self._schema = schema

    def problems(self, obj: JSON) -> list[Cause]:
        """What is wrong with `obj`, ordered by field."""
        found = [cause_of(error) for error in self._checker.iter_errors(obj)]
        found += _duplicates(obj, self._schema, "")
        return sorted(found, key=lambda cause: cause.field)


def _translate(schema: JSON) -> JSON:
    """The schema in JSON Schema's terms: no `nullable`, no int-or-string, boolean exclusive limits made numbers."""
    found: JSON = {key: schema[key] for key in _KEPT if key in schema}
    types = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else [schema.get("type")]
    if types[0]:
        found["type"] = [*types, "null"] if schema.get("nullable") else types
    if schema.get("nullable") and "enum" in found:
        found["enum"] = [*found["enum"], None]
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive) is True and limit in found:
            found[exclusive] = found.pop(limit)
    if "properties" in schema:
        found["properties"] = {name: _translate(rule) for name, rule in schema["properties"].items()}
    parts = [part for part in ("additionalProperties", "items", "not") if isinstance(schema.get(part), dict)]
    found.update({part: _translate(schema[part]) for part in parts})
    junctors = [junctor for junctor in ("allOf", "anyOf", "oneOf") if junctor in schema]
    found.update({junctor: [_translate(rule) for rule in schema[junctor]] for junctor in junctors})
    return found


def _duplicates(value: Any, schema: JSON, at: str) -> list[Cause]:
    """Items that repeat in lists of type `map` or `set`."""
    found: list[Cause] = []
    if isinstance(value, dict):
        for field, rule in (schema.get("properties") or {}).items():
            if field in value:
                found += _duplicates(value[field], rule, f"{at}.{field}" if at else field)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        keys = schema.get("x-kubernetes-list-map-keys") or []
        kind = schema.get("x-kubernetes-list-type")
        seen: list[Any] = []
        for index, item in enumerate(value):
            here = f"{at}[{index}]"
            if kind == "map" and isinstance(item, dict):
                identity = {key: item.get(key) for key in keys}
                if identity in seen:
                    shown = "{" + ",".join(f'"{key}":{quoted(part)}' for key, part in identity.items()) + "}"
                    found.append(Cause("FieldValueDuplicate", here, f"Duplicate value: {shown}"))
                seen.append(identity)
            elif kind == "set":
                if item in seen:
                    found.append(Cause("FieldValueDuplicate", here, f"Duplicate value: {quoted(item)}"))
                seen.append(item)
            found += _duplicates(item, schema["items"], here)
    return found
