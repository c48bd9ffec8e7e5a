"""JSON that can be read in one way only: no name twice in an object, and no number that JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class RepeatedName(ValueError):  # noqa: N818 - names what is wrong
    """An object has a name twice, of which every reader may take another one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the name {self.name!r:.80} stands twice in one object"


class NoNumber(ValueError):  # noqa: N818 - as above
    """`text` is NaN or an infinity, which Python's reader would take for a number."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} is no number of JSON"


def loads(text: str, number: Callable[[str], Any] = float) -> Any:
    """Return what a JSON text says; `number` reads those with a point or an exponent.

    Raises RepeatedName, NoNumber, json.JSONDecodeError, another ValueError for a number of too many digits, and
    RecursionError for what is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedName(name)
            seen.add(name)
    return names


def _no_number(text: str) -> Any:
    raise NoNumber(text)
