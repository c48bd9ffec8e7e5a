"""The part of Kubernetes' JSONPath that printer columns use: fields, indexes, `[*]` and `[?(@.a=="b")]`."""

from __future__ import annotations

import json
import re
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\]|\\.)+)"""
    r"""|\[\s*(?P<all>\*)\s*\]"""
    r"""|\[\s*(?P<index>-?\d+)\s*\]"""
    r"""|\[\s*(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\s*\]"""
    r"""|\[\?\(\s*@(?P<left>[^=!<>\s]+)\s*(?P<operator>==|!=)\s*(?P<right>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\s*\]"""
)


def evaluate(path: str, obj: Any) -> list[Any]:
    """The values at `path`; none when something on the way is missing, or the path is beyond what is known here."""
    path = path.strip().removeprefix("{").removesuffix("}")
    if path and path[0] not in ".[":
        path = f".{path}"
    values, position = [obj], 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return []
        values = [item for value in values for item in _step(found, value)]
        position = found.end()
    return [value for value in values if value is not None]


def _step(found: re.Match[str], value: Any) -> list[Any]:
    if found["all"] or found["field"] == "*":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if found["index"] is not None:
        index = int(found["index"])
        return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []
    if found["left"]:
        if not isinstance(value, list):
            return []
        wanted = _literal(found["right"])
        equal = found["operator"] == "=="
        return [item for item in value if (wanted in evaluate(found["left"], item)) is equal]
    name = found["quoted"] if found["quote"] else re.sub(r"\\(.)", r"\1", found["field"])
    return [value[name]] if isinstance(value, dict) and name in value else []


def _literal(text: str) -> Any:
    if text[0] == "'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text
