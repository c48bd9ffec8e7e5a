"""The rules of TrafficTarget as the reference mesh has them, one test a rule, without Envoy."""

from __future__ import annotations

import pytest
from access_world import AccessWorld, identity, match
from mesh_world import ADDRESSES, pod

from conformance.sandbox.reference.model import HeaderMatch, Probe
from conformance.sandbox.reference.plan import ANYONE, Grant, Permission
from conformance.sandbox.reference.problems import problems
from conformance.sandbox.reference.translate import Translation

ANY = (Permission(),)


@pytest.fixture
def world():
    made = AccessWorld()
    made.match_group("api", match("api", "/api"), match("metrics", "/metrics", ["GET"]))
    made.match_group("all", match())
    return made


def plan(world, name="v1"):
    return Translation(world.snapshot()).plan(world.pods[ADDRESSES[name]])


def policy(world, port=8080):
    return next(entry.policy for entry in plan(world).inbound if entry.port == port)


def permissions(world, port=8080):
    return [permission for grant in policy(world, port) for permission in grant.permissions]


def sources(world, port=7071):
    return next(entry.sources for entry in plan(world).datagrams if entry.port == port)


def reasons(world):
    return [problem.reason for problem in problems(Translation(world.snapshot()))]


def test_without_target_all_ports_are_closed(world):
    made = plan(world)
    assert {entry.policy for entry in made.inbound} == {()}
    assert {entry.outside_policy for entry in made.inbound} == {()}
    assert {entry.sources for entry in made.datagrams} == {()}
    assert all(entry.policy is None for entry in made.outbound)


@pytest.mark.parametrize("change", [{"deny_by_default": False}, {"open": frozenset(["demo"])}])
def test_where_it_is_not_enforced_there_is_no_policy(world, change):
    world.target("HTTPRouteGroup/api")
    world.__dict__.update(change)
    made = plan(world)
    assert {entry.policy for entry in made.inbound} == {None}
    assert {entry.outside_policy for entry in made.inbound} == {None}
    assert {entry.sources for entry in made.datagrams} == {None}


def test_only_the_destination_is_opened_and_for_its_sources(world):
    world.target("HTTPRouteGroup/all", sources=("client", "app/second"))
    assert policy(world) == (Grant((identity("client"), "spiffe://cluster.local/ns/app/sa/second"), ANY),)
    assert {entry.policy for entry in plan(world, "v2").inbound} == {()}


def test_every_pod_of_the_account_is_the_destination(world):
    world.target("HTTPRouteGroup/all")
    world.change("v2", service_account="v1")
    assert [entry.policy for entry in plan(world, "v2").inbound] == [(Grant((identity("client"),), ANY),)]


def test_account_of_the_same_name_elsewhere_is_another(world):
    world.target("HTTPRouteGroup/all", destination="other/v1")
    assert policy(world) == ()


@pytest.mark.parametrize(("rules", "clients", "wanted"), [
    ((), ("client",), ["Incomplete"]), (("HTTPRouteGroup/all",), (), ["Incomplete"]),
    (("HTTPRouteGroup/gone",), ("client",), ["RouteMissing"]), (("TCPRoute/gone",), ("client",), ["RouteMissing"]),
    (("HTTPRouteGroup/api/gone",), ("client",), ["MatchMissing"]),
    (("TCPRoute/gone", "HTTPRouteGroup/all"), ("client",), ["RouteMissing"]),
    ((), (), ["Incomplete", "Incomplete"]),
])
def test_what_is_missing_allows_nothing_and_is_reported(world, rules, clients, wanted):
    world.target(*rules, sources=clients)
    assert policy(world) == ()
    assert sources(world) == ()
    assert reasons(world) == wanted


def test_matches_are_those_named_or_all(world):
    world.target("HTTPRouteGroup/api/metrics")
    assert permissions(world) == [Permission("/metrics", ("GET",))]
    world.targets = []
    world.target("HTTPRouteGroup/api")
    assert permissions(world) == [Permission("/api"), Permission("/metrics", ("GET",))]
    assert reasons(world) == []


def test_targets_add_up(world):
    world.target("HTTPRouteGroup/api/api")
    world.target("HTTPRouteGroup/api/metrics", sources=("client", "second"))
    assert policy(world) == (
        Grant((identity("client"),), (Permission("/api"),)),
        Grant((identity("client"), identity("second")), (Permission("/metrics", ("GET",)),)),
    )


def test_star_is_any_method_and_headers_are_kept(world):
    world.match_group("odd", match("m", ".*", ["GET", "*"], x_user="beta-.*"))
    world.target("HTTPRouteGroup/odd")
    assert permissions(world) == [Permission(".*", (), (HeaderMatch("x-user", "beta-.*"),))]


@pytest.mark.parametrize("odd", [
    match("m", "("), match("m", "/(a)\\1"), match("m", "(?=a)"), match("m", "a" * 1001), match("m", "\ud800"),
    match("m", "/a", ["G ET"]), match("m", "/a", [""]), match("m", "/a", ["\ud800"]), match("m", "/a", x_a="("),
])
def test_what_envoy_refuses_allows_nothing_and_is_reported(world, odd):
    world.match_group("odd", odd, match("fine", "/fine"))
    world.target("HTTPRouteGroup/odd")
    assert permissions(world) == [Permission("/fine")]
    assert reasons(world) == ["InvalidMatch"]


def test_route_group_opens_http_ports_only(world):
    world.target("HTTPRouteGroup/all")
    assert policy(world, 9090) == policy(world, 8080) != ()
    assert policy(world, 7070) == ()
    assert sources(world) == ()


@pytest.mark.parametrize(("ports", "wanted"), [((), {8080, 9090, 7070, 7072}), ((7070,), {7070}),
                                               ((8080, 7072), {8080, 7072})])
def test_tcp_route_opens_its_ports_whatever_they_carry(world, ports, wanted):
    world.port_route("TCPRoute", "tcp", *ports)
    world.target("TCPRoute/tcp")
    opened = {entry.port: entry.policy for entry in plan(world).inbound if entry.policy}
    assert set(opened) == wanted
    assert set(opened.values()) == {(Grant((identity("client"),), ANY),)}
    assert sources(world) == ()


def test_tcp_route_and_route_group_both_constrain(world):
    world.port_route("TCPRoute", "tcp", 8080, 7070)
    world.target("TCPRoute/tcp", "HTTPRouteGroup/api/api")
    assert permissions(world, 8080) == [Permission("/api")]
    assert policy(world, 9090) == ()
    assert permissions(world, 7070) == [Permission()]


@pytest.mark.parametrize(("ports", "wanted"), [((), {7071, 7073}), ((7073,), {7073})])
def test_udp_route_opens_udp_ports_for_the_addresses_of_its_sources(world, ports, wanted):
    world.port_route("UDPRoute", "udp", *ports)
    world.target("UDPRoute/udp")
    assert {entry.port: entry.sources for entry in plan(world).datagrams if entry.sources} \
        == dict.fromkeys(wanted, (ADDRESSES["client"],))
    assert {entry.policy for entry in plan(world).inbound} == {()}


def test_udp_source_needs_a_sidecar(world):
    world.port_route("UDPRoute", "udp")
    world.target("UDPRoute/udp", sources=("client", "second"))
    world.pods[ADDRESSES["second"]] = pod("second", meshed=False)
    assert sources(world) == (ADDRESSES["client"],)


def test_udp_ports_are_declared_ones_and_targets_of_services(world):
    world.change("v1", udp_ports=(53, 15000))
    assert [entry.port for entry in plan(world).datagrams] == [53, 7071, 7073]


def test_port_of_the_target_itself_constrains(world):
    world.port_route("TCPRoute", "tcp")
    world.port_route("UDPRoute", "udp")
    world.target("TCPRoute/tcp", "UDPRoute/udp", port=7070)
    assert {entry.port for entry in plan(world).inbound if entry.policy} == {7070}
    assert sources(world) == ()


def test_probes_of_the_node_are_let_in(world):
    world.change("v1", probes=(Probe(8080, "/healthz+x"), Probe(8080, "/healthz+x"), Probe(7070, "/tcp")))
    outside = {entry.port: entry.outside_policy for entry in plan(world).inbound}
    assert outside[8080] == (Grant(ANYONE, (Permission(r"/healthz\+x$", ("GET",)),)),)
    assert outside[9090] == outside[7070] == ()
