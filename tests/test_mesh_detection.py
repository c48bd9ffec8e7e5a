"""Meshes are found by what really identifies them: kind, name, labels, namespace, and one container's image."""

from __future__ import annotations

import pytest

from conformance import mesh
from conformance.cluster import Cluster, NotFound
from conformance.mesh.detection import Sign, find, tag
from conformance.sandbox import Sandbox


def workload(kind, name, namespace, image, *, container="main", labels=None, extra=()):
    containers = [{"name": container, "image": image}]
    return {"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [*extra, *containers]}}}}


class Fake:
    """Workloads as an API server answers with them."""

    def __init__(self, *objects):
        self.objects = objects

    def get(self, api_version, kind, name, namespace=None):
        for obj in self.objects:
            if (obj["kind"], obj["metadata"]["name"], obj["metadata"]["namespace"]) == (kind, name, namespace):
                return obj
        raise NotFound("reading", "there is none", code=404)

    def list(self, api_version, plural, namespace=None, *, labels="", fields=""):
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        return [obj for obj in self.objects
                if f"{obj['kind'].lower()}s" == plural and namespace in (None, obj["metadata"]["namespace"])
                and wanted.items() <= (obj["metadata"].get("labels") or {}).items()], "1"


ISTIOD = workload("Deployment", "istiod", "istio-system", "docker.io/istio/pilot:1.30.4", container="discovery",
                  labels={"app": "istiod"})
CANARY = workload("Deployment", "istiod-canary", "istio-system", "docker.io/istio/pilot:1.31.0", container="discovery",
                  labels={"app": "istiod", "istio.io/rev": "canary"})


@pytest.mark.parametrize(("image", "version"), [
    ("istio/pilot:1.30.4", "1.30.4"),
    ("registry:5000/istio/pilot", "untagged"),
    ("registry:5000/istio/pilot:1.30", "1.30"),
    ("istio/pilot@sha256:" + "0" * 64, "untagged"),
    ("istio/pilot:1.30.4@sha256:" + "0" * 64, "1.30.4"),
])
def test_the_version_is_the_tag_and_never_a_port_or_a_digest(image, version):
    assert tag(image) == version


def test_the_named_container_tells_the_version_wherever_it_stands():
    proxy = {"name": "linkerd-proxy", "image": "cr.l5d.io/linkerd/proxy:other"}
    cluster = Fake(workload("Deployment", "linkerd-destination", "linkerd", "cr.l5d.io/linkerd/controller:edge-26.9.1",
                            container="destination", labels={"linkerd.io/control-plane-component": "destination"},
                            extra=[proxy]))
    assert mesh.load("linkerd").version(cluster) == "edge-26.9.1"
    missing = Sign("Deployment", "linkerd-destination", container="renamed")
    assert find(cluster, [missing])[0].version == "untagged"


def test_a_namespace_of_another_name_is_found_and_the_control_plane_is_there():
    moved = {**ISTIOD, "metadata": {**ISTIOD["metadata"], "namespace": "mesh"}}
    found = mesh.load("istio").located(Fake(moved))
    assert [workload.namespace for workload in found.control_plane] == ["mesh"]
    assert mesh.load("istio").located(Fake(ISTIOD, moved)).control_plane == mesh.load("istio").control_plane
    assert mesh.load("istio").located(Fake()) == mesh.load("istio")


def test_candidates_for_the_namespace_are_tried_in_order():
    sign = Sign("Deployment", "istiod", {"app": "istiod"}, ("istio-system", "mesh"))
    assert [found.namespace for found in find(Fake(ISTIOD), [sign])] == ["istio-system"]
    assert find(Fake(workload("Deployment", "istiod", "mesh", "x:1")), [sign]) == ()  # the label is missing


def test_every_sign_has_to_be_there():
    signs = [Sign("Deployment", "istiod"), Sign("DaemonSet", "ztunnel")]
    assert find(Fake(ISTIOD), signs) == ()
    ztunnel = workload("DaemonSet", "ztunnel", "istio-system", "istio/ztunnel:1.30.4")
    assert [found.version for found in find(Fake(ISTIOD, ztunnel), signs)] == ["1.30.4"]


def test_two_revisions_are_two_instances():
    both = Fake(ISTIOD, CANARY)
    assert mesh.load("istio").version(both) == "1.30.4"
    assert mesh.load("istio@canary").version(both) == "1.31.0"
    assert mesh.load("istio@other").version(both) is None
    assert mesh.load("istio").version(Fake(CANARY)) is None


def test_what_nobody_can_detect_is_not_there():
    assert mesh.load("octarine").version(Fake(ISTIOD)) is None


def test_workloads_of_every_kind_are_found_by_their_labels():
    cluster = Fake(
        workload("StatefulSet", "hashi-server", "hashi", "hashicorp/consul:2.0.4", container="consul",
                 labels={"app": "consul", "component": "server"}),
        workload("DaemonSet", "cilium", "kube-system", "quay.io/cilium/cilium:v1.19.5", container="cilium-agent",
                 labels={"k8s-app": "cilium"}),
    )
    assert mesh.load("consul").version(cluster) == "2.0.4"
    assert [found.workload for found in mesh.load("consul").installations(cluster)] == ["hashi-server"]
    assert mesh.load("cilium").version(cluster) == "v1.19.5"


def test_several_meshes_on_one_api_server_are_told_apart():
    """An API server that does not serve the kind of a sign, as this one StatefulSets, has no such mesh."""
    there = [
        ISTIOD, CANARY,
        workload("Deployment", "linkerd-destination", "linkerd", "cr.l5d.io/linkerd/controller:edge-26.9.1",
                 container="destination", labels={"linkerd.io/control-plane-component": "destination"}),
        workload("Deployment", "osm-controller", "blue", "openservicemesh/osm-controller:v1.2.4",
                 container="osm-controller", labels={"app": "osm-controller"}),
    ]
    with Sandbox() as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        for namespace in ("istio-system", "linkerd", "blue"):
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for obj in there:
            cluster.apply(obj)
        versions = {name: mesh.load(name).version(cluster) for name in (*mesh.shipped(), "istio@canary", "osm@blue")}
        cluster.close()
    assert {name: version for name, version in versions.items() if version} == {
        "istio": "1.30.4", "istio@canary": "1.31.0", "linkerd": "edge-26.9.1", "osm": "v1.2.4", "osm@blue": "v1.2.4",
    }


def test_a_sign_says_what_was_looked_for():
    assert str(Sign("Deployment", "istiod", {"app": "istiod"})) == "Deployment istiod app=istiod in any namespace"
    assert str(Sign("DaemonSet", "nsmgr", namespaces=("a", "b"))) == "DaemonSet nsmgr in a or b"
