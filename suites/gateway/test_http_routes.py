"""HTTPRoute with a Service as its parent: which requests for that Service go where.

Source: the Gateway API v1.6.0: GEP-1294 (routes of a mesh), GEP-1324 (producers and consumers), and the reference of
HTTPRoute. Only routes of a Service's producer are used, in its own namespace.

What the text leaves to a mesh as an extended feature is a should here (S): a mesh without it is not nonconformant.
The workloads `v1`, `v2` and `v3` answer with their own name; the root Service selects `v1`.
"""

from __future__ import annotations

from functools import partial

from conformance import behaviours
from conformance.behaviours import routed, routing
from conformance.expect import ROUGH, Denied, Only
from conformance.expect_errors import Answered, WeightsWithout
from conformance.gateway import GATEWAY, RouteMatch
from conformance.requirement import requirement
from conformance.routing import Portion

EVERY = ("v1beta1", "v1")

BETA_USER = {"x-user": "beta-7", "x-region": "eu"}
BETA = RouteMatch(headers=BETA_USER)


def refused(_):
    """Requests that no rule matches are answered 404."""
    return Answered(404)


@requirement("ROUTE-001", level="B", versions=EVERY, api=GATEWAY, spec="BackendRef: weight")
def test_traffic_is_divided_by_weight(service, route, client):
    """Weights 90 and 10 send 90 % of the requests to the first backend and 10 % to the second."""
    behaviours.traffic_is_divided_by_weight(service, route, client)


@requirement("ROUTE-002", level="B", versions=EVERY, api=GATEWAY, spec="BackendRef: weight, not a percentage")
def test_weights_are_relative(service, route, client):
    """Weights are shares of their sum, not percentages: 1000 and 500 divide two to one, 100 and 900 one to nine."""
    behaviours.weights_are_relative(service, route, client)


@requirement("ROUTE-003", level="B", versions=EVERY, api=GATEWAY, spec="BackendRef: weight 0")
def test_weight_zero_gets_nothing(service, route, client):
    """A backend of weight 0 gets no traffic."""
    behaviours.weight_zero_gets_nothing(service, route, client)


@requirement("ROUTE-004", level="B", versions=EVERY, api=GATEWAY, spec="BackendRef: one backend")
def test_single_backend_gets_everything(service, route, client):
    """A single backend gets all traffic for the parent Service, whose own endpoints get none."""
    behaviours.single_backend_gets_everything(service, route, client)


@requirement("ROUTE-005", level="B", versions=EVERY, api=GATEWAY, spec="HTTPRouteRule: backendRefs")
def test_changed_weights_take_effect(service, route, client):
    """Changing the weights of a route changes how traffic is divided."""
    behaviours.changed_weights_take_effect(service, route, client)


@requirement("ROUTE-006", level="B", versions=EVERY, api=GATEWAY, spec="GEP-1294: route presence")
def test_deleting_the_route_restores_the_service(service, route, client):
    """Without a route, traffic goes to the Service's own endpoints, and so it does again when the route is deleted."""
    behaviours.deletion_restores_the_service(service, route, client)


@requirement("ROUTE-007", level="M", versions=EVERY, api=GATEWAY, spec="HTTPRouteMatch: headers")
def test_all_headers_of_a_match_must_hold(service, route, client):
    """Requests that have all headers of a match, with these values, are divided by the rule's weights."""
    ask = partial(route, matches=[BETA])
    behaviours.matching_requests_are_divided(
        service, ask, client, BETA_USER, {"x-user": "beta-7"}, otherwise=refused)


@requirement("ROUTE-008", level="M", versions=EVERY, api=GATEWAY, spec="HTTPRouteRule: no rule matches")
def test_other_requests_are_refused(service, route, client):
    """Requests that no rule matches are answered 404: a route takes the place of the Service's own endpoints."""
    ask, other = partial(route, matches=[BETA]), {"x-user": "alpha-7", "x-region": "us"}
    behaviours.other_requests_are_left_over(service, ask, client, BETA_USER, other, otherwise=refused)


@requirement("ROUTE-009", level="B", versions=EVERY, api=GATEWAY, spec="HTTPRouteRule: matches")
def test_any_match_is_enough(service, route, client):
    """A rule is for requests that any of its matches selects."""
    ask = partial(route, matches=[BETA, RouteMatch(headers={"x-tester": "yes"})])
    behaviours.any_match_is_enough(service, ask, client, BETA_USER, {"x-tester": "yes"})


@requirement("ROUTE-010", level="M", versions=EVERY, api=GATEWAY, spec="PathMatchType: Exact")
def test_exact_path(service, route, client):
    """An exact path is matched by that path alone, letter by letter; a query string is no part of it."""
    selection = routed(service, route, client, RouteMatch("/items", exact=True))
    for path in ("/items", "/items?x=1"):
        selection.takes(path=path)
    for path in ("/items/", "/items/7", "/itemsx", "/Items", "/"):
        selection.leaves(path=path)


@requirement("ROUTE-011", level="B", versions=EVERY, api=GATEWAY, spec="PathMatchType: PathPrefix")
def test_prefix_of_whole_elements(service, route, client):
    """A prefix is matched element by element: `/items` by `/items/7`, and not by `/itemsx`."""
    selection = routed(service, route, client, RouteMatch("/items"))
    for path in ("/items", "/items/", "/items/7", "/items/7/parts?x=1"):
        selection.takes(path=path)
    for path in ("/itemsx", "/Items", "/other/items", "/"):
        selection.leaves(path=path)


@requirement("ROUTE-012", level="S", versions=EVERY, api=GATEWAY, spec="HTTPRouteMatch: method (extended)")
def test_only_listed_methods(service, route, client):
    """Requests match whose method is the one of a match, and no others."""
    behaviours.only_listed_methods(routing(service, route, client))


@requirement("ROUTE-013", level="M", versions=EVERY, api=GATEWAY, spec="HTTPRouteMatch: all conditions")
def test_all_parts_of_a_match_must_hold(service, route, client):
    """Path and headers of one match have to hold together."""
    behaviours.all_parts_must_hold(routing(service, route, client), user="beta-7", method=None)


@requirement("ROUTE-014", level="M", versions=EVERY, api=GATEWAY, spec="HTTPRouteRule: precedence")
def test_the_most_specific_match_decides(service, route, client):
    """Of several rules the one with the most specific match decides, whatever their order.

    An exact path comes before a prefix, a longer prefix before a shorter one, more headers before fewer.
    """
    root, one, two, three = (
        service(name, at) for name, at in (("root", "v1"), ("one", "v1"), ("two", "v2"), ("three", "v3"))
    )
    tester = {"x-tester": "yes"}
    route.of(root, Portion({one: 1}, (RouteMatch("/"),)), Portion({three: 1}, (RouteMatch("/", headers=tester),)),
             Portion({two: 1}, (RouteMatch("/items"),)), Portion({three: 1}, (RouteMatch("/items/new", exact=True),)))
    for headers, path, backend in (
        ({}, "/", one), (tester, "/", three), ({}, "/items/7", two), (tester, "/items", two), ({}, "/items/new", three),
    ):
        client.sees(root, Only(backend), path=path, headers=headers, requests=behaviours.SELECTED)


@requirement("ROUTE-015", level="M", versions=EVERY, api=GATEWAY, spec="GEP-1294: ports")
def test_a_route_is_for_one_port_or_for_all(service, route, client):
    """A route is for the port of the Service that it names, for that alone, and for all ports where it names none."""
    two = {"http": (8080, 8080), "http-admin": (9090, 9090)}
    canary = service("canary", "v2", ports={"http": (8080, 8080), "http-admin": (9090, 8080)})
    root, whole = service("root", "v1", ports=two), service("whole", "v1", ports=two)
    for port in (8080, 9090):
        client.control(root, port=port)
    route(root, {canary: 1}, port=9090)
    client.sees(root, Only(canary), port=9090)
    client.sees(root, Only(root), port=8080)
    route(whole, {canary: 1})
    for port in (8080, 9090):
        client.sees(whole, Only(canary), port=port)


@requirement("ROUTE-016", level="M", versions=EVERY, api=GATEWAY, spec="HTTPRouteRule: invalid backendRefs")
def test_the_share_of_a_missing_backend_fails(service, route, client):
    """The share of a backend that does not exist is answered 500: half of the requests, or all of them."""
    root, alone = service("root", "v1"), service("alone", "v1")
    there, gone = service("there", "v2"), service.later("gone", "nobody")
    client.control(root)
    route(root, {there: 1, gone: 1})
    client.sees(root, WeightsWithout({there: 1, gone: 1}, gone, 500, effect=ROUGH))
    route(alone, {gone: 1})
    client.sees(alone, Answered(500))


@requirement("ROUTE-017", level="B", versions=EVERY, api=GATEWAY, spec="BackendRef: weight 0")
def test_no_weight_at_all_is_no_traffic(service, route, client):
    """Where all weights are 0, no backend gets any traffic, nor do the Service's own endpoints."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    client.control(root)
    route(root, {left: 0, right: 0})
    client.sees(root, Denied())


@requirement("ROUTE-018", level="M", versions=EVERY, api=GATEWAY, spec="GEP-1294: status; RouteConditionResolvedRefs")
def test_the_status_says_what_came_of_it(service, route, observe):
    """The status of a route says that it is accepted and its references resolved, or that a backend is missing."""
    root, other, canary = service("root", "v1"), service("other", "v1"), service("canary", "v2")
    applied = route(root, {canary: 1})
    applied.reports("Accepted", "True")
    observe(f"all there: {applied.reports('ResolvedRefs', 'True')}")
    dangling = route(other, {service.later("gone", "nobody"): 1})
    observe(f"a backend is missing: {dangling.reports('ResolvedRefs', 'False', 'BackendNotFound')}")
