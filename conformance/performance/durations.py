"""Durations as Go writes them, such as `1m30s`, `500ms` or `1.5h`: SMP, fortio and Meshery all use them.

Source: package time of the Go standard library, `ParseDuration` and `Duration.String`. A duration there is a signed
64-bit number of nanoseconds, so that it ends at about 292 years.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

UNITS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "\u03bcs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
                "h": 3600 * 10**9}
"""Nanoseconds of each unit; Go takes both letters that look like a mu."""
_KNOWN: Final = "ns, us, ms, s, m, h"
_LIMIT: Final = 1 << 63
_LONGEST: Final = 100  # characters; what Go writes itself is shorter than 26
_PART: Final = re.compile(r"(?P<number>[0-9]*\.?[0-9]*)(?P<unit>[^0-9.+-]*)", re.ASCII)


class DurationError(ValueError):
    """A text is not a duration; the message says what is wrong with it."""


def parse(text: str) -> float:
    """Return a duration in seconds; it may be negative. Raises DurationError."""
    return float(Fraction(nanoseconds(text), 10**9))


def nanoseconds(text: str) -> int:
    """Return a duration in whole nanoseconds, what is finer cut off as Go does. Raises DurationError."""
    shown = repr(text) if len(text) <= _LONGEST else f"{text[:20]!r}… ({len(text)} characters)"
    if len(text) > _LONGEST:
        raise DurationError(f"{shown} is too long for a duration such as '1m30s'")
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    if not rest:
        raise DurationError(f"{shown} is not a duration; write a number with a unit, such as '30s' or '1m30s'")
    total = Fraction(0)
    while rest:
        total, rest = _add_part(total, rest, shown)
    found = sign * int(total)
    if not -_LIMIT <= found < _LIMIT:
        raise DurationError(f"{shown} is longer than the 292 years that a duration can be")
    return found


def _add_part(total: Fraction, text: str, shown: str) -> tuple[Fraction, str]:
    part = _PART.match(text)
    number, unit = (part["number"], part["unit"]) if part else ("", "")
    if not number.strip("."):
        raise DurationError(f"{shown} is not a duration: a number was expected at {text!r}")
    if not unit:
        raise DurationError(f"{shown} has no unit after {number}; write '{number}s' for seconds "
                            f"(units: {_KNOWN})")
    if unit not in UNITS:
        raise DurationError(f"{shown} has the unknown unit {unit!r} (known: {_KNOWN})")
    return total + Fraction(f"0{number}" if number.startswith(".") else number.rstrip(".")) * UNITS[unit], \
        text[len(number) + len(unit):]


def show(seconds: float) -> str:
    """Return a duration as Go shows it, to the nanosecond: `1m30s`, `1.5s`, `250ms`, `0s`. Raises DurationError."""
    try:
        total = round(Fraction(seconds) * 10**9)
    except (OverflowError, ValueError):
        raise DurationError(f"{seconds} seconds is no length of time") from None
    if not -_LIMIT <= total < _LIMIT:
        raise DurationError(f"{seconds:g} seconds is longer than the 292 years that a duration can be")
    sign, total = ("-", -total) if total < 0 else ("", total)
    if total == 0:
        return "0s"
    for unit, below in (("ns", 10**3), ("µs", 10**6), ("ms", 10**9)):
        if total < below:
            return f"{sign}{_decimal(total, UNITS[unit])}{unit}"
    minutes, rest = divmod(total, UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{front}{_decimal(rest, UNITS['s'])}s"


def _decimal(number: int, scale: int) -> str:
    whole, rest = divmod(number, scale)
    places = len(str(scale)) - 1
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".") if rest else str(whole)
