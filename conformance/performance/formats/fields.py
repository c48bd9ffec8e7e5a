"""JSON of other tools, untrusted: read within bounds, each field with its type, each fault with its path."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from conformance import strictjson
from conformance.performance.formats.foreign import FormatError

LARGEST: Final = 16 * 2**20
"""Characters of JSON that are read at most: its objects take some twenty times that in memory."""
MOST: Final = 1e18
"""The greatest number that any field may have: 31 years in nanoseconds."""

_WHOLE: Final = re.compile(r"\d{1,19}", re.ASCII)


def load(text: str, tool: str = "") -> Any:
    """Parse JSON; duplicate keys, NaN, infinities and what is nested too deeply are refused. Raises FormatError."""
    if len(text) > LARGEST:
        raise FormatError(tool, "its size", f"at most {LARGEST // 2**20} MiB of JSON", f"{len(text)} characters")
    try:
        return strictjson.loads(text)
    except strictjson.RepeatedName as error:
        raise FormatError(tool, f"the key {error.name!r:.60}", "each key once", "it twice in one object") from None
    except strictjson.NoNumber as error:
        raise FormatError(tool, "a number", "finite numbers", error.text) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        hint = ("it is one result after another: give one, and of k6 the summary, not --out json"
                if error.msg == "Extra data" else "it is truncated or was edited")
        raise FormatError(tool, place, "complete JSON", error.msg, hint) from None
    except RecursionError:
        raise FormatError(tool, "its nesting", "a few levels", "more than can be read") from None
    except ValueError as error:
        raise FormatError(tool, "a number", "one of at most 19 digits", str(error)[:80]) from None


class Fields:
    """One JSON object of a tool's result and where it stands; every method raises FormatError with the path."""

    def __init__(self, tool: str, value: Any, path: str = "$") -> None:
        self.tool = tool
        self.path = path
        if not isinstance(value, Mapping):
            raise FormatError(tool, path, "an object", _kind(value))
        self.value: Mapping[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.value)

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise FormatError about a field."""
        raise FormatError(self.tool, f"{self.path}.{name}", expected,
                          _kind(self.value[name]) if name in self.value else "nothing")

    def number(self, name: str, least: float = 0.0, most: float = MOST) -> float:
        """Return a finite number within bounds."""
        value = self.value.get(name)
        # Compared before it becomes a float: a whole number of 400 digits is a number to JSON.
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.refuse(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def maybe(self, name: str, least: float = 0.0, most: float = MOST) -> float | None:
        """Return a number, or None where there is none."""
        return self.number(name, least, most) if name in self else None

    def whole(self, name: str) -> int:
        """Return a whole number from 0, also one written as a string, which is how protobuf writes 64 bits."""
        value = self.value.get(name)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
            self.refuse(name, "a whole number, not negative")
        return value

    def text(self, name: str) -> str:
        """Return a string, empty where there is none."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "a string")
        return value or ""

    def part(self, name: str) -> Fields:
        """Return an object within this one."""
        if name not in self:
            self.refuse(name, "an object")
        return Fields(self.tool, self.value[name], f"{self.path}.{name}")

    def parts(self, name: str) -> list[Fields]:
        """Return a list of objects; none where it is absent or null, as Go writes an empty list."""
        values = self.value.get(name)
        if values is None:
            return []
        if not isinstance(values, list):
            self.refuse(name, "a list of objects")
        return [Fields(self.tool, value, f"{self.path}.{name}[{index}]") for index, value in enumerate(values)]

    def counts(self, name: str) -> dict[str, int]:
        """Return an object of whole numbers, those that are 0 left out; empty where it is absent or null."""
        if name not in self:
            return {}
        part = self.part(name)
        return {str(key): count for key in part if (count := part.whole(key))}

    def moment(self, name: str) -> float | None:
        """Return a time of day in seconds since 1970; None where it is absent or the zero time of Go."""
        text = self.text(name)
        if not text or text.startswith("0001-"):
            return None
        try:
            moment = dt.datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp()
        except (ValueError, OverflowError):
            self.refuse(name, "a time such as 2026-11-20T12:00:00Z")


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return f"{value!r:.60}" if not isinstance(value, float) or math.isfinite(value) else "an infinite number"
    return "a list" if isinstance(value, list) else "an object"
