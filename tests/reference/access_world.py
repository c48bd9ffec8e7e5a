"""The guarded workload of the access tests, on the small made-up cluster: a server, and clients with and without."""

from __future__ import annotations

from dataclasses import replace

from mesh_world import ADDRESSES, NAMESPACE, World, pod

from conformance.sandbox.reference.model import (
    Account,
    Endpoint,
    HeaderMatch,
    Match,
    PortRoute,
    RouteGroup,
    ServicePort,
    Target,
    TargetRule,
)

SERVER = "v1"
PORTS = (ServicePort("http", 8080), ServicePort("admin", 9090), ServicePort("tcp", 7070, http=False),
         ServicePort("tcp-alt", 7072, http=False))
UDP_PORTS = (7071, 7073)


class AccessWorld(World):
    """A server `v1` behind Service `root`, clients `client` and `second`; deny by default."""

    def __init__(self) -> None:
        super().__init__()
        self.deny_by_default = True
        self.open: frozenset[str] = frozenset()
        self.service_ranges: tuple[str, ...] = ()
        self.targets: list[Target] = []
        self.tcp_routes: dict[tuple[str, str], PortRoute] = {}
        self.udp_routes: dict[tuple[str, str], PortRoute] = {}
        self.service("root", SERVER, ports=PORTS)
        (endpoint,) = self.endpoints[NAMESPACE, "root"]
        self.endpoints[NAMESPACE, "root"] = (Endpoint(endpoint.address, endpoint.ports, UDP_PORTS),)

    def match_group(self, name, *matches: Match) -> RouteGroup:
        """Add a route group of these matches."""
        group = RouteGroup(NAMESPACE, name, matches)
        self.groups[group.key] = group
        return group

    def port_route(self, kind, name, *ports) -> None:
        """Add a TCPRoute or UDPRoute."""
        routes = self.tcp_routes if kind == "TCPRoute" else self.udp_routes
        routes[NAMESPACE, name] = PortRoute(NAMESPACE, name, ports)

    def target(self, *rules, sources=("client",), destination=SERVER, **fields) -> Target:
        """Add a target; a rule is `kind/name` or `kind/name/match,match`."""
        number = len(self.targets) + 1
        made = Target(NAMESPACE, f"target-{number}", account(destination), tuple(map(_rule, rules)),
                      tuple(map(account, sources)), **{"uid": f"uid-target-{number}"} | fields)
        self.targets.append(made)
        return made

    def change(self, name, **fields) -> None:
        """Replace a pod."""
        address = ADDRESSES[name]
        self.pods[address] = replace(self.pods[address], **fields)

    def snapshot(self):
        return replace(super().snapshot(), targets=tuple(self.targets), tcp_routes=dict(self.tcp_routes),
                       udp_routes=dict(self.udp_routes), deny_by_default=self.deny_by_default, open=self.open,
                       service_ranges=self.service_ranges)


def account(name: str) -> Account:
    """The account of that name, `namespace/name` for one elsewhere."""
    namespace, _, name = name.rpartition("/")
    return Account(namespace or NAMESPACE, name)


def identity(name: str) -> str:
    """The SPIFFE id of a pod's account."""
    return pod(name).identity


def match(name="m", path="", methods=(), **headers) -> Match:
    """A match; headers by name with `_` for `-`."""
    return Match(name, tuple(HeaderMatch(key.replace("_", "-"), value) for key, value in headers.items()), path,
                 tuple(methods))


def _rule(text: str) -> TargetRule:
    kind, name, *matches = text.split("/")
    return TargetRule(kind, name, tuple(matches[0].split(",")) if matches else ())
