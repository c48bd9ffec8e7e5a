"""Mutants that do something else with HTTPRoutes than they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar

from conformance.sandbox.reference.behaviour import View
from conformance.sandbox.reference.http_route import HTTPRoute, RequestMatch, RouteBackend, RouteRule
from conformance.sandbox.reference.model import Key, Service, ServicePort, Snapshot
from conformance.sandbox.reference.plan import Rule
from conformance.sandbox.reference.routing import Condition
from conformance.sandbox.reference.translate import Translation

_HUNDRED = Fraction(100)

Weighted = list[tuple[RouteBackend, Fraction]]


# --- by weight ---


class SkewedWeights(Translation):
    """Serves 90 to 10 as 84 to 16."""

    def backends(self, rule: RouteRule) -> Weighted:
        weighted = super().backends(rule)
        served = {90: Fraction(84), 10: Fraction(16)}
        if sorted(weight for _, weight in weighted) != [10, 90]:
            return weighted
        return [(backend, served[int(weight)]) for backend, weight in weighted]


class ClampedWeights(Translation):
    """Takes weights for percentages: what is above 100 becomes 100."""

    def backends(self, rule: RouteRule) -> Weighted:
        return [(backend, min(weight, _HUNDRED)) for backend, weight in super().backends(rule)]


class ZeroIsOne(Translation):
    """Takes 0 for 1 beside a backend that has a weight."""

    def backends(self, rule: RouteRule) -> Weighted:
        weighted = super().backends(rule)
        if not any(weight for _, weight in weighted):
            return weighted
        return [(backend, weight or Fraction(1)) for backend, weight in weighted]


class SingleBackendIgnored(Translation):
    """Sends traffic to the Service itself where a single backend is to get all of it.

    Not where the Service has several ports, nor where that backend is missing: those are situations of other checks.
    """

    def divided(self, service: Service, port: ServicePort, match: RequestMatch, rule: RouteRule) -> list[Rule]:
        ignored = (len(rule.backends) == 1 and rule.matches == (RequestMatch(),) and len(service.ports) == 1
                   and self.backend(rule.backends[0]) is not None)
        return [Rule(self.plain(service, port))] if ignored else super().divided(service, port, match, rule)


class ZeroEndsRoute(Translation):
    """Sends traffic to the Service itself where one backend has weight 0 and another has not."""

    def divided(self, service: Service, port: ServicePort, match: RequestMatch, rule: RouteRule) -> list[Rule]:
        given = [bool(weight) for _, weight in self.backends(rule)]
        if any(given) and not all(given):
            return [Rule(self.plain(service, port), request=match)]
        return super().divided(service, port, match, rule)


class NoWeightIgnored(Translation):
    """Sends traffic to the Service itself where no backend has a weight."""

    def divided(self, service: Service, port: ServicePort, match: RequestMatch, rule: RouteRule) -> list[Rule]:
        if any(weight for _, weight in self.backends(rule)):
            return super().divided(service, port, match, rule)
        return [Rule(self.plain(service, port), request=match)]


class MissingLeftOut(Translation):
    """Gives the share of a backend that does not exist to the others."""

    def backends(self, rule: RouteRule) -> Weighted:
        weighted = super().backends(rule)
        there = [(backend, weight) for backend, weight in weighted if self.backend(backend) is not None]
        return there or weighted


class MissingUnavailable(Translation):
    """Answers 503 for a backend that does not exist."""

    def refusal(self, rule: RouteRule) -> int:
        return 503 if any(self.backend(backend) is None for backend in rule.backends) else super().refusal(rule)


# --- by match ---


class HeadersOr(Translation):
    """Selects requests that have any of a match's headers."""

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        return tuple(replace(match, headers=(header,)) for header in match.headers) or (match,)


class PartsOr(Translation):
    """Selects requests by path or headers where a match has both."""

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        both = match.path != "/" and match.headers
        return (replace(match, headers=()), replace(match, path="/")) if both else (match,)


class OthersServed(Translation):
    """Sends requests that no rule matches to the Service itself, where the one rule is about headers and has a backend.

    Several backends are the situation of ROUTE-007.
    """

    def unmatched(self, service: Service, port: ServicePort, routes: list[HTTPRoute]) -> Rule:
        wrong = _one_match_of_headers(routes)
        return Rule(self.plain(service, port)) if wrong else super().unmatched(service, port, routes)


class OthersUnavailable(Translation):
    """Answers requests that no rule matches 503, in the same situation."""

    def unmatched(self, service: Service, port: ServicePort, routes: list[HTTPRoute]) -> Rule:
        wrong = _one_match_of_headers(routes)
        return Rule((), refusal=503) if wrong else super().unmatched(service, port, routes)


class FirstMatchOnly(Translation):
    """Looks at the first match of a rule only, where all are about headers."""

    def alternatives_of(self, rule: RouteRule) -> Iterator[RequestMatch]:
        matches = list(super().alternatives_of(rule))
        yield from matches[:1] if all(match.headers for match in matches) else matches


class ExactIsPrefix(Translation):
    """Takes an exact path for a prefix."""

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        return (replace(match, exact=False),)


class CaseIgnored(Translation):
    """Takes a path in capitals for the exact path as well."""

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        return (match, replace(match, path=match.path.title())) if match.exact else (match,)


class PrefixOfLetters(Translation):
    """Matches a prefix letter by letter: `/itemsx` as well as `/items`."""

    letters: ClassVar[tuple[str, ...]] = tuple("abcdefghijklmnopqrstuvwxyz")

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        if match.exact or match.path == "/":
            return (match,)
        return match, *(replace(match, path=match.path + letter) for letter in self.letters)


class PrefixIsExact(Translation):
    """Takes a prefix for the exact path where a single rule has one match, of a path alone."""

    def in_order(self, routes: list[HTTPRoute]) -> list[tuple[RequestMatch, RouteRule]]:
        ordered = super().in_order(routes)
        if len(ordered) != 1 or ordered[0][0] != RequestMatch(ordered[0][0].path) or ordered[0][0].path == "/":
            return ordered
        return [(replace(match, exact=True), rule) for match, rule in ordered]


class MethodIgnored(Translation):
    """Does not look at the method."""

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        return (replace(match, method=""),)


class FirstRuleFirst(Translation):
    """Takes the first rule that matches, in the order in which they were written."""

    def in_order(self, routes: list[HTTPRoute]) -> list[tuple[RequestMatch, RouteRule]]:
        return [(match, rule) for route in routes for rule in route.rules for match in self.alternatives_of(rule)]


# --- for which port ---


class PortIgnored(Translation):
    """Takes a route that names a port for one of all ports."""

    def is_for(self, route: HTTPRoute, service: Service, port: ServicePort) -> bool:  # noqa: ARG002
        return True


class FirstPortOnly(Translation):
    """Takes a route that names no port for one of the first."""

    def is_for(self, route: HTTPRoute, service: Service, port: ServicePort) -> bool:
        named = any(parent.port for parent in route.parents)
        return super().is_for(route, service, port) and (named or port == service.ports[0])


# --- what is said ---


class NothingSaid(Translation):
    """Writes no conditions."""

    def reported(self, route: HTTPRoute) -> tuple[Condition, ...]:  # noqa: ARG002
        return ()


class AllResolved(Translation):
    """Says that everything is there that a route names."""

    def resolved(self, route: HTTPRoute) -> Condition:  # noqa: ARG002
        return "ResolvedRefs", True, "ResolvedRefs", "all backends are there"


# --- what was true before ---


def first_weights() -> View:
    """Keep the rules that a route had at first."""
    first: dict[str, tuple[RouteRule, ...]] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, routes=tuple(
            replace(route, rules=first.setdefault(route.uid or "/".join(route.key), route.rules))
            for route in snapshot.routes
        ))
    return view


def added_backends() -> View:
    """Ignore backends that the rules of a route did not name at first."""
    first: dict[str, frozenset[Key | None]] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        def old(route: HTTPRoute) -> HTTPRoute:
            named = frozenset(backend.key for rule in route.rules for backend in rule.backends)
            kept = first.setdefault(route.uid or "/".join(route.key), named)
            return replace(route, rules=tuple(
                replace(rule, backends=tuple(backend for backend in rule.backends if backend.key in kept))
                for rule in route.rules
            ))

        return replace(snapshot, routes=tuple(map(old, snapshot.routes)))
    return view


def deleted_routes() -> View:
    """Keep routes that have been deleted, while their parent exists and no other route is for it."""
    known: dict[Key, HTTPRoute] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        present = {(route.namespace, parent.service): route for route in snapshot.routes for parent in route.parents}
        known.update(present)
        for parent in [parent for parent in known if parent not in snapshot.services]:
            del known[parent]
        kept = tuple(route for parent, route in known.items() if parent not in present)
        return replace(snapshot, routes=(*snapshot.routes, *kept))
    return view


def _one_match_of_headers(routes: list[HTTPRoute]) -> bool:
    rules = [rule for route in routes for rule in route.rules]
    return len(rules) == 1 and len(rules[0].backends) == 1 and [match.path for match in rules[0].matches] == ["/"] \
        and bool(rules[0].matches[0].headers)
