"""Numbers with units as load generators print them: `1.20ms`, `12.34k`."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,12}))?(ns|us|µs|ms|s|m|h)", re.ASCII)
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER: Final = re.compile(r"\d{1,15}(?:\.\d{1,12})?", re.ASCII)


def duration(text: str) -> tuple[float, float]:
    """Return a duration and the value of its last digit, both in seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r:.60} is no duration such as 1.20ms")
    whole, decimals, unit = match.groups(default="")
    return float(f"{whole}.{decimals or 0}") * _SECONDS[unit], _SECONDS[unit] * 10.0 ** -len(decimals)


def number(text: str) -> float:
    """Return a plain decimal number, not negative. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r:.60} is no number")
    return float(text)


def go_duration(seconds: float) -> str:
    """Return a duration as Go writes it: 90 s is `1m30s`."""
    hours, rest = divmod(round(seconds, 3), 3600)
    minutes, left = divmod(rest, 60)
    head = f"{hours:g}h{minutes:g}m" if hours else f"{minutes:g}m" if minutes else ""
    return f"{head}{round(left, 3):g}s"
