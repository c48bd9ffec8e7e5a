"""How texts and quantities are shown to people: without control characters, in units of a fitting size."""

from __future__ import annotations

import math
from typing import Final

from conformance.performance.model import Unit
from conformance.writing import UNPRINTABLE

MAX_TEXT: Final = 16_384
"""The longest text that is recorded or shown, in characters."""

_SCALES: Final[dict[Unit, tuple[tuple[float, str], ...]]] = {
    "s": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "1/s": ((1.0, "/s"),),
    "cores": ((1e-3, "mcores"), (1.0, "cores")),
    "bytes": ((1.0, "B"), (2.0**10, "KiB"), (2.0**20, "MiB"), (2.0**30, "GiB")),
    "share": ((0.01, "%"),),
    "count": ((1.0, ""),),
}


def printable(text: str, longest: int = MAX_TEXT) -> str:
    """Return a text with control characters spelt out (as hexadecimal escapes), and cut where it is too long."""
    text = UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def scale(unit: Unit, *values: float) -> tuple[float, str]:
    """Return the factor and the name of the unit in which the greatest of the values reads best.

    Divide by the factor: `scale("s", 0.00025)` is (1e-06, "µs").
    """
    most = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    steps = _SCALES[unit]
    fitting = [step for step in steps if most >= step[0] * 0.9995]
    # Nothing at all is no reason for the smallest unit there is.
    return fitting[-1] if fitting else steps[-1] if not most else steps[0]


def number(value: float) -> str:
    """Write a number to three significant digits, or all those before the point, in groups of three."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
    return f"{value:,.{min(digits, 6)}f}" if abs(value) >= 1e-4 else f"{value:.2e}"


def quantity(value: float, unit: Unit, *, signed: bool = False) -> str:
    """Write a value with its unit: `251 µs`, `66.2 MiB`, `0.4 %`; with `signed`, a plus where it is one."""
    factor, name = scale(unit, value)
    return f"{'+' if signed and value > 0 else ''}{number(value / factor)} {name}".rstrip()


def interval(value: float, low: float | None, high: float | None, unit: Unit, *, signed: bool = False) -> str:
    """Write a value with its interval in one unit: `251 [201, 286] µs`; without bounds, the value alone."""
    if low is None or high is None:
        return quantity(value, unit, signed=signed)
    factor, name = scale(unit, value, low, high)
    plus = "+" if signed else ""
    said = [f"{plus if part > 0 else ''}{number(part / factor)}" for part in (value, low, high)]
    return f"{said[0]} [{said[1]}, {said[2]}] {name}".rstrip()


def percent(share: float) -> str:
    """Write a relative change with its sign: `+12 %`."""
    return f"{'+' if share > 0 else ''}{number(share * 100)} %"
