"""The situations of the access and specs checks, on snapshots: what each requirement's check would look at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from access_world import AccessWorld, account, match
from mesh_world import ADDRESSES

from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.model import Endpoint, ServicePort
from conformance.sandbox.reference.plan import ANYONE, Permission

API = match("api", "/api", ["*"])
METRICS = match("metrics", "/metrics", ["GET"])
HEALTH = match("health", "/health", ["GET"])
BETA = match("beta", x_user="beta-.*", x_region="eu")
WRITE = match("write", "/items", ["POST", "PUT"])
EVERYTHING = match("everything", ".*", ["*"])
VERSIONED = match("versioned", "/v[0-9]+/items", ["GET"])
CLIENTS = ("client", "second", "v3")
TCP_PORTS, UDP_PORTS = (8300, 8301, 8302), (8300, 8301, 8302)


@dataclass(frozen=True)
class Call:
    """One request. `port` is TCP for those of 8300 and above, unless `udp`."""

    client: str = "client"
    path: str = "/"
    method: str = "GET"
    port: int = 8080
    udp: bool = False
    server: str = "v1"
    host: str = "root.demo:8080"
    version: str = "HTTP/1.1"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """Worlds one after the other, and the calls that are made at the end."""

    worlds: tuple[AccessWorld, ...]
    calls: tuple[Call, ...]


def world(*targets, groups=(), tcp=None, udp=None) -> AccessWorld:
    """`v1` is guarded and `v2` beside it, `client` and `second` are in another namespace, `v3` is a neighbour.

    Each target is `(sources, rule, …)`. A beacon stands for `v1`, first of all.
    """
    made = AccessWorld()
    for client in ("client", "second"):
        made.change(client, namespace="app", labels=(("role", "client"),))
    http = (ServicePort("http", 8080), ServicePort("http-alt", 8081))
    ports = (*http, *(ServicePort(f"tcp-{port}", port, http=False) for port in TCP_PORTS))
    for name, server in (("root", "v1"), ("alone", "v2")):
        made.service(name, server, ports=ports, cluster_ip=f"10.251.129.{server[1:]}")
        (endpoint,) = made.endpoints["demo", name]
        made.endpoints["demo", name] = (Endpoint(endpoint.address, endpoint.ports, UDP_PORTS),)
    made.match_group("beacon", match("beacon", "/beacon-1", ["*"]))
    made.target("HTTPRouteGroup/beacon", sources=("app/client", "app/second", "demo/v3"), created="0")
    for name, matches in dict(groups).items():
        made.match_group(name, *matches)
    for kind, routes in (("TCPRoute", tcp or {}), ("UDPRoute", udp or {})):
        for name, numbers in routes.items():
            made.port_route(kind, name, *numbers)
    for number, (sources, *rules) in enumerate(targets, 1):
        made.target(*rules, sources=tuple(f"app/{name}" if name != "v3" else "demo/v3" for name in sources),
                    created=str(number))
    return made


def one(*matches, sources=("client",)) -> AccessWorld:
    """One target for the client, of one group of these matches."""
    return world((sources, "HTTPRouteGroup/g"), groups={"g": matches})


def calls(*paths, **fields) -> tuple[Call, ...]:
    """One call for each path."""
    return tuple(Call(path=path, **fields) for path in paths)


def by(*clients, **fields) -> tuple[Call, ...]:
    """One call by each client."""
    return tuple(Call(client, **fields) for client in clients)


def ports(**fields) -> tuple[Call, ...]:
    """One call to each of the three ports."""
    return tuple(Call(port=port, **fields) for port in TCP_PORTS)


def changed(made: AccessWorld, **fields) -> AccessWorld:
    """The same world with its last target changed, or without it."""
    later = world()
    later.__dict__.update({name: value.copy() if hasattr(value, "copy") else value
                           for name, value in made.__dict__.items()})
    last = later.targets.pop()
    if fields:
        later.targets.append(replace(last, generation=last.generation + 1, **fields))
    return later


def scenarios() -> dict[str, Scenario]:
    """Every situation, by requirement; `beacon` is the one on which all checks rely."""
    return {**_targets(), **_specs(), "beacon": Scenario((one(API),), by(*CLIENTS, path="/beacon-1"))}


def _targets() -> dict[str, Scenario]:
    opened = one(EVERYTHING)
    twin = one(EVERYTHING)
    twin.change("v2", namespace="app", service_account="client", labels=(("role", "other"),))
    both = one(EVERYTHING)
    both.change("v2", service_account="v1", created="9")
    no_rules = world((("client",),))
    no_sources = world(((), "HTTPRouteGroup/g"), groups={"g": [EVERYTHING]})
    named = world((("client",), "HTTPRouteGroup/g/metrics"), groups={"g": [METRICS, API]})
    two_named = world((("client",), "HTTPRouteGroup/g/api,health"), groups={"g": [METRICS, API, HEALTH]})
    one_of_two = world((("client",), "HTTPRouteGroup/m", "HTTPRouteGroup/a"), groups={"m": [METRICS], "a": [API]})
    eight, nine = {"eight": (8300,)}, {"nine": (8301,)}
    two = world((("client",), "HTTPRouteGroup/a"), (("client", "second"), "HTTPRouteGroup/m"),
                groups={"a": [API], "m": [METRICS]})
    table = world((("client", "second"), "HTTPRouteGroup/a"), (("v3",), "HTTPRouteGroup/m"),
                  groups={"a": [API], "m": [METRICS]})
    change = world((("client",), "HTTPRouteGroup/a"), groups={"a": [API], "m": [METRICS]})
    change2 = changed(change, sources=(account("app/second"),))
    change3 = changed(change2, rules=two.targets[-1].rules)
    ignorant = one(EVERYTHING)
    ignorant.change("second", labels=(("reference-mesh/policy", "ignored"),))
    elsewhere = one(EVERYTHING, sources=("client", "v3"))
    elsewhere.targets[-1] = replace(elsewhere.targets[-1],
                                    sources=(*elsewhere.targets[-1].sources, account("demo/second")))
    layer4 = world((("client",), "TCPRoute/t", "UDPRoute/u"), tcp={"t": TCP_PORTS}, udp={"u": (8301, 8302)})
    return {
        "TARGET-001": Scenario((world(),), by("client", "second", server="v2")),
        "TARGET-002": Scenario((one_of_two,), calls("/metrics", "/api", "/api/orders")),
        "TARGET-003": Scenario((one(API),), by(*CLIENTS, path="/api")),
        "TARGET-004": Scenario((one(API),), calls("/api", "/admin")),
        "TARGET-005": Scenario((twin,), by("client", "v2", "second")),
        "TARGET-006": Scenario((both,), (*by("client", "second"), *by("client", "second", server="v2"))),
        "TARGET-007": Scenario((no_rules,), by("client", "second")),
        "TARGET-007 sources": Scenario((no_sources,), by("client", "second")),
        "TARGET-007 completed": Scenario((no_sources, changed(no_sources, sources=(account("app/client"),))),
                                         by("client", "second")),
        "TARGET-008": Scenario((named,), calls("/metrics", "/api")),
        "TARGET-008 two": Scenario((two_named,), calls("/metrics", "/api", "/health")),
        "TARGET-009": Scenario((one(METRICS, API),), calls("/metrics", "/api", "/other")),
        "TARGET-010": Scenario((world((("client",), "TCPRoute/eight"), tcp=eight),),
                               ports()[:2]),
        "TARGET-010 both": Scenario((world((("client",), "TCPRoute/eight"), (("client",), "TCPRoute/nine"),
                                           tcp=eight | nine),), ports()[:2]),
        "TARGET-011": Scenario((world((("client",), "TCPRoute/t"), tcp={"t": ()}),),
                               (*ports(), *ports(client="second"))),
        "TARGET-013": Scenario((ignorant,), (*by("client", "second", "outside"), Call("outside", port=8300))),
        "TARGET-015": Scenario((two,), (*calls("/api", "/metrics"), *calls("/api", "/metrics", client="second"))),
        "TARGET-016": Scenario((change, change2), by("client", "second", path="/api")),
        "TARGET-016 rules": Scenario((change, change2, change3), calls("/api", "/metrics", client="second")),
        "TARGET-016 deleted": Scenario((change, change2, change3, changed(change3)),
                                       calls("/api", "/metrics", client="second")),
        "TARGET-017": Scenario((table,), tuple(
            Call(client, path, method) for client in CLIENTS for path in ("/api", "/metrics")
            for method in ("GET", "POST", "DELETE") if not (client == "v3" and method == "DELETE"))),
        "TARGET-018": Scenario((layer4,), (*ports(), *ports(udp=True))),
        "TARGET-019": Scenario((elsewhere,), by(*CLIENTS)),
        "TARGET-004 revoked": Scenario((opened, changed(opened)), by("client")),
    }


def _specs() -> dict[str, Scenario]:
    same = world((("client",), "HTTPRouteGroup/b/same"), groups={
        "a": [match("same", "/one", ["*"])], "b": [match("same", "/two", ["*"]), match("other", "/three", ["*"])]})
    users = ({"x-user": "beta-7", "x-region": "eu"}, {"x-user": "beta-7"}, {"x-region": "eu"},
             {"x-user": "beta-7", "x-region": "us"})
    whole = match("beta-items", "/items", ["POST"], x_user="beta-.*")
    late_before = one(METRICS)
    late = one(METRICS)
    late.match_group("unbound", match("unbound", "/unbound", ["*"]))
    items = match("items", "/items", ["POST"])
    third = (METRICS, items, HEALTH)
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
    hosts = ("root.demo:8080", "root.demo.svc:8080", "root.demo.svc.cluster.local:8080")
    return {
        "HRG-001": Scenario((one(METRICS),), tuple(
            Call(path=path, method=method, version=version) for version in ("HTTP/1.1", "HTTP/2")
            for path, method in (("/metrics", "GET"), ("/other", "GET"), ("/metrics", "POST")))),
        "HRG-002": Scenario((same,), calls("/one", "/two", "/three")),
        "HRG-003": Scenario((one(METRICS, VERSIONED),), calls(
            "/metrics", "/metricsx", "/metrics/cpu", "/v12/items", "/v1/items/7",
            "/x/metrics", "/vx/items", "/METRICS")),
        "HRG-004": Scenario((one(WRITE),), tuple(Call(path="/items", method=method)
                                                 for method in ("POST", "PUT", "GET", "DELETE"))),
        "HRG-005": Scenario((one(match("any", "/items", ["*"])),), (
            *(Call(path="/items", method=method) for method in methods), Call(path="/other"))),
        "HRG-006": Scenario((one(match("beta", x_user="beta-[0-9]+")),), tuple(
            Call(headers=headers) for headers in ({"x-user": "beta-7"}, {"x-user": "alpha-7"}, {"x-other": "beta-7"},
                                                  {}))),
        "HRG-007": Scenario((one(BETA),), tuple(Call(headers=headers) for headers in users)),
        "HRG-008": Scenario((one(*third),), tuple(Call(path=path, method=method) for path, method in (
            ("/metrics", "GET"), ("/items", "POST"), ("/health", "GET"), ("/items", "GET"), ("/metrics", "POST")))),
        "HRG-008 changed": Scenario((one(*third), one(items, match("orders", "/orders", ["GET"]))), calls(
            "/orders", "/metrics")),
        "HRG-009": Scenario((one(whole),), tuple(
            Call(**{"path": "/items", "method": "POST", "headers": {"x-user": "beta-7"}} | other)
            for other in ({}, {"path": "/other"}, {"method": "GET"}, {"headers": {"x-user": "alpha"}}))),
        "HRG-010": Scenario((one(match("path", "/open")),), (
            *(Call(path="/open", method=method) for method in methods), Call(path="/other"))),
        "HRG-010 path": Scenario((one(match("method", "", ["POST"])),), (
            *calls("/", "/open", "/other/x", method="POST"), Call(path="/open"))),
        "HRG-012": Scenario((one(EVERYTHING),), (
            Call(), Call(path="/any/where", method="DELETE"), Call(path="/a.b~c", method="POST"),
            Call(path="/%20", method="PUT"))),
        "HRG-013": Scenario((late_before, late), calls("/metrics", "/unbound")),
        "HRG-014": Scenario((one(match("items", "/items", ["POST"])),), (
            *(Call(path="/items", method="POST", host=host) for host in hosts), Call(path="/other", method="POST"))),
        "TCP-001": Scenario((world((("client",), "TCPRoute/t"), tcp={"t": (8300, 8302)}),), ports()),
        "TCP-002": Scenario((world((("client",), "TCPRoute/t"), tcp={"t": ()}),), ports()),
        "UDP-001": Scenario((world((("client",), "UDPRoute/u"), udp={"u": (8300, 8302)}),), ports(udp=True)),
        "UDP-002": Scenario((world((("client",), "UDPRoute/u"), udp={"u": ()}),), ports(udp=True)),
    }


def allowed(behaviour: Behaviour, scenario: Scenario) -> list[bool]:
    """Which calls get through, as Envoy would decide."""
    view = behaviour.view()
    for each in scenario.worlds:
        translation = behaviour.translation(view(each.snapshot()))
    return [_passes(translation, call) for call in scenario.calls]


def _passes(translation, call: Call) -> bool:
    pods = translation.snapshot.pods
    server = pods[ADDRESSES[call.server]]
    plan = translation.plan(server)
    if call.udp:
        (port,) = (port for port in plan.datagrams if port.port == call.port)
        return port.sources is None or ADDRESSES[call.client] in port.sources
    (port,) = (port for port in plan.inbound if port.port == call.port)
    if call.client == "outside":
        return _lets_in(port.outside_policy, "", call, http=port.http)
    client = pods[ADDRESSES[call.client]]
    service = {"v1": "root", "v2": "alone"}[call.server]
    (virtual,) = (one for one in translation.plan(client).outbound if one.name == f"demo/{service}:{call.port}")
    return all(_lets_in(policy, client.identity, call, http=port.http) for policy in (virtual.policy, port.policy))


def _lets_in(policy, identity: str, call: Call, *, http: bool) -> bool:
    if policy is None:
        return True
    held = [grant for grant in policy if grant.identities == ANYONE or identity in grant.identities]
    return any(_selects(permission, call) if http else permission == Permission()
               for grant in held for permission in grant.permissions)


def _selects(permission: Permission, call: Call) -> bool:
    values = {":authority": call.host, **call.headers}
    return (
        re.fullmatch(f"(?:{permission.path}).*", call.path) is not None
        and (not permission.methods or call.method in permission.methods)
        and permission.version in ("", call.version)
        and all(header.name in values and re.fullmatch(header.regex, values[header.name])
                for header in permission.headers)
    )
