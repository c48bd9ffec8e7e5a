"""Reads JSON objects that come from outside, field by field; every complaint names the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class CommandError(ValueError):
    """A command cannot be carried out as it is; the message names the field, what it holds and what it may hold."""


class Fields:
    """The fields of one object. Each is read once; `done` complains of those that nobody reads.

    A `default` is what a missing field stands for; a field read without one must be there. All methods raise
    CommandError.
    """

    def __init__(self, data: Any, where: str = "") -> None:
        if not isinstance(data, Mapping):
            raise CommandError(f"{where or 'the command'}: {shown(data)} is no JSON object")
        self._left: dict[str, Any] = dict(data)
        self._where = f"{where}." if where else ""

    def name(self, field: str) -> str:
        """Return the field's name as messages have it, from the top of the command."""
        return self._where + field

    def fail(self, field: str, found: Any, wanted: str) -> CommandError:
        """Return the complaint about a field."""
        return CommandError(f"{self.name(field)}: need {wanted}, not {shown(found)}")

    def take(self, field: str, *default: Any) -> Any:
        """Return the value as it is."""
        if field not in self._left and not default:
            raise CommandError(f"{self.name(field)} is missing")
        return self._left.pop(field, *default)

    def number(self, field: str, low: float, high: float, *default: float) -> float:
        """Return a number from `low` to `high`."""
        value = self.take(field, *default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.fail(field, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, field: str, low: int, high: int, *default: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.take(field, *default)
        if type(value) is not int or not low <= value <= high:
            raise self.fail(field, value, f"a whole number from {low} to {high}")
        return value

    def flag(self, field: str, *default: bool) -> bool:
        """Return true or false."""
        value = self.take(field, *default)
        if not isinstance(value, bool):
            raise self.fail(field, value, "true or false")
        return value

    def text(self, field: str, limit: int, *default: str) -> str:
        """Return a string of at most `limit` characters."""
        value = self.take(field, *default)
        if not isinstance(value, str) or len(value) > limit:
            raise self.fail(field, value, f"a string of at most {limit} characters")
        return value

    def choice(self, field: str, choices: Sequence[str], *default: str) -> str:
        """Return one of the words."""
        value = self.take(field, *default)
        if value not in choices:
            raise self.fail(field, value, " or ".join(choices))
        return str(value)

    def array(self, field: str, limit: int, *default: Sequence[Any]) -> Sequence[Any]:
        """Return a list of at most `limit` entries."""
        value = self.take(field, *default)
        if not isinstance(value, (list, tuple)) or len(value) > limit:
            raise self.fail(field, value, f"a list of at most {limit}")
        return value

    def done(self) -> None:
        """Complain of a field that nobody has read."""
        if self._left:
            raise CommandError(f"{self.name(min(map(str, self._left)))}: there is no such field")


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
