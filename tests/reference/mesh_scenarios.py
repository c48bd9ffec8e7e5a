"""The situations of the TrafficSplit checks, on snapshots: what each requirement's check would look at."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from mesh_world import World, pod

from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.model import ServicePort

BETA = {"x-user": "beta-.*", "x-region": "eu"}
BETA_USER = {"x-user": "beta-7", "x-region": "eu"}


@dataclass(frozen=True)
class Scenario:
    """Worlds one after the other, and the Services (and ports) that are called at the end."""

    worlds: tuple[World, ...]
    calls: tuple[tuple[str, int], ...] = (("root", 8080),)
    clients: tuple[str, ...] = ("client",)
    names: tuple[str, ...] = ("root.demo",)
    headers: tuple[dict[str, str], ...] = ({},)
    outside: bool = False
    events: bool = False


def world(**workloads: tuple[str, ...]) -> World:
    """Services by name, each with its workloads; a beacon is lit in every one."""
    made = World()
    for name, behind in ({"beacon": ("v1",), "beacon-a": ("v2",), "beacon-b": ("v3",)} | workloads).items():
        made.service(name, *behind)
    made.split("beacon", {"beacon-a": 1, "beacon-b": 1})
    return made


def standard(backends=None, groups=None) -> World:
    """Root and stable on v1, canary on v2, other on v3."""
    made = world(root=("v1",), stable=("v1",), canary=("v2",), other=("v3",))
    if backends is not None:
        made.split("root", backends, groups, name="split", uid="uid-split")
    return made


def apart(backends) -> World:
    """Root on a workload that no backend has."""
    made = world(root=("v3",), stable=("v1",), canary=("v2",))
    made.split("root", backends)
    return made


def scenarios() -> dict[str, Scenario]:
    """Every situation, by requirement; `beacon` is the one on which all checks rely."""
    whole = world(root=("v1", "v2", "v3"), other=("v3",))
    whole.split("root", {"other": 1})

    rollout = world(root=("v1",), stable=("v1",))
    rollout.split("root", {"stable": 1, "coming": 0}, name="split", uid="uid-split")
    arrived = world(root=("v1", "v2"), stable=("v1",), coming=("v2",))
    arrived.split("root", {"stable": 1, "coming": 0}, name="split", uid="uid-split")

    node_port = standard()
    node_port.service("node-port", "v3", type="NodePort")
    node_port.split("root", {"canary": 1, "node-port": 1})

    renamed = standard()
    renamed.service("renamed", "v3", ports=(ServicePort("http-web", 8080),))
    renamed.split("root", {"canary": 1, "renamed": 1})

    birds = standard()
    birds.service("blue", "v3", ports=(ServicePort("http", 1024),), targets={"http": 8080})
    birds.split("root", {"canary": 1, "blue": 1})

    mapped = standard()
    mapped.service("mapped", "v3", targets={"http": 8081})
    mapped.split("root", {"canary": 1, "mapped": 1})

    two = (ServicePort("http", 8080), ServicePort("http-admin", 9090))
    several = World()
    for name, workload in (("root", "v1"), ("left", "v2"), ("right", "v3")):
        several.service(name, workload, ports=two)
    several.split("root", {"left": 1, "right": 1})

    nested = standard()
    nested.split("canary", {"other": 1, "stable": 1})
    nested.split("root", {"stable": 1, "canary": 1})

    circle = standard()
    circle.split("canary", {"other": 1, "stable": 1})
    circle.split("other", {"canary": 1, "stable": 1})

    one_group = standard({"canary": 1, "other": 1}, ("beta",))
    one_group.group("beta", BETA)
    one_backend = standard({"canary": 1}, ("beta",))
    one_backend.group("beta", BETA)
    two_groups = standard({"canary": 1, "other": 1}, ("beta", "testers"))
    two_groups.group("beta", BETA)
    two_groups.group("testers", {"x-tester": "yes"}, {"x-friend": "yes"})

    weighted = world(root=("v1", "v2"), stable=("v1",), coming=("v2",))
    weighted.split("root", {"stable": 1, "coming": 1}, name="split", uid="uid-split")

    added = standard({"stable": 1, "canary": 1, "other": 1})
    right_and_wrong = standard({"canary": 1, "other": 1})
    right_and_wrong.service("blue", "v3", ports=(ServicePort("http", 1024),), targets={"http": 8080})
    right_and_wrong.split("stable", {"canary": 1, "blue": 1})

    removed = standard({"stable": 1, "canary": 1, "other": 1})
    every_name = ("root.demo", "root", "root.demo.svc", "root.demo.svc.cluster.local")
    return {
        "beacon": Scenario((standard(),), (("beacon", 8080),), ("client", "second")),
        "SPLIT-001": Scenario((standard({"canary": 1, "other": 1}),), names=every_name),
        "SPLIT-001 from afar": Scenario((standard({"canary": 1, "other": 1}),), clients=("client", "afar")),
        "SPLIT-002": Scenario((whole,), outside=True),
        "SPLIT-003": Scenario((standard({"stable": 90, "canary": 10}),)),
        "SPLIT-004": Scenario((standard({"stable": 1000, "canary": 500}),)),
        "SPLIT-004 turned": Scenario((standard({"stable": 100, "canary": 900}),)),
        "SPLIT-005": Scenario((standard({"stable": 5, "canary": 2, "other": 1}),)),
        "SPLIT-005 small share": Scenario((standard({"stable": 100, "canary": 1, "other": 100}),)),
        "SPLIT-006": Scenario((apart({"stable": 100, "canary": 0}),)),
        "SPLIT-007": Scenario((standard({"canary": 1}),)),
        "SPLIT-008": Scenario((standard({"canary": 1, "coming": 0}),)),
        "SPLIT-009": Scenario((rollout, arrived), (("root", 8080), ("coming", 8080))),
        "SPLIT-009 before": Scenario((rollout,)),
        "SPLIT-009 after": Scenario((rollout, arrived, weighted)),
        "SPLIT-010": Scenario((standard({"stable": 1, "canary": 0}),), (("canary", 8080),)),
        "SPLIT-011": Scenario((standard({"stable": 75, "canary": 25}), standard({"stable": 25, "canary": 75}))),
        "SPLIT-011 added": Scenario((standard({"stable": 75, "canary": 25}), added)),
        "SPLIT-012": Scenario((standard({"canary": 1, "other": 1}), standard())),
        "SPLIT-013": Scenario((removed, standard({"stable": 1, "canary": 1}))),
        "SPLIT-014": Scenario((standard({"stable": 70, "canary": 30}),), (("root", 8080), ("stable", 8080)),
                              ("client", "second")),
        "SPLIT-015": Scenario((node_port,)),
        "SPLIT-016": Scenario((renamed,)),
        "SPLIT-017": Scenario((birds,)),
        "SPLIT-018": Scenario((mapped,)),
        "SPLIT-019": Scenario((several,), (("root", 8080), ("root", 9090))),
        "SPLIT-020": Scenario((birds,), (), events=True),
        "SPLIT-020 beside a right one": Scenario((right_and_wrong,), (), events=True),
        "SPLIT-022": Scenario((nested,), (("canary", 8080), ("root", 8080))),
        "SPLIT-022 circle": Scenario((circle,), (("canary", 8080), ("other", 8080))),
        "SPLIT-024": Scenario((one_group,), headers=(BETA_USER, {"x-user": "beta-7"})),
        "SPLIT-025": Scenario((one_backend,), headers=(BETA_USER, {"x-user": "alpha-7", "x-region": "us"}, {})),
        "SPLIT-026": Scenario((two_groups,), headers=(BETA_USER, {"x-tester": "yes"}, {"x-friend": "yes"})),
    }


def seen(behaviour: Behaviour, scenario: Scenario) -> object:
    """What a check would see: who gets which share of the calls, and what people are told."""
    view = behaviour.view()
    for each in scenario.worlds:
        translation = behaviour.translation(view(each.snapshot()))
    found: list[object] = []
    for client, (service, port) in itertools.product(scenario.clients, scenario.calls):
        plan = translation.plan(pod(client))
        (virtual,) = (entry for entry in plan.outbound if entry.name == f"demo/{service}:{port}")
        for host, headers in itertools.product(scenario.names, scenario.headers):
            rule = _rule_for(virtual, host, headers)
            shares = [(share.destination.peers, share.weight) for share in rule.shares] + [rule.copied_to]
            found.append((client, service, port, host, headers, shares))
    if scenario.outside:
        found.append([inbound.outside_rules for name in ("v1", "v2", "v3")
                      for inbound in translation.plan(pod(name)).inbound])
    if scenario.events:
        found.append(sorted(problem.reason for problem in behaviour.problems(translation)))
    return found


def _rule_for(virtual, host: str, headers: dict[str, str]):
    """Choose as Envoy does: an exact host before any, then the first rule whose headers match as a whole."""
    exact = [rule for rule in virtual.rules if host in rule.hosts]
    for rule in exact or [rule for rule in virtual.rules if rule.hosts == ("*",)]:
        if all(re.fullmatch(header.regex, headers.get(header.name, "\n")) for header in rule.headers):
            return rule
    raise AssertionError(f"no rule of {virtual.name} takes {host} {headers}")
