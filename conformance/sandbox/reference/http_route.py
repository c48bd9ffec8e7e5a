"""HTTPRoutes as the mesh knows them, and how they are read.

Only what a Service's producer asks for is taken: routes whose parent is a Service of their own namespace. Fields that
the mesh does not implement make a route unacceptable, so that nobody takes it for in effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from conformance.sandbox.reference.fields import Json, Malformed, mapping, name, port, sequence, text
from conformance.sandbox.reference.model import Key

HEAVIEST: Final = 1_000_000
_PATH: Final = re.compile(r"/[!-\"$->@-~]{0,1023}")  # printable, without what begins a query or a fragment
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE: Final = re.compile(r"[!-~]([\t -~]{0,4094}[!-~])?")
_KNOWN: Final = {
    "rule": frozenset({"name", "matches", "backendRefs"}), "match": frozenset({"path", "headers", "method"}),
    "backendRef": frozenset({"group", "kind", "namespace", "name", "port", "weight"}),
}


@dataclass(frozen=True)
class RequestMatch:
    """Requests with all of this. `path` is a prefix of whole elements unless `exact`; no `method` is any."""

    path: str = "/"
    exact: bool = False
    method: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def precedence(self) -> tuple[bool, int, bool, int]:
        """What a match is sorted by: the smallest decides first."""
        return not self.exact, -len(self.path), not self.method, -len(self.headers)


@dataclass(frozen=True)
class RouteBackend:
    """A backend of a rule. `key` is None for what is no Service, `port` where a Service's is not said."""

    key: Key | None
    port: int | None
    weight: int


@dataclass(frozen=True)
class RouteRule:
    """Requests that any of `matches` selects are divided over `backends`."""

    matches: tuple[RequestMatch, ...]
    backends: tuple[RouteBackend, ...]


@dataclass(frozen=True)
class Parent:
    """A Service that a route is for, or one port of it."""

    service: str
    port: int | None = None


@dataclass(frozen=True)
class HTTPRoute:
    """An HTTPRoute. `parents` are those that the mesh looks after; `unsupported` says what it cannot do."""

    namespace: str
    name: str
    parents: tuple[Parent, ...]
    rules: tuple[RouteRule, ...]
    unsupported: str = ""
    uid: str = ""
    generation: int = 1
    created: str = ""
    api_version: str = "gateway.networking.k8s.io/v1"

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def age(self) -> tuple[str, str, str]:
        """What routes are sorted by where their matches tie."""
        return self.created, self.namespace, self.name


def http_route(obj: Json) -> HTTPRoute:
    """Read an HTTPRoute. Raises Malformed."""
    metadata, spec = obj["metadata"], mapping(obj.get("spec"), "spec")
    namespace = metadata["namespace"]
    unsupported = next(_unsupported(spec), "")
    return HTTPRoute(
        namespace, metadata["name"], tuple(_parents(spec, namespace)),
        () if unsupported else tuple(
            _rule(entry, namespace, f"spec.rules[{index}]")
            for index, entry in enumerate(sequence(spec.get("rules") or [{}], "spec.rules"))
        ),
        unsupported, metadata.get("uid", ""), metadata.get("generation", 1), metadata.get("creationTimestamp") or "",
        str(obj.get("apiVersion", "")),
    )


def is_parent(reference: Json, namespace: str) -> bool:
    """Tell whether the mesh looks after such a parent of a route in this namespace."""
    return (reference.get("group"), reference.get("kind")) == ("", "Service") \
        and reference.get("namespace") in (None, namespace)


def _parents(spec: Json, namespace: str) -> Iterator[Parent]:
    for index, entry in enumerate(sequence(spec.get("parentRefs"), "spec.parentRefs")):
        where = f"spec.parentRefs[{index}]"
        if is_parent(mapping(entry, where), namespace):
            number = entry.get("port")
            yield Parent(name(entry.get("name"), f"{where}.name"),
                         None if number is None else port(number, f"{where}.port"))


def _unsupported(spec: Json) -> Iterator[str]:
    """Yield what a route asks for that the mesh cannot do."""
    for rule in sequence(spec.get("rules"), "spec.rules"):
        yield from _unknown("rule", rule)
        for match in sequence(rule.get("matches"), "spec.rules.matches"):
            yield from _unknown("match", match)
            typed = [mapping(match.get("path") or {}, "path"), *sequence(match.get("headers"), "headers")]
            kinds = [mapping(part, "match").get("type", "Exact") for part in typed]
            yield from (f"a match of type {kind}" for kind in kinds if kind not in ("Exact", "PathPrefix"))
        for backend in sequence(rule.get("backendRefs"), "spec.rules.backendRefs"):
            yield from _unknown("backendRef", backend)


def _unknown(what: str, entry: Any) -> Iterator[str]:
    yield from (f"the field {field!r} of a {what}" for field in sorted(set(mapping(entry, what)) - _KNOWN[what]))


def _rule(entry: Json, namespace: str, where: str) -> RouteRule:
    matches = list(enumerate(sequence(entry.get("matches"), f"{where}.matches")))
    backends = enumerate(sequence(entry.get("backendRefs"), f"{where}.backendRefs"))
    return RouteRule(
        tuple(_match(match, f"{where}.matches[{index}]") for index, match in matches) or (RequestMatch(),),
        tuple(_backend(backend, namespace, f"{where}.backendRefs[{index}]") for index, backend in backends),
    )


def _match(entry: Json, where: str) -> RequestMatch:
    path = mapping(entry.get("path") or {}, f"{where}.path")
    value, exact = path.get("value", "/"), path.get("type", "PathPrefix") == "Exact"
    headers: dict[str, tuple[str, str]] = {}
    for header in sequence(entry.get("headers"), f"{where}.headers"):
        found = _plain(_TOKEN, header.get("name"), f"{where}.headers.name")
        # Of names that differ in case only the first counts.
        headers.setdefault(found.lower(), (found, _plain(_VALUE, header.get("value"), f"{where}.headers.{found}")))
    method = _plain(_TOKEN, entry["method"], f"{where}.method") if entry.get("method") else ""
    value = _plain(_PATH, value, f"{where}.path.value")
    return RequestMatch(value if exact else value.rstrip("/") or "/", exact, method, tuple(headers.values()))


def _backend(entry: Json, namespace: str, where: str) -> RouteBackend:
    weight = entry.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= HEAVIEST:
        raise Malformed(f"{where}.weight: it is no whole number from 0 to {HEAVIEST}")
    if (entry.get("group", ""), entry.get("kind", "Service")) != ("", "Service"):
        return RouteBackend(None, None, weight)
    at = name(entry.get("namespace") or namespace, f"{where}.namespace")
    number = entry.get("port")
    return RouteBackend((at, name(entry.get("name"), f"{where}.name")),
                        None if number is None else port(number, f"{where}.port"), weight)


def _plain(pattern: re.Pattern[str], value: Any, where: str) -> str:
    found = text(value, where)
    if not pattern.fullmatch(found):
        raise Malformed(f"{where}: {found[:60]!r} is not what a proxy can compare")
    return found
