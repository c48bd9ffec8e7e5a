"""Who may use what of a pod, by TrafficTargets: one rule of the specification a method.

A mutant is a subclass that overrides one of them. Nothing here knows Kubernetes objects or Envoy.

Choices where the specification is silent:

* A subject without a namespace is in the namespace of its target (TARGET-023).
* A rule whose route is missing grants nothing, nor does a match that is named and missing (TARGET-023).
* In one target TCPRoutes and HTTPRouteGroups both constrain a port that carries HTTP: the port has to be one of a
  TCPRoute, the request one of a group (TARGET-012). A port that carries other TCP needs a TCPRoute only, as route
  groups apply to HTTP alone (HRG-014). UDP needs a UDPRoute.
* A port is the one that the pod listens on, which a Service may call by another number.
* A path is matched as it was sent, without its query string (HRG-015), and a header's value as a whole.
* An expression that Envoy cannot take selects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from conformance.sandbox.reference import headers
from conformance.sandbox.reference.model import (
    Account,
    Key,
    Match,
    Pod,
    PortRoute,
    RouteGroup,
    RouteKind,
    Service,
    ServicePort,
    Snapshot,
    Target,
    TargetRule,
)
from conformance.sandbox.reference.plan import ANYONE, Grant, Permission, Policy

ANY_METHOD: Final = "*"


class Access:
    """The reference mesh's access control, for one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    # --- where it is enforced: at the server, whoever calls (TARGET-013) ---

    def is_enforced(self, pod: Pod) -> bool:
        """Tell whether only what targets allow reaches a pod."""
        return self.snapshot.deny_by_default and pod.namespace not in self.snapshot.open

    def inbound_policy(self, pod: Pod, port: int, *, http: bool) -> Policy | None:
        """Return what clients of the mesh may do at a TCP port of a pod."""
        return self.granted(pod, self.http_permissions if http else self.tcp_permissions, port) \
            if self.is_enforced(pod) else None

    def outside_policy(self, pod: Pod, port: int, *, http: bool) -> Policy | None:
        """Return what clients without an identity may do at a TCP port: nothing but what the node's probes ask for."""
        if not self.is_enforced(pod):
            return None
        paths = [f"{re.escape(probe.path)}$" for probe in pod.probes if http and probe.port == port]
        probes = [Match("probe", path_regex=path, methods=("GET",)) for path in dict.fromkeys(paths)]
        permissions = tuple(permission for probe in probes for permission in self.of_match(probe))
        return (Grant(ANYONE, permissions),) if permissions else ()

    def datagram_sources(self, pod: Pod, port: int) -> tuple[str, ...] | None:
        """Return the addresses whose datagrams a UDP port of a pod takes.

        UDP carries no certificate, so a pod's address stands for its identity.
        """
        if not self.is_enforced(pod):
            return None
        granted = {identity for grant in self.granted(pod, self.udp_permissions, port) for identity in grant.identities}
        return tuple(sorted(address for address, source in self.snapshot.pods.items()
                            if source.meshed and source.identity in granted))

    def client_policy(self, client: Pod, service: Service, port: ServicePort) -> Policy | None:  # noqa: ARG002
        """Return what the client's own sidecar lets out: everything, as the server decides (TARGET-014)."""
        return None

    # --- which targets ---

    def granted(self, pod: Pod, permissions: Callable[[Target, int], tuple[Permission, ...]], port: int) -> Policy:
        """Return the union of what all targets on a pod grant at a port (TARGET-001, TARGET-015)."""
        grants = (Grant(self.identities(target), permissions(target, port)) for target in self.targets_of(pod))
        return tuple(dict.fromkeys(grant for grant in grants if grant.identities and grant.permissions))

    def targets_of(self, pod: Pod) -> list[Target]:
        """Return the targets whose destination is a pod's service account (TARGET-005, TARGET-006)."""
        return [target for target in self.snapshot.targets if target.destination == pod.account]

    def identities(self, target: Target) -> tuple[str, ...]:
        """Return the SPIFFE ids of a target's sources; without any there is nobody to grant to (TARGET-007)."""
        return tuple(dict.fromkeys(source.identity for source in self.sources(target)))

    def sources(self, target: Target) -> tuple[Account, ...]:
        """Return the service accounts that a target allows: each of its sources (TARGET-019)."""
        return target.sources

    # --- what of a port ---

    def http_permissions(self, target: Target, port: int) -> tuple[Permission, ...]:
        """Return which requests a target allows at a port that carries HTTP; none without rules (TARGET-007)."""
        groups, routes = rules_of(target, "HTTPRouteGroup"), rules_of(target, "TCPRoute")
        if not self.is_for_port(target, port) or (routes and not self.has_port(target, routes, port)):
            return ()
        if not groups:
            return (Permission(),) if routes else ()
        matches = (match for rule in groups for match in self.matches(target, rule))
        return tuple(dict.fromkeys(permission for match in matches for permission in self.of_match(match)))

    def tcp_permissions(self, target: Target, port: int) -> tuple[Permission, ...]:
        """Return whether a target allows connections to a port that carries other TCP."""
        routes = rules_of(target, "TCPRoute")
        return (Permission(),) if self.is_for_port(target, port) and self.has_port(target, routes, port) else ()

    def udp_permissions(self, target: Target, port: int) -> tuple[Permission, ...]:
        """Return whether a target allows datagrams to a port."""
        routes = rules_of(target, "UDPRoute")
        return (Permission(),) if self.is_for_port(target, port) and self.has_port(target, routes, port) else ()

    def is_for_port(self, target: Target, port: int) -> bool:
        """Tell whether a target's own `port`, which versions before v1alpha3 have, leaves a port in."""
        return target.port in (None, port)

    def has_port(self, target: Target, rules: tuple[TargetRule, ...], port: int) -> bool:
        """Tell whether one of a target's TCPRoutes or UDPRoutes has a port."""
        found = (self.route(target.namespace, rule) for rule in rules)
        return any(self.selects(route, port) for route in found if route is not None)

    def selects(self, route: PortRoute, port: int) -> bool:
        """Tell whether a route has a port: without any it has all (TARGET-010, TARGET-011, TCP-001, TCP-002)."""
        return not route.ports or port in route.ports

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        """Return the TCPRoute or UDPRoute that a rule names, in the namespace of the target."""
        routes = self.snapshot.tcp_routes if rule.kind == "TCPRoute" else self.snapshot.udp_routes
        return routes.get((namespace, rule.name))

    # --- which requests ---

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        """Return the matches that a rule takes of its route group: those it names, or all (TARGET-008, TARGET-009)."""
        group = self.group((target.namespace, rule.name))
        return [match for match in group.matches if not rule.matches or match.name in rule.matches] if group else []

    def group(self, key: Key) -> RouteGroup | None:
        """Return a route group."""
        return self.snapshot.groups.get(key)

    def of_match(self, match: Match) -> list[Permission]:
        """Return the permissions that a match stands for: one, of path, method and headers together (HRG-009)."""
        if headers.troubles(match):
            return []
        return [Permission(self.path(match), self.methods(match), match.headers)]

    def path(self, match: Match) -> str:
        """Return the expression for the start of the path; empty for any (HRG-003, HRG-010)."""
        return match.path_regex

    def methods(self, match: Match) -> tuple[str, ...]:
        """Return the methods of a match; none for any (HRG-004, HRG-005, HRG-010)."""
        return () if ANY_METHOD in match.methods else match.methods


def rules_of(target: Target, kind: RouteKind) -> tuple[TargetRule, ...]:
    """Return a target's rules of one kind."""
    return tuple(rule for rule in target.rules if rule.kind == kind)
