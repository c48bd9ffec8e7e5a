"""HTTPRoutes of one check, asked for in the same way as TrafficSplits (`conformance.splits`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conformance import gateway
from conformance.cluster import Object
from conformance.gateway import RouteMatch, RouteRule
from conformance.objects import Objects
from conformance.outcome import Nonconformance
from conformance.service import HTTP_PORT, Service
from conformance.smi import ServedApis
from conformance.splits import Settle
from conformance.waiting import NotConverged, NotYet, eventually

Weights = Mapping[Service, int]


@dataclass(frozen=True)
class Portion:
    """Requests that any of `matches` selects are divided by `weights`; without matches all requests are."""

    weights: Weights
    matches: tuple[RouteMatch, ...] = ()


class HTTPRoute:
    """An HTTPRoute that has been applied."""

    def __init__(self, routes: HTTPRoutes, obj: Object, root: Service, portions: Sequence[Portion], port: int) -> None:
        self._routes = routes
        self._object = obj
        self._root = root
        self._matches = portions[0].matches
        self._port = port

    def change(self, weights: Weights) -> None:
        """Replace the rules by one for the same requests, and wait until the mesh has taken that in."""
        rules = _rules([Portion(weights, self._matches)], self._port)
        self._routes.objects.change(self._object, {"rules": gateway.rendered(rules)})
        self._routes.settle()

    def delete(self) -> None:
        """Delete the route and wait until the mesh has taken that in."""
        self._routes.objects.delete(self._object)
        self._routes.settle()

    def reports(self, kind: str, status: str, reason: str = "") -> str:
        """Wait until a condition of the route has a status, and where it is given a reason; return what was said.

        Raises Nonconformance when that is not so within the mesh's limit.
        """
        name, namespace = self._object["metadata"]["name"], self._object["metadata"]["namespace"]

        def look() -> str:
            found = self._routes.objects.cluster.get(self._object["apiVersion"], "HTTPRoute", name, namespace)
            said = gateway.conditions(found, self._root.name)
            text = "; ".join(f"{each}: {one} ({why})" for each, all_ in said.items() for one, why in all_) or "nothing"
            if not any(one == status and reason in ("", why) for one, why in said.get(kind, ())):
                raise NotYet(text)
            return text

        try:
            return eventually(look, what=f"the status of HTTPRoute {name}", within=self._routes.within,
                              consecutive=1).last
        except NotConverged as error:
            wanted = f"condition {kind} {status}" + (f" for the reason {reason}" if reason else "")
            raise Nonconformance(f"{wanted} in the status of HTTPRoute {name}, for parent {self._root.name}, within "
                                 f"{self._routes.within:g} s", error.reason) from None


@dataclass(frozen=True)
class HTTPRoutes:
    """Makes the HTTPRoutes of one check; `within` is the mesh's limit for a change to take effect, in seconds."""

    objects: Objects
    apis: ServedApis
    namespace: str
    settle: Settle
    within: float

    def __call__(
        self, root: Service, weights: Weights, *, matches: Sequence[RouteMatch] = (), port: int | None = None,
    ) -> HTTPRoute:
        """Create a route of one rule for a Service, or for one `port` of it, and wait until the mesh has taken it in.

        Raises Rejected when it is refused.
        """
        return self.of(root, Portion(weights, tuple(matches)), port=port)

    def of(self, root: Service, *portions: Portion, port: int | None = None) -> HTTPRoute:
        """Create a route with a rule for each portion, and wait until the mesh has taken it in. Raises Rejected."""
        number = HTTP_PORT if port is None else port
        obj = gateway.http_route(self.apis, self.objects.name("route"), self.namespace, root.name,
                                 _rules(portions, number), port=port)
        self.objects.create(obj)
        self.settle()
        return HTTPRoute(self, obj, root, portions, number)


def _rules(portions: Sequence[Portion], port: int) -> list[RouteRule]:
    return [RouteRule({service.name: weight for service, weight in portion.weights.items()}, portion.matches, port)
            for portion in portions]
