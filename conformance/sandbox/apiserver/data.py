"""What config maps and secrets may hold."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox.apiserver.errors import Cause, forbidden_value, invalid_value, required

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.sandbox.apiserver.objects import JSON

_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MOST: Final = 1024 * 1024
"""Bytes in one object."""


def config_map(obj: JSON, old: JSON | None) -> list[Cause]:
    """What is wrong with a ConfigMap. Raises TypeError and ValueError for what is none."""
    data, binary = _entries(obj, "data"), _entries(obj, "binaryData")
    for key, value in data.items():
        if not isinstance(value, str):
            raise TypeError(f"data.{key} must be a string, found {value!r}: quote it")
    found: list[Cause] = []
    for field, entries in (("data", data), ("binaryData", binary)):
        for key in entries:
            if not _KEY.fullmatch(key):
                why = (
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  "
                    "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                )
                found.append(invalid_value(f"{field}[{key}]", key, why))
    twice = "duplicate of key present in binaryData"
    found += [invalid_value(f"data[{key}]", key, twice) for key in data if key in binary]
    found += _size("[]", (*(value.encode() for value in data.values()), *_decoded(binary, "binaryData")))
    return found + _immutable(obj, old, ("data", "binaryData"))


def secret(obj: JSON, old: JSON | None) -> list[Cause]:
    """What is wrong with a Secret. Raises TypeError and ValueError for what is none."""
    data = _entries(obj, "data")
    found = _size("data", _decoded(data, "data"))
    if obj.get("type") == "kubernetes.io/tls":
        found += [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    found += _immutable(obj, old, ("data",))
    if old is not None and obj.get("type") != old.get("type"):
        found.append(invalid_value("type", obj.get("type"), "field is immutable"))
    return found


def _entries(obj: JSON, field: str) -> JSON:
    found: Any = obj.get(field)
    if found is not None and not isinstance(found, dict):
        raise TypeError(f"{field} must be a map, found {type(found).__name__}")
    return found or {}


def _decoded(entries: JSON, field: str) -> list[bytes]:
    try:
        return [base64.b64decode(value, validate=True) for value in entries.values()]
    except (binascii.Error, TypeError, ValueError):
        hint = "stringData" if field == "data" else "data"
        raise ValueError(f"a value of {field} is not base64; plain text belongs under {hint}") from None


def _size(field: str, contents: Iterable[bytes]) -> list[Cause]:
    if sum(len(content) for content in contents) <= _MOST:
        return []
    return [Cause("FieldValueTooLong", field, f"Too long: may not be more than {_MOST} bytes")]


def _immutable(obj: JSON, old: JSON | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    changed = [field for field in ("immutable", *fields) if obj.get(field) != old.get(field)]
    return [forbidden_value(field, "field is immutable when `immutable` is set") for field in changed]
