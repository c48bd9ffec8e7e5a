"""Numbers with units as load generators print them: `1.20ms`, `12.34k`."""

from __future__ import annotations

import re
from typing import Final

from conformance.performance.durations import UNITS

_DURATION: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,12}))?(ns|us|µs|ms|s|m|h)", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,15}(?:\.\d{1,12})?", re.ASCII)


def duration(text: str) -> tuple[float, float]:
    """Return a duration and the value of its last digit, both in seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r:.60} is no duration such as 1.20ms")
    whole, decimals, unit = match.groups(default="")
    scale = UNITS[unit] / 1e9
    return float(f"{whole}.{decimals or 0}") * scale, scale * 10.0 ** -len(decimals)


def number(text: str) -> float:
    """Return a plain decimal number, not negative. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r:.60} is no number")
    return float(text)
