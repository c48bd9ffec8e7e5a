"""Weights as exact numbers: read from JSON numbers and from the `resource.Quantity` of TrafficSplit v1alpha1,
written as the whole numbers that Envoy wants.

Source: Kubernetes API conventions (the quantity format of `k8s.io/apimachinery/pkg/api/resource`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))(m|u|n|k|[MGTPE]i?|Ki|[eE][+-]?[0-9]{1,2})?", re.ASCII,
)
_SUFFIXES: Final[Mapping[str, Fraction]] = MappingProxyType({
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1), "k": Fraction(1000),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("MGTPE", 2)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)},
})
_LARGEST: Final = Fraction(10**30)
_ENVOY_TOTAL: Final = 2**32 - 1


def number(value: Any) -> Fraction:
    """Return a JSON number exactly as it was written. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{_shown(value)} is not a number")
    if abs(value) > _LARGEST:
        raise ValueError(f"{_shown(value)} is too large")
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def quantity(value: Any) -> Fraction:
    """Return a Kubernetes quantity: `"500m"` is one half, 1 and `"1"` are one. Raises ValueError."""
    if not isinstance(value, str):
        return number(value)
    found = _QUANTITY.fullmatch(value)
    if found is None:
        raise ValueError(f"{_shown(value)} is not a quantity")
    digits, suffix = found[1], found[2] or ""
    scale = Fraction(10) ** int(suffix[1:]) if suffix[:1] in ("e", "E") and suffix[1:2] not in ("", "i") else None
    return Fraction(digits) * (_SUFFIXES[suffix] if scale is None else scale)


def whole(weights: Sequence[Fraction]) -> tuple[int, ...]:
    """Return whole numbers in the same ratio, whose sum Envoy accepts (at most 2^32 - 1).

    Exact wherever that sum allows; beyond it the ratio is rounded, and no weight above zero becomes zero.
    """
    common = math.lcm(*(weight.denominator for weight in weights))
    numbers = [int(weight * common) for weight in weights]
    divisor = math.gcd(*numbers) or 1
    numbers = [value // divisor for value in numbers]
    total = sum(numbers)
    if total > _ENVOY_TOTAL:
        room = _ENVOY_TOTAL - len(numbers)
        numbers = [max(1, value * room // total) if value else 0 for value in numbers]
    return tuple(numbers)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
