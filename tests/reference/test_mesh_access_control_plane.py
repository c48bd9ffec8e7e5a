"""The control plane and access: targets, routes and namespaces come, change and go."""

from __future__ import annotations

import json
import time

import pytest
from mesh_cluster import FakeCluster, pod, service, slice_of
from plane_threads import planes

from conformance.cluster import NotFound

VERSIONS = {"trafficsplits": "v1alpha4", "httproutegroups": "v1alpha4", "tcproutes": "v1alpha4",
            "udproutes": "v1alpha4", "traffictargets": "v1alpha3"}


def eventually(look, wanted, within=3.0):
    until = time.monotonic() + within
    while (seen := look()) != wanted:
        assert time.monotonic() < until, f"wanted {wanted!r}, got {seen!r}"
        time.sleep(0.005)


def account(name):
    return {"kind": "ServiceAccount", "name": name}


def target(*sources, rules=("all",)):
    rules = [{"kind": "HTTPRouteGroup", "name": name} for name in rules]
    spec = {"destination": account("v1"), "rules": rules, "sources": [account(name) for name in sources]}
    return {"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget", "spec": spec,
            "metadata": {"name": "t", "namespace": "demo", "uid": "uid-t"}}


def group(name, path):
    return {"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup",
            "metadata": {"name": name, "namespace": "demo"}, "spec": {"matches": [{"name": "m", "pathRegex": path}]}}


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr("conformance.sandbox.reference.mirror.ABSENT_PAUSE", 0.05)
    made = FakeCluster(**VERSIONS)
    made.put("services", service("root", "10.251.128.1"))
    made.put("endpointslices", slice_of("root", "10.251.0.11"))
    for name, address in (("client", "10.251.0.10"), ("v1", "10.251.0.11")):
        made.put("pods", pod(name, address))
    made.put("namespaces", {"metadata": {"name": "demo"}})
    made.put("httproutegroups", group("all", "/all"))
    return made


@pytest.fixture
def start(tmp_path):
    """Start a control plane; gives what the server's proxy would read about its HTTP port."""
    with planes(tmp_path) as begin:
        def start(cluster, **options):
            begin(cluster, **options)
            return lambda: _read(tmp_path / "proxies" / "demo" / "uid-v1" / "lds.json")

        yield start


def _read(file):
    """The callers and paths that are let in; 'open' where nothing is enforced."""
    try:
        resources = json.loads(file.read_text())["resources"]
    except FileNotFoundError:
        return None
    (inbound,) = (resource for resource in resources if resource["name"] == "inbound|8080")
    filters = inbound["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    if len(filters) == 1:
        return "open"
    found = set()
    for policy in filters[0]["typed_config"]["rules"]["policies"].values():
        text = json.dumps(policy["permissions"])
        for principal in policy["principals"]:
            caller = principal["authenticated"]["principal_name"]["exact"].rpartition("/")[2]
            found |= {f"{caller} {path}" for path in ("/all", "/new") if f"(?:{path}).*" in text}
    return found


def test_target_comes_changes_and_goes(cluster, start):
    seen = start(cluster)
    eventually(seen, set())
    cluster.put("traffictargets", target("client"))
    eventually(seen, {"client /all"})
    cluster.put("httproutegroups", group("all", "/new"))
    eventually(seen, {"client /new"})
    cluster.put("traffictargets", target("client", "other"))
    eventually(seen, {"client /new", "other /new"})
    cluster.delete("httproutegroups", group("all", ""))
    eventually(seen, set())
    cluster.put("httproutegroups", group("all", "/all"))
    cluster.put("traffictargets", target("other"))
    eventually(seen, {"other /all"})
    cluster.delete("traffictargets", target())
    eventually(seen, set())


def test_malformed_target_allows_nothing_and_is_told_of(cluster, start):
    cluster.put("traffictargets", target("client"))
    seen = start(cluster)
    eventually(seen, {"client /all"})
    broken = target("client")
    broken["spec"]["destination"] = "v1"
    cluster.put("traffictargets", broken)
    eventually(seen, set())
    eventually(lambda: [(event["reason"], event["involvedObject"]["kind"]) for event in cluster.events],
               [("Malformed", "TrafficTarget")])


def test_namespace_can_be_opened_and_closed(cluster, start):
    seen = start(cluster)
    eventually(seen, set())
    cluster.put("namespaces", {"metadata": {"name": "demo", "labels": {"reference-mesh/access": "open"}}})
    eventually(seen, "open")
    cluster.put("namespaces", {"metadata": {"name": "demo"}})
    eventually(seen, set())


def test_permissive_mesh_enforces_nothing(cluster, start):
    cluster.put("traffictargets", target("client"))
    eventually(start(cluster, deny_by_default=False), "open")


def test_nothing_is_enforced_while_the_api_is_not_served(cluster, start):
    del cluster.versions["traffictargets"]
    seen = start(cluster)
    eventually(seen, "open")
    cluster.versions["traffictargets"] = "v1alpha3"
    eventually(seen, set())
    del cluster.versions["traffictargets"]
    cluster.end_watches("traffictargets", NotFound("watching", "gone", code=404))
    eventually(seen, "open")


def test_routes_of_a_version_without_one_kind_are_found(cluster, start):
    """A group may serve a kind in an older version than others."""
    cluster.versions |= {"tcproutes": "v1alpha3"}
    del cluster.versions["udproutes"]
    route = {"apiVersion": "specs.smi-spec.io/v1alpha3", "kind": "TCPRoute", "spec": {},
             "metadata": {"name": "tcp", "namespace": "demo"}}
    cluster.put("tcproutes", route)
    allowing = target("client")
    allowing["spec"]["rules"] = [{"kind": "TCPRoute", "name": "tcp"}, {"kind": "HTTPRouteGroup", "name": "all"}]
    cluster.put("traffictargets", allowing)
    eventually(start(cluster), {"client /all"})
