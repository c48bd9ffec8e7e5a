"""What an SMI object says, in whichever version it is written: the counterpart of rendering.

Objects are read as they come from a cluster, whose schema may let anything through: what cannot be read is said to
be unreadable, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from conformance.cluster import Object

_SPLIT: Final = frozenset({"root", "weights"})
_GROUP: Final = frozenset({"names", "paths", "methods"})
_TARGET: Final = frozenset({"destination", "rules", "sources"})

ASPECTS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "TrafficSplit": {"v1alpha1": _SPLIT, "v1alpha2": _SPLIT, "v1alpha3": _SPLIT | {"matches"},
                     "v1alpha4": _SPLIT | {"matches"}},
    "HTTPRouteGroup": {"v1alpha1": _GROUP, "v1alpha2": _GROUP | {"headers"}, "v1alpha3": _GROUP | {"headers"},
                       "v1alpha4": _GROUP | {"headers"}},
    "TCPRoute": {"v1alpha4": frozenset({"ports"})},
    "UDPRoute": {"v1alpha4": frozenset({"ports"})},
    "TrafficTarget": {"v1alpha1": _TARGET | {"port"}, "v1alpha2": _TARGET | {"port"}, "v1alpha3": _TARGET},
}
"""What each version of a kind can say."""

_SUFFIXES: Final[Mapping[str, Fraction]] = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
}
_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d*)?)([numkMG]?)", re.ASCII)


def aspects(kind: str, version: str) -> frozenset[str]:
    """Return what a version of a kind can say; nothing for what SMI never had."""
    return ASPECTS.get(kind, {}).get(version, frozenset())


def meaning(obj: Object) -> dict[str, Any]:
    """Return what an object says, aspect by aspect, in terms that do not depend on its version."""
    kind, version = str(obj.get("kind")), str(obj.get("apiVersion")).rpartition("/")[2]
    body = _mapping(obj.get("spec")) or obj
    match kind:
        case "TrafficSplit":
            said = _split(body, version)
        case "HTTPRouteGroup":
            said = _group(body)
        case "TrafficTarget":
            said = _target(body, "specs" if version == "v1alpha1" else "rules")
        case _:
            said = {"ports": _mapping(body.get("matches")).get("ports")}
    return {aspect: said[aspect] for aspect in aspects(kind, version)}


def _split(body: Mapping[str, Any], version: str) -> dict[str, Any]:
    return {
        "root": body.get("service"),
        "weights": _shares(_mappings(body.get("backends")), quantities=version == "v1alpha1"),
        "matches": sorted(str(entry.get("name")) for entry in _mappings(body.get("matches"))),
    }


def _shares(backends: Iterable[Mapping[str, Any]], *, quantities: bool) -> dict[str, str]:
    """Return each backend's share of the traffic, which is what weights mean."""
    weights = {str(entry.get("service")): _weight(entry.get("weight"), quantities=quantities) for entry in backends}
    unreadable = {name: f"unreadable weight {weight}" for name, weight in weights.items() if isinstance(weight, str)}
    read = {name: weight for name, weight in weights.items() if isinstance(weight, Fraction)}
    total = sum(read.values()) or Fraction(1)
    return {name: str(weight / total) for name, weight in read.items()} | unreadable


def _weight(value: Any, *, quantities: bool) -> Fraction | str:
    """Read a weight: a number, or in the first version a quantity such as `500m`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return repr(value)
    if not isinstance(value, str):
        return Fraction(value)
    found = _QUANTITY.fullmatch(value) if quantities else None
    return Fraction(found[1]) * _SUFFIXES[found[2]] if found else repr(value)


def _group(body: Mapping[str, Any]) -> dict[str, Any]:
    matches = [(str(entry.get("name")), entry) for entry in _mappings(body.get("matches"))]
    return {
        "names": [name for name, _ in matches],
        "paths": {name: entry.get("pathRegex") for name, entry in matches},
        "methods": {name: entry.get("methods") for name, entry in matches},
        "headers": {name: headers_of(entry.get("headers")) for name, entry in matches},
    }


def headers_of(value: Any) -> dict[str, Any]:
    """Return the headers of a match, written as a map or as a list of maps."""
    maps = [value] if isinstance(value, Mapping) else _mappings(value)
    return {str(name): expression for one in maps for name, expression in one.items()}


def _target(body: Mapping[str, Any], rules: str) -> dict[str, Any]:
    destination = _mapping(body.get("destination"))
    return {
        "destination": _subject(destination), "port": destination.get("port"),
        "rules": [(rule.get("kind"), rule.get("name"), rule.get("matches")) for rule in _mappings(body.get(rules))],
        "sources": [_subject(source) for source in _mappings(body.get("sources"))],
    }


def _subject(entry: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return entry.get("kind"), entry.get("name"), entry.get("namespace")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
