"""What the mesh does with HTTPRoutes: one rule of the Gateway API a method. A mutant overrides one of them.

Choices where the specification is silent:

* Where a Service has HTTPRoutes and a TrafficSplit, the routes are in force and the split is not.
* Weights that are all 0, and rules without backends, are answered 500 (ROUTE-017).
* A backend without ready endpoints keeps its share, which is answered 503.
* Routes are for ports that carry HTTP; traffic for others goes to the Service itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from typing import Final

from conformance.sandbox.reference.access import Access
from conformance.sandbox.reference.http_route import HTTPRoute, RequestMatch, RouteBackend, RouteRule
from conformance.sandbox.reference.model import Key, Service, ServicePort
from conformance.sandbox.reference.plan import Destination, Rule, Share
from conformance.sandbox.reference.weights import whole

NO_RULE: Final = 404
NO_BACKEND: Final = 500

Condition = tuple[str, bool, str, str]
"""Type, whether it is so, reason, and what people are told."""


class Routing(Access):
    """The part of the mesh's behaviour that HTTPRoutes ask for."""

    def destination(self, service: Service, port: ServicePort) -> Destination:
        """Return a Service's endpoints for one of its ports."""
        raise NotImplementedError

    def routed(self, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        """Return what happens to requests for a port of a Service that has routes; nothing where it has none."""
        routes = self.routes_of(service, port) if port.http else []
        if not routes:
            return ()
        found = [one for match, rule in self.in_order(routes) for one in self.divided(service, port, match, rule)]
        return (*found, self.unmatched(service, port, routes))

    # --- which routes ---

    def routes_of(self, service: Service, port: ServicePort) -> list[HTTPRoute]:
        """Return the routes for a port of a Service, the oldest first."""
        return [route for route in self._routes_by_parent.get(service.key, ())
                if not route.unsupported and self.is_for(route, service, port)]

    def is_for(self, route: HTTPRoute, service: Service, port: ServicePort) -> bool:
        """Tell whether a route of a Service is for a port of it: for the one that it names, else for every one."""
        numbers = [parent.port for parent in route.parents if parent.service == service.name]
        return None in numbers or port.number in numbers

    @cached_property
    def _routes_by_parent(self) -> dict[Key, list[HTTPRoute]]:
        found: dict[Key, list[HTTPRoute]] = {}
        for route in sorted(self.snapshot.routes, key=lambda route: route.age):
            for service in dict.fromkeys(parent.service for parent in route.parents):
                found.setdefault((route.namespace, service), []).append(route)
        return found

    # --- which requests ---

    def in_order(self, routes: list[HTTPRoute]) -> list[tuple[RequestMatch, RouteRule]]:
        """Return the matches of all rules, those that decide first at the head; ties stay in the order given."""
        matches = [(match, rule) for route in routes for rule in route.rules for match in self.alternatives_of(rule)]
        return sorted(matches, key=lambda entry: entry[0].precedence)

    def alternatives_of(self, rule: RouteRule) -> Iterator[RequestMatch]:
        """Yield the matches of a rule, of which any is enough."""
        for match in rule.matches:
            yield from self.meant(match)

    def meant(self, match: RequestMatch) -> tuple[RequestMatch, ...]:
        """Return the conditions that one match stands for: one, of all its parts together."""
        return (match,)

    def unmatched(self, service: Service, port: ServicePort, routes: list[HTTPRoute]) -> Rule:  # noqa: ARG002
        """Return what happens to requests that no rule matches: they are refused (ROUTE-008)."""
        return Rule((), refusal=NO_RULE)

    # --- where they go ---

    def divided(self, service: Service, port: ServicePort, match: RequestMatch, rule: RouteRule) -> list[Rule]:  # noqa: ARG002
        """Return what happens to the requests of one match: the share of what is missing is refused (ROUTE-016)."""
        there: dict[Destination, Fraction] = {}
        missing = Fraction(0)
        for backend, weight in self.backends(rule):
            target = self.backend(backend)
            if target is None:
                missing += weight
            else:
                there[target] = there.get(target, Fraction(0)) + weight
        weighing = {target: weight for target, weight in there.items() if weight}
        total = sum(weighing.values(), missing)
        if not weighing:
            return [Rule((), request=match, refusal=self.refusal(rule))]
        shares = tuple(Share(*pair) for pair in zip(weighing, whole(list(weighing.values())), strict=True))
        refused = Rule((), request=match, refusal=self.refusal(rule), portion=missing / total)
        return [*([refused] if missing else []), Rule(shares, request=match)]

    def backends(self, rule: RouteRule) -> list[tuple[RouteBackend, Fraction]]:
        """Return the backends of a rule with the weight that each has."""
        return [(backend, Fraction(backend.weight)) for backend in rule.backends]

    def backend(self, backend: RouteBackend) -> Destination | None:
        """Return where a backend's share goes: to its own endpoints, whatever routes it has. None if it is missing."""
        service = self.snapshot.services.get(backend.key) if backend.key else None
        port = service.port(backend.port) if service and backend.port else None
        return self.destination(service, port) if service and port else None

    def refusal(self, rule: RouteRule) -> int:  # noqa: ARG002
        """Return how requests are answered for which a rule has no backend."""
        return NO_BACKEND

    # --- what is said of them ---

    def reported(self, route: HTTPRoute) -> tuple[Condition, ...]:
        """Return what the status of a route says to each of its parents."""
        if route.unsupported:
            return (("Accepted", False, "UnsupportedValue", f"not implemented: {route.unsupported}"),)
        missing = [parent.service for parent in route.parents
                   if (route.namespace, parent.service) not in self.snapshot.services]
        accepted = ("Accepted", True, "Accepted", "in effect for clients of the mesh") if not missing else \
            ("Accepted", False, "NoMatchingParent", f"there is no Service {missing[0]}")
        return accepted, self.resolved(route)

    def resolved(self, route: HTTPRoute) -> Condition:
        """Return whether all that a route names is there."""
        backends = [backend for rule in route.rules for backend in rule.backends]
        if any(backend.key is None for backend in backends):
            return "ResolvedRefs", False, "InvalidKind", "a backend is no Service"
        gone = [backend for backend in backends if self.backend(backend) is None]
        if gone and gone[0].key:
            return "ResolvedRefs", False, "BackendNotFound", \
                f"there is no Service {'/'.join(gone[0].key)} with port {gone[0].port}"
        return "ResolvedRefs", True, "ResolvedRefs", "all backends are there"
