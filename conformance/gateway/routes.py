"""HTTPRoute: what is asked of a mesh by one, how that is written, and what the mesh says of it.

Source: the Gateway API v1.6.0, HTTPRouteRule, HTTPRouteMatch, BackendRef and RouteParentStatus; GEP-1294 for ports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from conformance.cluster import Object
from conformance.service import HTTP_PORT
from conformance.smi import GATEWAY, HTTPMatch, NotExpressible, ServedApis

CONDITIONS: Final = ("Accepted", "ResolvedRefs")
"""The conditions that a parent of a route is told about."""

_LITERAL: Final = re.compile(r"[-A-Za-z0-9/_~!&',;=:@%]+")


@dataclass(frozen=True)
class RouteMatch:
    """Requests with all of this; what is None or empty is any.

    `path` is a prefix of whole elements, or with `exact` the path itself; `headers` maps names to values.
    """

    path: str | None = None
    exact: bool = False
    method: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class RouteRule:
    """Requests that any of `matches` selects, all of them without, are divided over Services by their weights.

    `port` is that of each backend.
    """

    weights: Mapping[str, int] = field(hash=False)
    matches: tuple[RouteMatch, ...] = ()
    port: int = HTTP_PORT


def http_route(
    apis: ServedApis, name: str, namespace: str, parent: str, rules: Sequence[RouteRule], *, port: int | None = None,
) -> Object:
    """Render an HTTPRoute for a Service of the same namespace, or for one `port` of it. Raises NotServed."""
    reference: Object = {"group": "", "kind": "Service", "name": parent} | ({} if port is None else {"port": port})
    return {
        "apiVersion": f"{GATEWAY}/{apis.spoken(GATEWAY, 'HTTPRoute')}", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [reference], "rules": rendered(rules)},
    }


def rendered(rules: Sequence[RouteRule]) -> list[Object]:
    """Return rules as they stand in an HTTPRoute."""
    return [
        ({"matches": [_match(match) for match in rule.matches]} if rule.matches else {})
        | {"backendRefs": [{"name": name, "port": rule.port, "weight": weight}
                           for name, weight in rule.weights.items()]}
        for rule in rules
    ]


def _match(match: RouteMatch) -> Object:
    written: Object = {}
    if match.path is not None:
        written["path"] = {"type": "Exact" if match.exact else "PathPrefix", "value": match.path}
    if match.headers:
        written["headers"] = [
            {"type": "Exact", "name": name, "value": value} for name, value in match.headers.items()
        ]
    if match.method is not None:
        written["method"] = match.method
    return written


def matches_of(match: HTTPMatch) -> tuple[RouteMatch, ...]:
    """Return a match of SMI as matches of an HTTPRoute, one for each method.

    Raises NotExpressible for an expression that is not plain text: routes have those only as mesh-specific extras.
    """
    expressions = [match.path_regex, *match.headers.values()]
    odd = [text for text in expressions if text is not None and not _LITERAL.fullmatch(text)]
    if odd:
        raise NotExpressible(f"an HTTPRoute has no portable regular expressions, such as {odd[0]}")
    methods = match.methods or ["*"]
    return tuple(
        RouteMatch(match.path_regex, method=None if method == "*" else method, headers=match.headers)
        for method in methods
    )


def conditions(route: Object, parent: str) -> dict[str, list[tuple[str, str]]]:
    """Return what is said of a route and one of its parents: status and reason, by the type of condition.

    Every controller says it for itself; what it says of an earlier generation of the route does not count, nor does
    what cannot be read.
    """
    said: dict[str, list[tuple[str, str]]] = {}
    generation = route.get("metadata", {}).get("generation")
    for entry in _objects(_object(route.get("status")).get("parents")):
        if _object(entry.get("parentRef")).get("name") != parent:
            continue
        for condition in _objects(entry.get("conditions")):
            if condition.get("observedGeneration", generation) == generation:
                status, reason = str(condition.get("status")), str(condition.get("reason"))
                said.setdefault(str(condition.get("type")), []).append((status, reason))
    return said


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (entry for entry in value if isinstance(entry, Mapping)) if isinstance(value, list) else ()
