"""Mutants that let the wrong clients in, or keep the right ones out: those of TrafficTarget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from conformance.sandbox.mutants import access_memory
from conformance.sandbox.mutants.mutant import Mutant
from conformance.sandbox.reference.access import ANY_METHOD, rules_of
from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.model import (
    Account,
    Match,
    Pod,
    PortRoute,
    Service,
    ServicePort,
    Target,
    TargetRule,
)
from conformance.sandbox.reference.plan import ANYONE, Grant, Permission, Policy
from conformance.sandbox.reference.translate import Translation

Permissions = tuple[Permission, ...]
_ANYTHING: Final = (Permission(),)
_POLICY_LABEL: Final = ("reference-mesh/policy", "ignored")
_ACCESS: Final = tuple(f"TARGET-{number:03}" for number in range(1, 20) if number not in (12, 14))
"""The judged requirements of TrafficTarget."""


class OpenUntilNamed(Translation):
    """Enforces nothing at a pod whose service account no target names."""

    def is_enforced(self, pod: Pod) -> bool:
        return super().is_enforced(pod) and bool(self.targets_of(pod))


class PathsWhole(Translation):
    """Takes the expression of a path for all of it, so that nothing below a path is allowed."""

    def path(self, match: Match) -> str:
        return f"(?:{match.path_regex})$" if match.path_regex else ""


class NeighboursAllowed(Translation):
    """Lets in the accounts of the destination's own namespace where a target has a single source."""

    def sources(self, target: Target) -> tuple[Account, ...]:
        sources = super().sources(target)
        neighbours = (account for account in _accounts(self) if account.namespace == target.destination.namespace)
        return (*sources, *neighbours) if len(sources) == 1 else sources


class RouteIgnored(Translation):
    """Allows a target's single source everything where its single match has a path and any method."""

    def http_permissions(self, target: Target, port: int) -> Permissions:
        permissions = super().http_permissions(target, port)
        groups = [self.group((target.namespace, rule.name)) for rule in target.rules if not rule.matches]
        matches = [match for group in groups if group for match in group.matches]
        wrong = len(target.sources) == len(target.rules) == len(matches) == 1 and ANY_METHOD in matches[0].methods
        return _ANYTHING if permissions and wrong else permissions


class IdentityByLabel(Translation):
    """Takes whoever is labelled like one of an account's pods for that account, where its pods' labels differ."""

    def sources(self, target: Target) -> tuple[Account, ...]:
        return tuple(alike for source in super().sources(target) for alike in self._alike(source))

    def _alike(self, account: Account) -> tuple[Account, ...]:
        pods = self.snapshot.pods.values()
        roles = {role for pod in pods if pod.account == account and (role := dict(pod.labels).get("role"))}
        if len(roles) < 2:
            return (account,)
        return (account, *(pod.account for pod in pods if dict(pod.labels).get("role") in roles))


class FirstPodOnly(Translation):
    """Takes the oldest pod of a service account for all of the destination."""

    def targets_of(self, pod: Pod) -> list[Target]:
        same = [other for other in self.snapshot.pods.values() if other.account == pod.account]
        oldest = min(same, key=lambda other: (other.created, other.name), default=pod)
        return super().targets_of(pod) if oldest == pod else []


class NoRulesAllowAll(Translation):
    """Lets the sources of a target without rules do everything (traefik/mesh#747)."""

    def http_permissions(self, target: Target, port: int) -> Permissions:
        return super().http_permissions(target, port) if target.rules else _ANYTHING

    def tcp_permissions(self, target: Target, port: int) -> Permissions:
        return super().tcp_permissions(target, port) if target.rules else _ANYTHING


class NoSourcesAllowAll(Translation):
    """Lets everybody do what a target without sources allows."""

    def identities(self, target: Target) -> tuple[str, ...]:
        return super().identities(target) if target.sources else ANYONE


class MatchesIgnored(Translation):
    """Takes all of a route group for a rule that names some of its matches."""

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        return super().matches(target, replace(rule, matches=()))


class FirstMatchOnly(Translation):
    """Takes the first match of a route group for a rule that names none."""

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        matches = super().matches(target, rule)
        return matches if rule.matches else matches[:1]


class FirstRuleOnly(Translation):
    """Takes the first of several route groups for all that a target's rules name."""

    def targets_of(self, pod: Pod) -> list[Target]:
        return [replace(target, rules=(*rules_of(target, "HTTPRouteGroup")[:1],
                                       *(rule for rule in target.rules if rule.kind != "HTTPRouteGroup")))
                for target in super().targets_of(pod)]


class FirstNamedMatchOnly(Translation):
    """Takes the first of several matches that a rule names for all of them."""

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        return super().matches(target, replace(rule, matches=rule.matches[:1]))


class PortsIgnored(Translation):
    """Lets a target for some TCP ports open all of them."""

    def tcp_permissions(self, target: Target, port: int) -> Permissions:
        return _ANYTHING if rules_of(target, "TCPRoute") else super().tcp_permissions(target, port)


class NoPortsNoAccess(Translation):
    """Takes a TCPRoute without ports for one that selects none."""

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        route = super().route(namespace, rule)
        return None if rule.kind == "TCPRoute" and route and not route.ports else route


class ClientOnly(Translation):
    """Enforces HTTP and TCP in the clients' sidecars, unless they are told to ignore policy, and not at the server."""

    def inbound_policy(self, pod: Pod, port: int, *, http: bool) -> Policy | None:  # noqa: ARG002
        return None

    def outside_policy(self, pod: Pod, port: int, *, http: bool) -> Policy | None:  # noqa: ARG002
        return None

    def client_policy(self, client: Pod, service: Service, port: ServicePort) -> Policy | None:
        if _POLICY_LABEL in client.labels:
            return None
        policies = [
            super(ClientOnly, self).inbound_policy(pod, number, http=port.http)
            for endpoint in self.snapshot.endpoints.get(service.key, ())
            if (pod := self.snapshot.pod_at(endpoint.address)) and (number := endpoint.port(port.name)) is not None
        ]
        enforced = [policy for policy in policies if policy is not None]
        if not enforced:
            return None
        return tuple(Grant(ANYONE, grant.permissions) for policy in enforced for grant in policy
                     if client.identity in grant.identities)


class OutsidersAllowed(Translation):
    """Enforces nothing on clients without an identity."""

    def outside_policy(self, pod: Pod, port: int, *, http: bool) -> Policy | None:  # noqa: ARG002
        return None


class OwnTargetWins(Translation):
    """Takes nothing from later targets for a source that has a target for it alone, over HTTP."""

    def granted(self, pod: Pod, permissions: Callable[[Target, int], Permissions], port: int) -> Policy:
        if permissions != self.http_permissions:
            return super().granted(pod, permissions, port)
        served: set[Account] = set()
        grants = []
        for target in sorted(self.targets_of(pod), key=lambda target: (target.created, target.name)):
            identities = tuple(source.identity for source in target.sources if source not in served)
            grants.append(Grant(identities, permissions(target, port)))
            served |= set(target.sources) if len(target.sources) == 1 else set()
        return tuple(grant for grant in grants if grant.identities and grant.permissions)


class StarIsGetAndPost(Translation):
    """Takes `*` for the methods GET, HEAD and POST."""

    def methods(self, match: Match) -> tuple[str, ...]:
        return ("GET", "HEAD", "POST") if ANY_METHOD in match.methods else super().methods(match)


class DatagramsOpen(Translation):
    """Enforces nothing on UDP."""

    def datagram_sources(self, pod: Pod, port: int) -> tuple[str, ...] | None:  # noqa: ARG002
        return None


class DatagramsDenied(Translation):
    """Lets no UDP in where access is enforced."""

    def udp_permissions(self, target: Target, port: int) -> Permissions:  # noqa: ARG002
        return ()


class NamespaceOfSourceIgnored(Translation):
    """Takes an account of the same name in any namespace for a source."""

    def sources(self, target: Target) -> tuple[Account, ...]:
        names = {source.name for source in target.sources}
        return (*target.sources, *(account for account in _accounts(self) if account.name in names))


def _accounts(translation: Translation) -> Iterator[Account]:
    yield from dict.fromkeys(pod.account for pod in translation.snapshot.pods.values() if pod.meshed)


MUTANTS: Final = (
    Mutant("open-until-named", "a workload that no target names may be used by everybody",
           "TARGET-001", Behaviour(OpenUntilNamed)),
    Mutant("paths-whole", "a source may use the path that a route names, and nothing below it",
           "TARGET-002", Behaviour(PathsWhole)),
    Mutant("first-rule-only", "of several route groups a target allows the first",
           "TARGET-002", Behaviour(FirstRuleOnly)),
    Mutant("later-targets-dropped", "all targets but the first of a destination are silently dropped "
           "(as all were by Istio's adapter on a newer Istio)",
           "TARGET-002", Behaviour(view=access_memory.later_targets_dropped),
           may=tuple(name for name in _ACCESS if name not in ("TARGET-001", "TARGET-002"))),
    Mutant("neighbours-allowed", "accounts of the destination's namespace may do what a target's single source may",
           "TARGET-003", Behaviour(NeighboursAllowed)),
    Mutant("route-ignored", "a target's single source may use every path where the route is for any method",
           "TARGET-004", Behaviour(RouteIgnored)),
    Mutant("identity-by-label", "an account whose pods are labelled differently is taken for all pods labelled so",
           "TARGET-005", Behaviour(IdentityByLabel)),
    Mutant("first-pod-only", "a target opens only the oldest pod of its destination",
           "TARGET-006", Behaviour(FirstPodOnly)),
    Mutant("no-rules-allow-all", "a target without rules allows its sources everything (traefik/mesh#747)",
           "TARGET-007", Behaviour(NoRulesAllowAll)),
    Mutant("no-sources-allow-all", "a target without sources allows everybody what its rules say",
           "TARGET-007", Behaviour(NoSourcesAllowAll)),
    Mutant("matches-ignored", "a rule that names matches of a group allows all of the group",
           "TARGET-008", Behaviour(MatchesIgnored)),
    Mutant("first-named-match-only", "a rule that names several matches of a group allows the first of them",
           "TARGET-008", Behaviour(FirstNamedMatchOnly)),
    Mutant("first-match-only", "a rule that names no matches allows the first match of the group",
           "TARGET-009", Behaviour(FirstMatchOnly)),
    Mutant("ports-ignored", "a target for some TCP ports allows all of them",
           "TARGET-010", Behaviour(PortsIgnored)),
    Mutant("no-ports-no-access", "a TCPRoute without ports allows no port",
           "TARGET-011", Behaviour(NoPortsNoAccess)),
    Mutant("client-only", "policy is enforced by the clients' sidecars only, if they are not told to ignore it",
           "TARGET-013", Behaviour(ClientOnly)),
    Mutant("outsiders-allowed", "clients without a sidecar may use everything",
           "TARGET-013", Behaviour(OutsidersAllowed)),
    Mutant("own-target-wins", "a source with a target for it alone gets nothing from later ones",
           "TARGET-015", Behaviour(OwnTargetWins)),
    Mutant("first-sources-stay", "a target keeps the sources that it had when it was made",
           "TARGET-016", Behaviour(view=access_memory.first_sources)),
    Mutant("deleted-target-stays", "a target that was changed more than once stays in force when it is deleted",
           "TARGET-016", Behaviour(view=access_memory.deleted_targets)),
    Mutant("star-is-get-and-post", "`*` as a method stands for GET, HEAD and POST",
           "TARGET-017", Behaviour(StarIsGetAndPost)),
    Mutant("udp-open", "UDP is let in whatever targets say",
           "TARGET-018", Behaviour(DatagramsOpen)),
    Mutant("udp-denied", "UDP is denied whatever targets say",
           "TARGET-018", Behaviour(DatagramsDenied)),
    Mutant("source-namespace-ignored", "an account of a source's name in any namespace is let in",
           "TARGET-019", Behaviour(NamespaceOfSourceIgnored)),
)
