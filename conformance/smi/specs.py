"""HTTPRouteGroup, TCPRoute and UDPRoute, written once and rendered for the served version.

Source: SMI v0.6.0, `apis/traffic-specs` (v1alpha1 to v1alpha4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conformance.cluster import Object
from conformance.smi.apis import SPECS, HeaderShape, NotExpressible, ServedApis

_WITH_SPEC: Final = frozenset({"v1alpha3", "v1alpha4"})
_WITH_HEADERS: Final = frozenset({"v1alpha2", "v1alpha3", "v1alpha4"})
_WITH_PORTS: Final = frozenset({"v1alpha4"})


@dataclass(frozen=True)
class HTTPMatch:
    """One match of an HTTPRouteGroup: path, methods and headers that must all hold.

    `headers` maps a header's name to a regular expression on its value. A path expression that is None, and methods
    that are None, are left out.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    path_regex: str | None = None
    methods: Sequence[str] | None = None


EVERYTHING: Final = HTTPMatch("everything", path_regex=".*", methods=["*"])
"""A match of any request, said as the specification says it (HRG-012)."""


def http_route_group(apis: ServedApis, name: str, namespace: str, matches: Sequence[HTTPMatch]) -> Object:
    """Render an HTTPRouteGroup. Raises NotExpressible where the served version has no header matches, NotServed."""
    version = apis.spoken(SPECS, "HTTPRouteGroup")
    rendered = [_render_match(match, version, apis.header_shape) for match in matches]
    body: Object = {"matches": rendered}
    return _object("HTTPRouteGroup", version, name, namespace) | ({"spec": body} if version in _WITH_SPEC else body)


def tcp_route(apis: ServedApis, name: str, namespace: str, ports: Sequence[int] | None = None) -> Object:
    """Render a TCPRoute that selects these ports, or all: with an empty list, or saying nothing of ports (None).

    Raises NotExpressible where the served version has no ports, NotServed.
    """
    return _route(apis, "TCPRoute", name, namespace, ports)


def udp_route(apis: ServedApis, name: str, namespace: str, ports: Sequence[int] | None = None) -> Object:
    """Render a UDPRoute, as `tcp_route`. UDPRoute came with v1alpha4."""
    return _route(apis, "UDPRoute", name, namespace, ports)


def has_ports(apis: ServedApis) -> bool:
    """Tell whether TCPRoutes say ports in the served version; before v1alpha4 only TrafficTargets did."""
    return apis.version(SPECS, "TCPRoute") in _WITH_PORTS


def _route(apis: ServedApis, kind: str, name: str, namespace: str, ports: Sequence[int] | None) -> Object:
    version = apis.spoken(SPECS, kind)
    rendered = _object(kind, version, name, namespace)
    if version not in _WITH_PORTS:
        if ports:
            raise NotExpressible(f"{kind} {version} has no `ports`; they came with v1alpha4")
        return rendered | ({"spec": {}} if version in _WITH_SPEC else {})
    return rendered | {"spec": {} if ports is None else {"matches": {"name": name, "ports": list(ports)}}}


def _object(kind: str, version: str, name: str, namespace: str) -> Object:
    return {"apiVersion": f"{SPECS}/{version}", "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _render_match(match: HTTPMatch, version: str, shape: HeaderShape) -> Object:
    rendered: Object = {"name": match.name}
    if match.path_regex is not None:
        rendered["pathRegex"] = match.path_regex
    if match.methods is not None:
        rendered["methods"] = list(match.methods)
    if match.headers:
        if version not in _WITH_HEADERS:
            raise NotExpressible(f"HTTPRouteGroup {version} has no `headers`; they came with v1alpha2")
        rendered["headers"] = (
            dict(match.headers) if shape == "map" else [{name: value} for name, value in match.headers.items()]
        )
    return rendered
