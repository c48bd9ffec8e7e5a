"""From one version of an SMI object to another.

Fields that the wanted version cannot say are left out; everything else is said as that version says it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

Fields = dict[str, Any]

_SUFFIXES: Final[Mapping[str, Fraction]] = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "k": Fraction(10**3),
    "M": Fraction(10**6), "G": Fraction(10**9),
}
_OUTSIDE: Final = ("apiVersion", "kind", "metadata", "status")
_FLAT: Final[Mapping[str, tuple[str, ...]]] = {
    "HTTPRouteGroup": ("v1alpha1", "v1alpha2"), "TCPRoute": ("v1alpha1", "v1alpha2"), "TrafficTarget": ("v1alpha1",),
}
"""The versions of each kind that say everything at the top, without `spec`."""


class ConversionError(Exception):
    """An object is of a kind, or says something, that cannot be converted."""


class Conversion:
    """Converts objects; what a mutant gets wrong is one of its methods."""

    def convert(self, obj: Fields, api_version: str) -> Fields:
        """Return an object in another version. Raises ConversionError."""
        kind, before, after = str(obj["kind"]), _version(obj["apiVersion"]), _version(api_version)
        said = _said(obj, kind, before)
        match kind:
            case "TrafficSplit":
                said = self.split(said, before, after)
            case "HTTPRouteGroup":
                said = self.group(said, after)
            case "TCPRoute" | "UDPRoute":
                said = self.route(said, after)
            case "TrafficTarget":
                said = self.target(said, before, after)
            case _:
                raise ConversionError(f"{kind} is no kind of SMI")
        kept = {field: obj[field] for field in _OUTSIDE if field in obj} | {"apiVersion": api_version}
        return kept | (said if after in _FLAT.get(kind, ()) else {"spec": said})

    def split(self, said: Fields, before: str, after: str) -> Fields:
        """Convert what a TrafficSplit says."""
        backends = said.get("backends") or []
        if before == "v1alpha1" and after != "v1alpha1":
            numbers = self.numbers([entry.get("weight", 0) for entry in backends])
            backends = [entry | {"weight": number} for entry, number in zip(backends, numbers, strict=True)]
        kept = said | {"backends": backends}
        return _without(kept, "matches") if after in ("v1alpha1", "v1alpha2") else kept

    def numbers(self, quantities: list[Any]) -> list[int]:
        """Return whole numbers in the proportion of quantities."""
        exact = [_quantity(value) for value in quantities]
        scale = math.lcm(*(value.denominator for value in exact))
        return [int(value * scale) for value in exact]

    def group(self, said: Fields, after: str) -> Fields:
        """Convert what an HTTPRouteGroup says."""
        matches = said.get("matches") or []
        return said | {"matches": [_without(entry, "headers") for entry in matches] if after == "v1alpha1" else matches}

    def route(self, said: Fields, after: str) -> Fields:
        """Convert what a TCPRoute or UDPRoute says; without ports it is about all of them."""
        if after != "v1alpha4":
            return {}
        return said if said.get("matches") else said | {"matches": {"ports": []}}

    def target(self, said: Fields, before: str, after: str) -> Fields:
        """Convert what a TrafficTarget says."""
        rules = said.get("specs" if before == "v1alpha1" else "rules") or []
        destination = said.get("destination") or {}
        return {
            "destination": _without(destination, "port") if after == "v1alpha3" else destination,
            "specs" if after == "v1alpha1" else "rules": rules,
            "sources": said.get("sources") or [],
        }


class UnscaledWeights(Conversion):
    """Takes the digits of a quantity for a number, as the controller SDK does: half is then 500 times the whole."""

    def numbers(self, quantities: list[Any]) -> list[int]:
        return [int(str(value).rstrip("numkMG") or 0) for value in quantities]


def _version(api_version: str) -> str:
    return str(api_version).rpartition("/")[2]


def _said(obj: Fields, kind: str, version: str) -> Fields:
    if version not in _FLAT.get(kind, ()):
        return dict(obj.get("spec") or {})
    return {field: value for field, value in obj.items() if field not in (*_OUTSIDE, "spec")}


def _without(fields: Fields, name: str) -> Fields:
    return {field: value for field, value in fields.items() if field != name}


def _quantity(value: Any) -> Fraction:
    text = str(value)
    number, suffix = (text[:-1], text[-1]) if text[-1:] in _SUFFIXES else (text, "")
    try:
        return Fraction(number) * _SUFFIXES.get(suffix, Fraction(1))
    except ValueError:
        raise ConversionError(f"weight {text[:40]!r} is no quantity") from None
