"""TrafficTargets, routes and namespaces in each version of their API, and what hostile ones do: nothing."""

from __future__ import annotations

import pytest

from conformance.sandbox.reference import parse, parse_access
from conformance.sandbox.reference.fields import Malformed
from conformance.sandbox.reference.model import Account, Probe, TargetRule

VERSIONS = ("v1alpha1", "v1alpha2", "v1alpha3")


def subject(name="sa", **fields):
    return {"kind": "ServiceAccount", "name": name} | fields


def target(version="v1alpha3", **body):
    body = {"destination": subject("server"), "rules": [{"kind": "HTTPRouteGroup", "name": "g", "matches": ["m"]}],
            "sources": [subject("client", namespace="app"), subject("other")]} | body
    if version == "v1alpha1":
        body["specs"] = body.pop("rules")
    return {"apiVersion": f"access.smi-spec.io/{version}", "kind": "TrafficTarget",
            "metadata": {"name": "t", "namespace": "demo", "uid": "u", "generation": 2, "creationTimestamp": "c"},
            } | (body if version == "v1alpha1" else {"spec": body})


def route(kind, version="v1alpha4", **body):
    return {"apiVersion": f"specs.smi-spec.io/{version}", "kind": kind,
            "metadata": {"name": "r", "namespace": "demo"}} | body


@pytest.mark.parametrize("version", VERSIONS)
def test_target_of_every_version(version):
    read = parse_access.target(target(version))
    assert read.key == ("demo", "t")
    assert read.destination == Account("demo", "server")
    assert read.rules == (TargetRule("HTTPRouteGroup", "g", ("m",)),)
    assert read.sources == (Account("app", "client"), Account("demo", "other"))
    assert (read.uid, read.generation, read.port) == ("u", 2, None)
    assert read.api_version == f"access.smi-spec.io/{version}"


@pytest.mark.parametrize(("version", "wanted"), [("v1alpha1", 8080), ("v1alpha2", 8080), ("v1alpha3", None)])
def test_port_of_the_destination_went_with_the_third_version(version, wanted):
    assert parse_access.target(target(version, destination=subject("server", port=8080))).port == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_target_without_rules_or_sources_can_be_read(version):
    read = parse_access.target(target(version, rules=None, sources=[]))
    assert (read.rules, read.sources) == ((), ())


@pytest.mark.parametrize("body", [
    {"destination": None}, {"destination": "server"}, {"destination": subject(None)},
    {"destination": subject("../x")}, {"destination": {"kind": "Group", "name": "all"}},
    {"destination": subject("a", namespace="a b")}, {"destination": subject("a", namespace=3)},
    {"rules": "x"}, {"rules": [3]}, {"rules": [{"name": "g"}]}, {"rules": [{"kind": "Ingress", "name": "g"}]},
    {"rules": [{"kind": ["TCPRoute"], "name": "g"}]}, {"rules": [{"kind": "TCPRoute"}]},
    {"rules": [{"kind": "HTTPRouteGroup", "name": "g", "matches": "m"}]},
    {"rules": [{"kind": "HTTPRouteGroup", "name": "g", "matches": [1]}]},
    {"sources": {}}, {"sources": [None]}, {"sources": [{"kind": "User", "name": "admin"}]}, {"sources": [subject("*")]},
])
@pytest.mark.parametrize("version", VERSIONS)
def test_malformed_target_is_told_from_a_crash(version, body):
    with pytest.raises(Malformed, match=r"^(spec\.)?(destination|rules|specs|sources)"):
        parse_access.target(target(version, **body))


@pytest.mark.parametrize("port", [0, -1, 65536, "8080", True, 80.5])
def test_malformed_port_of_the_destination(port):
    with pytest.raises(Malformed, match=r"spec\.destination\.port: "):
        parse_access.target(target("v1alpha2", destination=subject("server", port=port)))


@pytest.mark.parametrize(("body", "wanted"), [
    ({"spec": {"matches": {"name": "m", "ports": [1, 65535]}}}, (1, 65535)), ({"spec": {"matches": {"ports": []}}}, ()),
    ({"spec": {"matches": {}}}, ()), ({"spec": {}}, ()), ({}, ()), ({"spec": None}, ()),
])
@pytest.mark.parametrize("kind", ["TCPRoute", "UDPRoute"])
def test_ports_of_a_route(kind, body, wanted):
    assert parse_access.port_route(route(kind, **body)).ports == wanted


def test_routes_had_no_ports_before_the_fourth_version():
    assert parse_access.port_route(route("TCPRoute", "v1alpha3", spec={"matches": {"ports": [1]}})).ports == ()
    assert parse_access.port_route(route("TCPRoute", "v1alpha1")).ports == ()


@pytest.mark.parametrize("spec", [3, {"matches": [1]}, {"matches": {"ports": 8080}},
                                  {"matches": {"ports": ["http"]}}, {"matches": {"ports": [0]}}])
def test_malformed_route(spec):
    with pytest.raises(Malformed, match=r"^spec"):
        parse_access.port_route(route("TCPRoute", spec=spec))


@pytest.mark.parametrize(("labels", "wanted"), [
    ({"reference-mesh/access": "open"}, "demo"), ({"reference-mesh/access": "closed"}, None), ({}, None), (None, None),
])
def test_open_namespace(labels, wanted):
    assert parse_access.open_namespace({"metadata": {"name": "demo", "labels": labels}}) == wanted


def test_pod_has_udp_ports_labels_and_probes():
    read = parse.pod({
        "metadata": {"name": "p", "namespace": "demo", "uid": "u", "labels": {"b": "2", "a": "1"}},
        "status": {"podIP": "10.7.0.2"}, "spec": {"containers": [{
            "ports": [{"name": "web", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
            "readinessProbe": {"httpGet": {"port": "web", "path": "/ready?deep=1"}},
            "livenessProbe": {"httpGet": {"port": 81}}, "startupProbe": {"exec": {"command": ["true"]}},
        }, {"livenessProbe": {"httpGet": {"port": "nowhere"}}}]},
    })
    assert read.udp_ports == (53,)
    assert read.ports == ((80, True),)
    assert read.labels == (("a", "1"), ("b", "2"))
    assert read.probes == (Probe(81, "/"), Probe(80, "/ready"))
