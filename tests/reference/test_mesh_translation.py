"""The rules of TrafficSplit as the reference mesh has them, one test a rule, without Envoy."""

from __future__ import annotations

from fractions import Fraction

import pytest
from mesh_world import World, pod, rules

from conformance.sandbox.reference.model import ServicePort
from conformance.sandbox.reference.plan import InboundPort, Peer
from conformance.sandbox.reference.problems import problems
from conformance.sandbox.reference.translate import Translation


@pytest.fixture
def world():
    """A root and a stable on v1, a canary on v2."""
    made = World()
    for name, workload in (("root", "v1"), ("stable", "v1"), ("canary", "v2")):
        made.service(name, workload)
    return made


def translated(world) -> Translation:
    return Translation(world.snapshot())


def shares(world, root="root", port=8080):
    ((headers, found),) = rules(translated(world), root, port)
    assert not headers
    return found


def reasons(world):
    return [problem.reason for problem in problems(translated(world))]


def test_without_split_a_service_is_its_endpoints(world):
    assert shares(world) == {"root|8080": 1}
    assert reasons(world) == []


@pytest.mark.parametrize(("weights", "wanted"), [
    ((90, 10), (9, 1)), ((1000, 500), (2, 1)), ((100, 900), (1, 9)), ((5, 2), (5, 2)),
    ((Fraction(1, 2), 1), (1, 2)), ((Fraction(1, 3), Fraction(2, 7)), (7, 6)),
])
def test_weights_are_relative_and_exact(world, weights, wanted):
    world.split("root", dict(zip(("stable", "canary"), weights, strict=True)))
    assert shares(world) == dict(zip(("stable|8080", "canary|8080"), wanted, strict=True))


def test_weight_zero_gets_no_share(world):
    world.split("root", {"stable": 100, "canary": 0})
    assert shares(world) == {"stable|8080": 1}
    assert reasons(world) == []


def test_single_backend_gets_all(world):
    world.split("root", {"canary": 1})
    assert shares(world) == {"canary|8080": 1}


def test_missing_backend_of_weight_zero_is_the_start_of_a_rollout(world):
    world.split("root", {"stable": 1, "coming": 0})
    assert shares(world) == {"stable|8080": 1}
    assert reasons(world) == []


def test_missing_backend_leaves_its_share_to_the_others(world):
    world.split("root", {"stable": 1, "canary": 1, "gone": 8})
    assert shares(world) == {"stable|8080": 1, "canary|8080": 1}
    assert reasons(world) == ["BackendMissing"]


def test_root_that_selects_the_new_pods_too_is_not_used(world):
    world.endpoints["demo", "root"] += world.endpoints["demo", "canary"]
    world.split("root", {"stable": 1, "canary": 0})
    plan = translated(world).plan(pod("client"))
    targets = {target.name: target.peers for target in plan.destinations()}
    assert shares(world) == {"stable|8080": 1}
    assert [peer.address for peer in targets["outbound|demo/stable|8080"]] == ["10.251.0.11"]


@pytest.mark.parametrize("backends", [{}, {"stable": 0, "canary": 0}, {"gone": 1}])
def test_without_usable_backend_the_root_is_plain(world, backends):
    world.split("root", backends)
    assert shares(world) == {"root|8080": 1}
    assert reasons(world)


def test_calls_to_a_backend_are_not_split(world):
    world.split("root", {"stable": 1, "canary": 1})
    assert shares(world, "stable") == {"stable|8080": 1}


def test_every_client_gets_the_same_rules(world):
    world.split("root", {"stable": 7, "canary": 3})
    assert rules(translated(world), "root", client="client") == rules(translated(world), "root", client="second")


@pytest.mark.parametrize("fields", [{"type": "NodePort"}, {"type": "LoadBalancer"}, {"cluster_ip": ""}])
def test_backend_may_be_of_another_type(world, fields):
    world.service("other", "v3", **fields)
    world.split("root", {"stable": 1, "other": 1})
    assert shares(world) == {"stable|8080": 1, "other|8080": 1}


def test_external_name_of_a_cluster_service_is_looked_through(world):
    world.service("alias", type="ExternalName", cluster_ip="", external_name="canary.demo.svc.cluster.local", ports=())
    world.service("far", type="ExternalName", cluster_ip="", external_name="example.com", ports=())
    world.split("root", {"stable": 1, "alias": 1, "far": 1})
    assert shares(world) == {"stable|8080": 1, "canary|8080": 1}
    assert reasons(world) == ["BackendMissing"]


def test_ports_match_by_number_not_by_name(world):
    world.service("other", "v3", ports=(ServicePort("web", 8080),))
    world.split("root", {"stable": 1, "other": 1})
    assert shares(world) == {"stable|8080": 1, "other|8080": 1}


def test_backend_without_the_port_is_left_out_and_reported(world):
    world.service("blue", "v3", ports=(ServicePort("http", 1024),), targets={"http": 8080})
    world.split("root", {"canary": 1, "blue": 1})
    assert shares(world) == {"canary|8080": 1}
    (problem,) = problems(translated(world))
    assert problem.reason == "PortMismatch"
    assert "blue has no port 8080" in problem.message


def test_each_backend_has_its_own_target_port(world):
    world.service("green", "v3", targets={"http": 8081})
    world.split("root", {"stable": 1, "green": 1})
    targets = {target.name: target.peers for target in translated(world).plan(pod("client")).destinations()}
    assert [peer.port for peer in targets["outbound|demo/green|8080"]] == [8081]
    assert [peer.port for peer in targets["outbound|demo/stable|8080"]] == [8080]


def test_every_port_is_split(world):
    two = (ServicePort("http", 8080), ServicePort("admin", 9090))
    for name, workload in (("r", "v1"), ("a", "v2"), ("b", "v3")):
        world.service(name, workload, ports=two)
    world.split("r", {"a": 1, "b": 1})
    assert shares(world, "r", 8080) == {"a|8080": 1, "b|8080": 1}
    assert shares(world, "r", 9090) == {"a|9090": 1, "b|9090": 1}


def test_splits_are_not_hierarchical(world):
    world.service("leaf", "v3")
    world.split("canary", {"leaf": 1})
    world.split("root", {"stable": 1, "canary": 1})
    assert shares(world) == {"stable|8080": 1, "canary|8080": 1}
    assert shares(world, "canary") == {"leaf|8080": 1}


def test_root_as_its_own_backend_is_its_endpoints_and_reported(world):
    world.split("root", {"root": 3, "canary": 1})
    assert shares(world) == {"root|8080": 3, "canary|8080": 1}
    assert reasons(world) == ["SelfReference"]


def test_oldest_split_is_in_force(world):
    world.split("root", {"stable": 1}, created="2026-02-02T00:00:00Z")
    world.split("root", {"canary": 1}, created="2026-01-01T00:00:00Z")
    assert shares(world) == {"canary|8080": 1}
    (problem,) = problems(translated(world))
    assert (problem.reason, problem.subject.name) == ("DuplicateSplit", "split-1")


def test_backend_named_twice_gets_both_weights(world):
    split = world.split("root", {"stable": 1, "canary": 1})
    world.splits = [type(split)(**vars(split) | {"backends": split.backends + split.backends[:1]})]
    assert shares(world) == {"stable|8080": 2, "canary|8080": 1}


def test_split_of_another_namespace_is_not_ours(world):
    split = world.split("root", {"canary": 1})
    world.splits = [type(split)(**vars(split) | {"namespace": "other"})]
    assert shares(world) == {"root|8080": 1}


def test_backend_without_endpoints_keeps_its_share(world):
    world.service("empty")
    world.split("root", {"stable": 1, "empty": 1})
    assert shares(world) == {"stable|8080": 1, "empty|8080": 1}


def test_root_without_cluster_ip_has_no_rules_and_is_reported(world):
    world.service("headless", "v1", cluster_ip="")
    world.split("headless", {"canary": 1})
    assert all(entry.name != "demo/headless:8080" for entry in translated(world).plan(pod("client")).outbound)
    assert reasons(world) == ["RootNotSplittable"]


def test_cluster_ip_taken_twice_has_one_listener(world):
    world.service("thief", "v3", cluster_ip=world.services["demo", "root"].cluster_ip)
    addresses = [(entry.address, entry.port) for entry in translated(world).plan(pod("client")).outbound]
    assert len(addresses) == len(set(addresses))


# --- matches ---

BETA = {"x-user": "beta-.*", "x-region": "eu"}


def test_matching_requests_are_split_and_others_go_to_the_root(world):
    world.group("beta", BETA)
    world.split("root", {"stable": 1, "canary": 1}, groups=("beta",))
    assert rules(translated(world), "root") == [
        (BETA, {"stable|8080": 1, "canary|8080": 1}), ({}, {"root|8080": 1}),
    ]


def test_matches_of_all_groups_are_alternatives(world):
    world.group("beta", BETA)
    world.group("testers", {"x-tester": "yes"}, {"x-tester": "maybe"})
    world.split("root", {"canary": 1}, groups=("beta", "testers"))
    conditions = [headers for headers, _ in rules(translated(world), "root")]
    assert conditions == [BETA, {"x-tester": "yes"}, {"x-tester": "maybe"}, {}]


def test_match_without_headers_selects_everything(world):
    world.group("all", {})
    world.split("root", {"canary": 1}, groups=("all",))
    assert rules(translated(world), "root")[0] == ({}, {"canary|8080": 1})


def test_missing_group_selects_nothing_and_is_reported(world):
    world.split("root", {"canary": 1}, groups=("gone",))
    assert shares(world) == {"root|8080": 1}
    assert reasons(world) == ["RouteGroupMissing"]


@pytest.mark.parametrize("header", [
    {"x y": "a"}, {"": "a"}, {":path\r\n": "a"}, {"x": "("}, {"x": r"(a)\1"}, {"x": "(?=a)"}, {"x": "(?<!a)b"},
    {"x": "a++"}, {"x": "a{2000}"}, {"x": "a" * 1001},
    {"x": "\ud800"}, {"x": r"[\b]"}, {"x": "(a{100}){101}"}, {"x": "((a{30}){,30}){30,}"},
])
def test_header_that_envoy_refuses_selects_nothing_and_is_reported(world, header):
    world.group("odd", header | {"x-ok": "yes"}, {"x-tester": "yes"})
    world.split("root", {"canary": 1}, groups=("odd",))
    assert [headers for headers, _ in rules(translated(world), "root")] == [{"x-tester": "yes"}, {}]
    assert reasons(world) == ["InvalidMatch"]


@pytest.mark.parametrize("regex", [r"\++", "[*+?]+x", r"a\\+", "(?i)beta", "(?P<n>a)b{3}", r"\d+\.\d*", "[]+]+", ""])
def test_expressions_of_re2_are_taken(world, regex):
    world.group("fine", {"x": regex})
    world.split("root", {"canary": 1}, groups=("fine",))
    assert rules(translated(world), "root")[0][0] == {"x": regex}


# --- protocols, peers, inbound ---


def test_tcp_is_split_but_not_by_header(world):
    tcp = (ServicePort("tcp", 7070, http=False),)
    world.service("r", "v1", ports=tcp)
    world.service("b", "v2", ports=tcp)
    world.group("beta", BETA)
    world.split("r", {"b": 1}, groups=("beta",))
    plan = translated(world).plan(pod("client"))
    (virtual,) = (entry for entry in plan.outbound if entry.name == "demo/r:7070")
    assert not virtual.http
    assert [share.destination.name for share in virtual.rules[-1].shares] == ["outbound|demo/r|7070"]


def test_only_pods_of_the_mesh_have_an_identity_to_expect(world):
    world.pods["10.251.0.12"] = pod("v2", meshed=False)
    world.service("both", "v1", "v2")
    (target,) = (entry for entry in translated(world).plan(pod("client")).destinations() if "both" in entry.name)
    assert target.peers == (
        Peer("10.251.0.11", 8080, "spiffe://cluster.local/ns/demo/sa/v1"), Peer("10.251.0.12", 8080),
    )


def test_inbound_ports_are_declared_ones_and_targets_of_services(world):
    world.service("other", "v1", ports=(ServicePort("a", 80), ServicePort("tcp", 81, http=False)),
                  targets={"a": 8081, "tcp": 7070})
    world.service("admin", "v1", ports=(ServicePort("http", 15000),))
    assert translated(world).plan(pod("v1")).inbound == (
        InboundPort(7070, http=False), InboundPort(8080, http=True), InboundPort(8081, http=True),
    )


def test_port_that_is_tcp_for_one_service_is_tcp(world):
    world.service("raw", "v1", ports=(ServicePort("tcp", 8080, http=False),))
    assert translated(world).plan(pod("v1")).inbound == (InboundPort(8080, http=False),)
