"""Behaviours that more than one specification asks of a mesh: what is given, what is done, what is expected.

The suites say how a behaviour is asked for, by a TrafficSplit (`split`) or an HTTPRoute (`route`); how it is judged is
said here, once. Where two specifications want different things of the requests that are left over, `otherwise` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from conformance import gateway
from conformance.access import Rules, Targets
from conformance.client import Client
from conformance.expect import ROUGH, Expectation, Only, Spread, Weights
from conformance.expect_errors import Answered
from conformance.gateway import RouteMatch
from conformance.objects import Services
from conformance.routing import HTTPRoutes
from conformance.service import Service
from conformance.smi import HTTPMatch

Shares = Mapping[Service, int]
Headers = Mapping[str, str]
SELECTED = 100
"""Requests of a sample that a match selects, or not: that is no matter of chance."""


class Asked(Protocol):
    """What has been asked of a mesh for one Service, and is in effect."""

    def change(self, weights: Shares, /) -> None:
        """Ask for other weights."""

    def delete(self) -> None:
        """Ask for nothing any more."""


class Ask(Protocol):
    """Asks a mesh to divide the traffic for a Service, and waits until that is in effect."""

    def __call__(self, root: Service, weights: Shares, /) -> Asked:
        """Ask."""


# --- by weight ---


def traffic_is_divided_by_weight(service: Services, ask: Ask, client: Client) -> None:
    """90 and 10 send 90 % to the first backend and 10 % to the second."""
    root, stable, canary = service("root", "v1"), service("stable", "v1"), service("canary", "v2")
    client.control(root)
    ask(root, {stable: 90, canary: 10})
    client.sees(root, Weights({stable: 90, canary: 10}))


def weights_are_relative(service: Services, ask: Ask, client: Client) -> None:
    """Weights are shares of their sum, whatever it is."""
    stable, canary = service("stable", "v1"), service("canary", "v2")
    for weights in ({stable: 1000, canary: 500}, {stable: 100, canary: 900}):
        root = service("root", "v1")
        client.control(root)
        ask(root, weights)
        client.sees(root, Weights(weights))


def weight_zero_gets_nothing(service: Services, ask: Ask, client: Client) -> None:
    """A backend of weight 0 gets no traffic."""
    root, stable, canary = service("root", "v3"), service("stable", "v1"), service("canary", "v2")
    client.control(canary)
    ask(root, {stable: 100, canary: 0})
    client.sees(root, Only(stable))


def single_backend_gets_everything(service: Services, ask: Ask, client: Client) -> None:
    """One backend gets all traffic."""
    root, canary = service("root", "v1"), service("canary", "v2")
    client.control(root)
    ask(root, {canary: 1})
    client.sees(root, Only(canary))


def changed_weights_take_effect(service: Services, ask: Ask, client: Client) -> None:
    """Other weights divide otherwise, also where a backend has its first."""
    root, stable, canary = service("root", "v1"), service("stable", "v1"), service("canary", "v2")
    newest = service("newest", "v3")
    rollout = ask(root, {stable: 75, canary: 25})
    client.sees(root, Weights({stable: 75, canary: 25}))
    rollout.change({stable: 25, canary: 75})
    client.sees(root, Weights({stable: 25, canary: 75}))
    rollout.change({stable: 1, canary: 1, newest: 1})
    client.sees(root, Spread(stable, canary, newest))


def deletion_restores_the_service(service: Services, ask: Ask, client: Client) -> None:
    """When nothing is asked for any more, the Service's own endpoints answer again."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    rollout = ask(root, {left: 1, right: 1})
    client.sees(root, Only(left, right), requests=50)
    rollout.delete()
    client.sees(root, Only(root))


# --- only some requests ---


def matching_requests_are_divided(
    service: Services, ask: Ask, client: Client, headers: Headers, other: Headers,
    otherwise: Callable[[Service], Expectation],
) -> None:
    """Requests with all of the headers that were asked for are divided; others, with a part of them, are not."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    client.control(root, headers=headers)
    ask(root, {left: 1, right: 1})
    client.sees(root, Weights({left: 1, right: 1}, effect=ROUGH), headers=headers)
    client.sees(root, otherwise(root), headers=other, requests=300)


def other_requests_are_left_over(
    service: Services, ask: Ask, client: Client, headers: Headers, other: Headers,
    otherwise: Callable[[Service], Expectation],
) -> None:
    """Requests without the headers that were asked for, or with other values, do not go to the backend."""
    root, canary = service("root", "v1"), service("canary", "v2")
    ask(root, {canary: 1})
    client.sees(root, Only(canary), headers=headers, requests=50)
    client.sees(root, otherwise(root), headers=other, requests=500)
    client.sees(root, otherwise(root), requests=500)


def any_match_is_enough(service: Services, ask: Ask, client: Client, *selected: Headers) -> None:
    """A request is divided that any of several matches selects."""
    root, left, right = service("root", "v1"), service("left", "v2"), service("right", "v3")
    ask(root, {left: 1, right: 1})
    for headers in selected:
        client.sees(root, Only(left, right), headers=headers, requests=500)


# --- which requests a match selects ---


@dataclass(frozen=True)
class Selection:
    """What has been asked for the requests that some matches select: `takes` and `leaves` judge one kind of request.

    Their arguments are fields of `Call`.
    """

    takes: Callable[..., None]
    leaves: Callable[..., None]


Select = Callable[..., Selection]
"""Asks for something for the requests that any of these HTTPMatches selects, and waits until that is in effect."""


def only_listed_methods(select: Select) -> None:
    """Requests are selected whose method is listed, and no others."""
    selection = select(HTTPMatch("write", path_regex="/items", methods=["POST", "PUT"]))
    for method in ("POST", "PUT"):
        selection.takes(path="/items", method=method)
    for method in ("GET", "DELETE"):
        selection.leaves(path="/items", method=method)


def all_parts_must_hold(select: Select, user: str, method: str | None = "POST") -> None:
    """Path, method and headers of one match have to hold together. `user` is what beta-7 matches, by value or pattern.

    Without `method` that is left out.
    """
    methods = [method] if method else None
    selection = select(HTTPMatch("beta-items", headers={"x-user": user}, path_regex="/items", methods=methods))
    whole: dict[str, Any] = {"path": "/items", "method": method or "GET", "headers": {"x-user": "beta-7"}}
    selection.takes(**whole)
    others: list[dict[str, Any]] = [{"path": "/other"}, {"headers": {"x-user": "alpha"}}]
    if method:
        others.insert(1, {"method": "GET"})
    for other in others:
        selection.leaves(**{**whole, **other})


def allowing(target: Targets, rules: Rules, client: Client, guarded: Service) -> Select:
    """Return what allows a client to send the selected requests, by a TrafficTarget: all others are denied."""
    def select(*matches: HTTPMatch) -> Selection:
        target(client, rules=[rules.http(*matches)])
        return Selection(partial(client.is_allowed, guarded), partial(client.is_denied, guarded))

    return select


def routing(service: Services, route: HTTPRoutes, client: Client) -> Select:
    """Return what sends the selected requests elsewhere, by an HTTPRoute: all others are answered 404."""
    def select(*matches: HTTPMatch) -> Selection:
        return routed(service, route, client, *(one for match in matches for one in gateway.matches_of(match)))

    return select


def routed(service: Services, route: HTTPRoutes, client: Client, *matches: RouteMatch) -> Selection:
    """Send the requests that any of these matches selects elsewhere."""
    root, canary = service("root", "v1"), service("canary", "v2")
    route(root, {canary: 1}, matches=matches)
    return Selection(partial(client.sees, root, Only(canary), requests=SELECTED),
                     partial(client.sees, root, Answered(404), requests=SELECTED))
