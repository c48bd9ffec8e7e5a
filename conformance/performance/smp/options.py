"""What the options of another load generator say of rate, connections, length and method.

SMP's `additional_options` is text; Meshery takes JSON there (a generator's own configuration), others take flags.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from conformance.performance import durations

RATE, CONNECTIONS, DURATION, METHOD = "rps", "connections", "duration", "method"

_GENERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "fortio": {"qps": RATE, "c": CONNECTIONS, "numthreads": CONNECTIONS, "t": DURATION, "duration": DURATION,
               "method": METHOD, "X": METHOD},
    "nighthawk": {"rps": RATE, "requestspersecond": RATE, "connections": CONNECTIONS, "duration": DURATION,
                  "requestmethod": METHOD},
    "wrk2": {"R": RATE, "rate": RATE, "c": CONNECTIONS, "connections": CONNECTIONS, "d": DURATION,
             "duration": DURATION},
}
GENERATORS: Final = tuple(_GENERATORS)
"""The load generators that Meshery has known."""


class OptionsError(ValueError):
    """The options cannot be read; the message says why."""


def parse(text: str, generator: str) -> Mapping[str, str | float]:
    """Return what the options say: numbers for rate, connections and duration (in seconds), text for the method.

    What is of no interest here is left out. Raises OptionsError.
    """
    meanings = _GENERATORS.get(generator) or {
        name: meaning for known in _GENERATORS.values() for name, meaning in known.items() if len(name) > 1
    }
    found: dict[str, str | float] = {}
    for key, value in (_members(text) if text.lstrip().startswith("{") else _flags(text)).items():
        plain = key.replace("-", "").replace("_", "")
        meaning = meanings.get(plain) or meanings.get(plain.lower() if len(plain) > 1 else plain)
        if meaning:
            found[meaning] = _value(meaning, key, value)
    return found


def _members(text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionsError(f"it begins like JSON and is none: {error}") from None
    return data if isinstance(data, dict) else {}


def _flags(text: str) -> Mapping[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OptionsError(f"it cannot be split into flags: {error}") from None
    found = {}
    for place, word in enumerate(words):
        if word.startswith("-"):
            name, _, value = word.lstrip("-").partition("=")
            following = words[place + 1] if place + 1 < len(words) else ""
            found[name] = value or following
    return found


def _value(meaning: str, key: str, value: Any) -> str | float:
    if meaning == METHOD:
        return str(value).upper()
    try:
        if meaning == DURATION:
            return durations.parse(value) if isinstance(value, str) else float(value) / 1e9  # Go's JSON: nanoseconds
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise OptionsError(f"{key}: {error}") from None
