"""Mutants that take the wrong requests or ports for those that a route selects."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from conformance.sandbox.mutants import access_memory
from conformance.sandbox.mutants.mutant import Mutant
from conformance.sandbox.reference.access import ANY_METHOD
from conformance.sandbox.reference.behaviour import Behaviour, View
from conformance.sandbox.reference.model import HeaderMatch, Key, Match, PortRoute, Snapshot, Target, TargetRule
from conformance.sandbox.reference.plan import Permission
from conformance.sandbox.reference.translate import Translation

Permissions = list[Permission]
_ANY_PATH: Final = ".*"
_FIVE: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class HTTP2Denied(Translation):
    """Applies route groups to HTTP/1.1 only, and lets no HTTP/2 in."""

    def of_match(self, match: Match) -> Permissions:
        return [replace(permission, version="HTTP/1.1") for permission in super().of_match(match)]


class HTTP2Unchecked(Translation):
    """Applies route groups to HTTP/1.1 only, and lets a source send any HTTP/2."""

    def of_match(self, match: Match) -> Permissions:
        return [*super().of_match(match), Permission(version="HTTP/2")]


class NamesOfAllGroups(Translation):
    """Looks for the matches that a rule names in all route groups of the namespace."""

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        if not rule.matches:
            return super().matches(target, rule)
        return [match for group in self.snapshot.groups.values() if group.namespace == target.namespace
                for match in group.matches if match.name in rule.matches]


class PathUnanchored(Translation):
    """Finds the expression of a path anywhere in it."""

    def path(self, match: Match) -> str:
        return f".*(?:{match.path_regex})" if match.path_regex else ""


class PathWhole(Translation):
    """Takes the expression of a path for all of it."""

    def path(self, match: Match) -> str:
        return f"(?:{match.path_regex})$" if match.path_regex else ""


class PathLiteral(Translation):
    """Takes the expression of a path for the characters that a path begins with, but knows `.*`."""

    def path(self, match: Match) -> str:
        return match.path_regex if match.path_regex == _ANY_PATH else re.escape(match.path_regex)


class PathCaseIgnored(Translation):
    """Takes capital letters in a path for small ones."""

    def path(self, match: Match) -> str:
        return f"(?i:{match.path_regex})" if match.path_regex else ""


class MethodsIgnored(Translation):
    """Does not look at methods."""

    def methods(self, match: Match) -> tuple[str, ...]:  # noqa: ARG002
        return ()


class SeveralMethodsAny(Translation):
    """Looks at the method only where a match has a single one."""

    def methods(self, match: Match) -> tuple[str, ...]:
        return super().methods(match) if len(match.methods) == 1 else ()


class StarWithoutPatch(Translation):
    """Takes `*` for the methods that HTTP/1.1 came with, which PATCH is not one of."""

    def methods(self, match: Match) -> tuple[str, ...]:
        known = ("GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE")
        return known if ANY_METHOD in match.methods else super().methods(match)


class StarIsFive(Translation):
    """Takes `*` for five methods, of which HEAD and OPTIONS are none."""

    def methods(self, match: Match) -> tuple[str, ...]:
        return _FIVE if ANY_METHOD in match.methods else super().methods(match)


class HeadersIgnored(Translation):
    """Does not look at headers (linkerd2#7155)."""

    def of_match(self, match: Match) -> Permissions:
        return super().of_match(replace(match, headers=()))


class HeaderValueIgnored(Translation):
    """Looks whether a header is there, not at its value, where a match is for one header and nothing else."""

    def of_match(self, match: Match) -> Permissions:
        if len(match.headers) == 1 and not match.path_regex and not match.methods:
            match = replace(match, headers=(HeaderMatch(match.headers[0].name, ".*"),))
        return super().of_match(match)


class HeadersOr(Translation):
    """Takes any of a match's headers for all of them."""

    def of_match(self, match: Match) -> Permissions:
        alternatives = [replace(match, headers=(header,)) for header in match.headers] or [match]
        return [permission for one in alternatives for permission in super(HeadersOr, self).of_match(one)]


class ThirdMatchIgnored(Translation):
    """Takes no more than two matches of a route group."""

    def matches(self, target: Target, rule: TargetRule) -> list[Match]:
        return super().matches(target, rule)[:2]


class PartsOr(Translation):
    """Takes any of a match's path, methods and headers for all, where it has all three."""

    def of_match(self, match: Match) -> Permissions:
        if not (match.path_regex and match.methods and match.headers):
            return super().of_match(match)
        bare = Match(match.name)
        parts = (replace(bare, path_regex=match.path_regex), replace(bare, methods=match.methods),
                 replace(bare, headers=match.headers))
        return [permission for part in parts for permission in super(PartsOr, self).of_match(part)]


class HeadersDroppedWithPath(Translation):
    """Does not look at the headers of a match that has a path."""

    def of_match(self, match: Match) -> Permissions:
        return super().of_match(replace(match, headers=()) if match.path_regex else match)


class NoMethodsIsGet(Translation):
    """Takes GET for the methods of a match that has none."""

    def methods(self, match: Match) -> tuple[str, ...]:
        return super().methods(match) if match.methods else ("GET",)


class NoMethodsIsFive(Translation):
    """Takes five methods for those of a match that has none."""

    def methods(self, match: Match) -> tuple[str, ...]:
        return super().methods(match) if match.methods else _FIVE


class NoPathIsRoot(Translation):
    """Takes `/` for the path of a match that has none."""

    def path(self, match: Match) -> str:
        return match.path_regex or "/$"


class EverythingIsOneSegment(Translation):
    """Takes the path `.*` for a single segment."""

    def path(self, match: Match) -> str:
        return "/[^/]*$" if match.path_regex == _ANY_PATH else match.path_regex


class FullNameUnknown(Translation):
    """Applies route groups to requests for `service.namespace` only, not for the full domain name."""

    def of_match(self, match: Match) -> Permissions:
        short = HeaderMatch(":authority", r"[^.]*(?:\.[^.]*)?")
        return [replace(permission, headers=(*permission.headers, short)) for permission in super().of_match(match)]


class FirstPortOnly(Translation):
    """Takes the first port of a TCPRoute for all."""

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        route = super().route(namespace, rule)
        return replace(route, ports=route.ports[:1]) if route and rule.kind == "TCPRoute" else route


class FirstServicePort(Translation):
    """Takes the first port of each Service for all ports, in a TCPRoute that lists none."""

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        route = super().route(namespace, rule)
        if route is None or route.ports or rule.kind != "TCPRoute":
            return route
        services = (service for service in self.snapshot.services.values() if service.namespace == namespace)
        return replace(route, ports=tuple({service.ports[0].number for service in services if service.ports}))


class DatagramPortsIgnored(Translation):
    """Takes any UDPRoute for one of all ports."""

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        route = super().route(namespace, rule)
        return replace(route, ports=()) if route and rule.kind == "UDPRoute" else route


class NoDatagramPorts(Translation):
    """Takes a UDPRoute without ports for one that selects none."""

    def route(self, namespace: str, rule: TargetRule) -> PortRoute | None:
        route = super().route(namespace, rule)
        return None if rule.kind == "UDPRoute" and route and not route.ports else route


def late_groups_bound() -> View:
    """Bind a route group that nothing refers to, to all targets of its namespace, if it came after several of them."""
    known: dict[Key, bool] = {}
    before: list[str] = []

    def view(snapshot: Snapshot) -> Snapshot:
        for gone in [key for key in known if key not in snapshot.groups]:
            del known[gone]
        for key in snapshot.groups:
            known.setdefault(key, before.count(key[0]) > 1)
        before[:] = [target.namespace for target in snapshot.targets]
        bound = {(target.namespace, rule.name) for target in snapshot.targets for rule in target.rules}
        stray = [key for key, late in known.items() if late and key not in bound]
        return replace(snapshot, targets=tuple(
            replace(target, rules=(*target.rules, *(TargetRule("HTTPRouteGroup", name) for namespace, name in stray
                                                    if namespace == target.namespace)))
            for target in snapshot.targets
        ))
    return view


MUTANTS: Final = (
    Mutant("http2-denied", "what a route group selects may not be sent over HTTP/2",
           "HRG-001", Behaviour(HTTP2Denied)),
    Mutant("http2-unchecked", "a source may send anything over HTTP/2",
           "HRG-001", Behaviour(HTTP2Unchecked)),
    Mutant("match-names-shared", "a rule that names a match takes those of that name in other groups as well",
           "HRG-002", Behaviour(NamesOfAllGroups)),
    Mutant("path-unanchored", "pathRegex is found anywhere in the path",
           "HRG-003", Behaviour(PathUnanchored)),
    Mutant("path-fully-anchored", "pathRegex has to match the whole path",
           "HRG-003", Behaviour(PathWhole)),
    Mutant("path-literal", "pathRegex is taken for a prefix, letter by letter",
           "HRG-003", Behaviour(PathLiteral)),
    Mutant("path-case-ignored", "pathRegex does not tell capital letters from small ones",
           "HRG-003", Behaviour(PathCaseIgnored)),
    Mutant("methods-ignored", "methods are not looked at",
           "HRG-004", Behaviour(MethodsIgnored), may=("HRG-001", "HRG-008", "HRG-009", "HRG-010")),
    Mutant("several-methods-any", "a match that lists several methods is for any",
           "HRG-004", Behaviour(SeveralMethodsAny)),
    Mutant("star-without-patch", "`*` as a method does not stand for PATCH",
           "HRG-005", Behaviour(StarWithoutPatch)),
    Mutant("star-is-five", "`*` as a method stands neither for HEAD nor for OPTIONS",
           "HRG-005", Behaviour(StarIsFive)),
    Mutant("headers-ignored", "headers are not looked at (linkerd2#7155)",
           "HRG-006", Behaviour(HeadersIgnored), may=("HRG-007", "HRG-009")),
    Mutant("header-value-ignored", "a header has to be there, with any value",
           "HRG-006", Behaviour(HeaderValueIgnored)),
    Mutant("any-header-enough", "one of several headers of a match is enough to be let in",
           "HRG-007", Behaviour(HeadersOr)),
    Mutant("third-match-ignored", "from the third on, matches of a group select nothing",
           "HRG-008", Behaviour(ThirdMatchIgnored)),
    Mutant("first-matches-stay", "a route group keeps the matches that it had when it was made",
           "HRG-008", Behaviour(view=access_memory.first_matches)),
    Mutant("parts-or", "of path, methods and headers of a match one is enough",
           "HRG-009", Behaviour(PartsOr)),
    Mutant("headers-dropped-with-path", "headers are not looked at where a match has a path",
           "HRG-009", Behaviour(HeadersDroppedWithPath)),
    Mutant("no-methods-is-get", "a match without methods is for GET",
           "HRG-010", Behaviour(NoMethodsIsGet)),
    Mutant("no-methods-is-five", "a match without methods is neither for HEAD nor for OPTIONS",
           "HRG-010", Behaviour(NoMethodsIsFive)),
    Mutant("no-path-is-root", "a match without a path is for `/`",
           "HRG-010", Behaviour(NoPathIsRoot)),
    Mutant("everything-is-one-segment", "the path `.*` is for paths of one segment",
           "HRG-012", Behaviour(EverythingIsOneSegment)),
    Mutant("late-groups-bound", "a route group that comes after the targets is part of all of them",
           "HRG-013", Behaviour(view=late_groups_bound)),
    Mutant("full-name-unknown", "requests that name the Service by its full domain name are denied",
           "HRG-014", Behaviour(FullNameUnknown)),
    Mutant("first-tcp-port-only", "a TCPRoute selects the first port that it lists",
           "TCP-001", Behaviour(FirstPortOnly)),
    Mutant("first-service-port-only", "a TCPRoute without ports selects the first port of a Service",
           "TCP-002", Behaviour(FirstServicePort)),
    Mutant("udp-ports-ignored", "a UDPRoute selects all ports, whatever it lists",
           "UDP-001", Behaviour(DatagramPortsIgnored)),
    Mutant("no-udp-ports-no-access", "a UDPRoute without ports selects none",
           "UDP-002", Behaviour(NoDatagramPorts)),
)
