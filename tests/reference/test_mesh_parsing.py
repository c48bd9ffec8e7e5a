"""From Kubernetes objects to the model, in each version of the API, and what hostile objects do: nothing."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from conformance.sandbox.reference import parse
from conformance.sandbox.reference.fields import Malformed
from conformance.sandbox.reference.model import Endpoint, HeaderMatch, ServicePort
from conformance.sandbox.reference.weights import number, quantity, whole


def split(version="v1alpha4", **spec):
    spec = {"service": "root", "backends": [{"service": "a", "weight": 1}]} | spec
    return {"apiVersion": f"split.smi-spec.io/{version}", "kind": "TrafficSplit", "spec": spec,
            "metadata": {"name": "s", "namespace": "demo", "uid": "u", "generation": 3, "creationTimestamp": "t"}}


def group(version, matches):
    body = {"spec": {"matches": matches}} if version in ("v1alpha3", "v1alpha4") else {"matches": matches}
    return {"apiVersion": f"specs.smi-spec.io/{version}", "kind": "HTTPRouteGroup",
            "metadata": {"name": "g", "namespace": "demo"}} | body


@pytest.mark.parametrize(("value", "wanted"), [
    ("500m", Fraction(1, 2)), (1, 1), ("1", 1), ("2.5", Fraction(5, 2)), ("1k", 1000), ("1Ki", 1024), ("1e3", 1000),
    ("1E3", 1000), ("1E", 10**18), ("1Ei", 1024**6), ("100u", Fraction(1, 10**4)), (".5", Fraction(1, 2)), ("1.", 1),
    (0.5, Fraction(1, 2)), ("+3", 3), ("-1", -1), ("1e-2", Fraction(1, 100)),
], ids=repr)
def test_quantity(value, wanted):
    assert quantity(value) == wanted


@pytest.mark.parametrize("value", ["", "m", "1 ", "1mm", "0x1", "1e999999999", "1" * 40, "\uff11", None, True, [], {},
                                   float("nan"), float("inf"), "1_0", 1e300], ids=repr)
def test_no_quantity(value):
    with pytest.raises(ValueError, match=r"not a|too large"):
        quantity(value)


@pytest.mark.parametrize("value", ["1", None, False, float("inf"), 10**40], ids=repr)
def test_no_number(value):
    with pytest.raises(ValueError, match=r"not a|too large"):
        number(value)


def test_decimal_weights_are_taken_as_written():
    assert number(0.1) == Fraction(1, 10)


def test_whole_is_exact_where_it_fits():
    assert whole([Fraction(1, 3), Fraction(1, 6), Fraction(0)]) == (2, 1, 0)
    assert whole([]) == ()
    assert whole([Fraction(0)]) == (0,)


def test_whole_stays_within_what_envoy_takes():
    generator = random.Random(3)
    for _ in range(300):
        weights = [Fraction(generator.randint(0, 10**generator.randint(1, 30)), generator.randint(1, 10**9))
                   for _ in range(generator.randint(1, 8))]
        scaled = whole(weights)
        assert sum(scaled) <= 2**32 - 1
        assert [bool(weight) for weight in weights] == [bool(value) for value in scaled]
        if sum(weights):
            for weight, value in zip(weights, scaled, strict=True):
                assert abs(weight / sum(weights) - Fraction(value, sum(scaled))) < Fraction(1, 10**8)


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
def test_split_of_every_version(version):
    read = parse.split(split(version, backends=[{"service": "a", "weight": 3}, {"service": "b", "weight": 0}]))
    assert [(backend.service, backend.weight) for backend in read.backends] == [("a", 3), ("b", 0)]
    assert (read.root_key, read.uid, read.generation, read.groups) == (("demo", "root"), "u", 3, None)


def test_quantities_are_weights_in_the_first_version_only():
    backends = [{"service": "a", "weight": "500m"}, {"service": "b", "weight": 1}]
    assert [entry.weight for entry in parse.split(split("v1alpha1", backends=backends)).backends] == [Fraction(1, 2), 1]
    with pytest.raises(Malformed, match=r"spec.backends\[0\].weight: '500m' is not a number"):
        parse.split(split("v1alpha2", backends=backends))


@pytest.mark.parametrize(("version", "wanted"), [("v1alpha1", None), ("v1alpha2", None), ("v1alpha3", ("g",)),
                                                 ("v1alpha4", ("g",))])
def test_matches_came_with_the_third_version(version, wanted):
    assert parse.split(split(version, matches=[{"kind": "HTTPRouteGroup", "name": "g"}])).groups == wanted


def test_empty_matches_are_none():
    assert parse.split(split(matches=[])).groups is None


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
@pytest.mark.parametrize("headers", [
    {"x-a": "1", "x-b": "2"}, [{"x-a": "1"}, {"x-b": "2"}], [{"x-a": "1", "x-b": "2"}],
])
def test_route_group_of_every_version_and_shape(version, headers):
    match = {"name": "m", "headers": headers, "pathRegex": "/a", "methods": ["GET"]}
    (read,) = parse.route_group(group(version, [match])).matches
    assert read.headers == (HeaderMatch("x-a", "1"), HeaderMatch("x-b", "2"))
    assert (read.name, read.path_regex, read.methods) == ("m", "/a", ("GET",))


@pytest.mark.parametrize("spec", [
    {"service": None}, {"service": 3}, {"service": ""}, {"service": "../x"}, {"service": "a" * 300},
    {"backends": "a"}, {"backends": [None]}, {"backends": [{}]}, {"backends": [{"service": "a"}]},
    {"backends": [{"service": "a", "weight": -1}]}, {"backends": [{"service": "a", "weight": "x"}]},
    {"backends": [{"service": "a", "weight": float("nan")}]}, {"backends": [{"service": ["a"], "weight": 1}]},
    {"matches": "x"}, {"matches": [{"kind": "TCPRoute", "name": "g"}]}, {"matches": [{"kind": "HTTPRouteGroup"}]},
    {"matches": [3]},
])
def test_malformed_split_is_told_from_a_crash(spec):
    with pytest.raises(Malformed, match=r"^spec\."):
        parse.split(split(**spec))


def test_split_without_spec_is_malformed():
    with pytest.raises(Malformed, match="spec: it is missing"):
        parse.split({"apiVersion": "split.smi-spec.io/v1alpha4", "metadata": {"name": "s", "namespace": "demo"}})


@pytest.mark.parametrize("matches", ["x", [None], [{"headers": "x"}], [{"headers": [["a"]]}], [{"headers": {"a": 1}}],
                                     [{"methods": "GET"}], [{"methods": [1]}], [{"pathRegex": 1}]])
def test_malformed_route_group(matches):
    with pytest.raises(Malformed, match=r"^spec\.matches"):
        parse.route_group(group("v1alpha4", matches))


def test_service():
    read = parse.service({"metadata": {"name": "s", "namespace": "demo"}, "spec": {
        "clusterIP": "10.7.128.3", "ports": [
            {"name": "http", "port": 80}, {"name": "tcp-echo", "port": 7},
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "raw", "port": 9, "appProtocol": "TCP"}, {"name": "tcp", "port": 10, "appProtocol": "http"},
            {"port": 11}, {"name": "https", "port": 443}, {"name": "dns-tcp", "port": 53},
            {"name": "tcpdump", "port": 12},
        ]}})
    assert read.ports == (
        ServicePort("http", 80), ServicePort("tcp-echo", 7, http=False), ServicePort("raw", 9, http=False),
        ServicePort("tcp", 10), ServicePort("", 11), ServicePort("https", 443, http=False),
        ServicePort("dns-tcp", 53, http=False), ServicePort("tcpdump", 12),
    )
    assert read.cluster_ip == "10.7.128.3"


def test_service_ranges_are_those_of_ipv4():
    read = parse.service_range({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12", "fd00::/108"]}})
    assert read == ("10.96.0.0/12",)


@pytest.mark.parametrize("spec", [None, {"cidrs": 3}, {"cidrs": [3]}, {"cidrs": ["10.96.0.1/12"]}, {"cidrs": ["x"]}])
def test_malformed_service_range(spec):
    with pytest.raises(Malformed, match=r"^spec"):
        parse.service_range({"metadata": {"name": "kubernetes"}, "spec": spec})


def test_headless_and_external_services_have_no_cluster_ip():
    metadata = {"name": "s", "namespace": "demo"}
    assert parse.service({"metadata": metadata, "spec": {"clusterIP": "None"}}).cluster_ip == ""
    external = parse.service({"metadata": metadata, "spec": {"type": "ExternalName", "externalName": "x.y"}})
    assert (external.cluster_ip, external.external_name, external.ports) == ("", "x.y", ())


def test_slice_has_ipv4_endpoints_with_their_own_ports_and_whether_they_are_ready():
    read = parse.slice_endpoints({
        "metadata": {"name": "s-1", "namespace": "demo", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8081}, {"name": "u", "port": 5, "protocol": "UDP"}],
        "endpoints": [
            {"addresses": ["10.7.0.2"], "conditions": {"ready": True}}, {"addresses": ["10.7.0.3"]},
            {"addresses": ["10.7.0.4"], "conditions": {"ready": False}},
            {"addresses": ["10.7.0.5"], "conditions": {"ready": True, "terminating": True}},
        ],
    })
    ports = (("http", 8081),)
    assert read == (("demo", "s"), tuple(
        Endpoint(f"10.7.0.{last}", ports, (5,), ready) for last, ready in ((2, True), (3, True), (4, False), (5, False))
    ))


@pytest.mark.parametrize("change", [{"addressType": "IPv6"}, {"metadata": {"name": "x", "namespace": "demo"}}])
def test_slices_of_no_service_or_of_ipv6_are_not_ours(change):
    owned = {"metadata": {"name": "x", "namespace": "demo", "labels": {"kubernetes.io/service-name": "s"}}}
    assert parse.slice_endpoints(owned | change) is None


def pod(**status):
    return {"metadata": {"name": "p", "namespace": "demo", "uid": "u", "labels": {parse.PROXY_LABEL: "enabled"}},
            "spec": {"serviceAccountName": "sa", "containers": [{"ports": [
                {"containerPort": 80}, {"containerPort": 7, "name": "tcp-x"}, {"containerPort": 5, "protocol": "UDP"},
            ]}]}, "status": {"podIP": "10.7.0.2"} | status}


def test_pod():
    read = parse.pod(pod())
    assert (read.identity, read.meshed, read.ports) == (
        "spiffe://cluster.local/ns/demo/sa/sa", True, ((80, True), (7, False)))


@pytest.mark.parametrize("status", [{"podIP": ""}, {"podIP": None}, {"podIP": "fd00::1"}, {"phase": "Succeeded"}])
def test_pods_without_an_address_of_their_own_have_no_part(status):
    assert parse.pod(pod(**status)) is None


@pytest.mark.parametrize("uid", ["../../evil", "", "a/b", ".", ".."])
def test_pod_whose_uid_is_no_name_of_a_directory_is_malformed(uid):
    hostile = pod()
    hostile["metadata"]["uid"] = uid
    with pytest.raises(Malformed, match="unusable"):
        parse.pod(hostile)
