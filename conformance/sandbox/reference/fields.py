"""Reading fields of objects that users wrote: each of the expected kind, or Malformed saying which field and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


class Malformed(Exception):  # noqa: N818 - what it says of an object
    """An object that cannot be understood; the text says which field and why."""


def version(obj: Json) -> str:
    """Return the version of an object's API, without the group."""
    return str(obj.get("apiVersion", "")).rpartition("/")[2]


def mapping(value: Any, where: str) -> Json:
    """Return an object. Raises Malformed."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{where}: it is {_kind(value)}, not an object")
    return value


def sequence(value: Any, where: str) -> Iterable[Any]:
    """Return a list, an empty one for what is missing. Raises Malformed."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise Malformed(f"{where}: it is {_kind(value)}, not a list")
    return value


def text(value: Any, where: str) -> str:
    """Return a string. Raises Malformed."""
    if not isinstance(value, str):
        raise Malformed(f"{where}: it is {_kind(value)}, not a string")
    return value


def name(value: Any, where: str) -> str:
    """Return a string that can be the name of an object. Raises Malformed."""
    found = text(value, where)
    if not _NAME.fullmatch(found):
        raise Malformed(f"{where}: {found[:60]!r} is not the name of an object")
    return found


def port(value: Any, where: str) -> int:
    """Return the number of a port. Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{where}: it is {_kind(value)}, not a number")
    if not 0 < value < 65536:
        raise Malformed(f"{where}: {value} is not the number of a port")
    return value


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
