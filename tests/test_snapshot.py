"""The snapshot of a cluster, against a real API server: what it has, what it leaves out, and what cannot break it."""

from __future__ import annotations

import json
import time

import pytest

from conformance import snapshot
from conformance.cluster import Cluster, ClusterError
from conformance.lifecycle import permissions
from conformance.mesh import load
from conformance.report.hygiene import MAX_SNAPSHOT, clean_value
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions
from conformance.snapshot import listing, parts
from conformance.snapshot.masking import OMITTED

MESH = load("linkerd")
HOME = "linkerd"
TOKEN = "0123456789abcdef0123456789abcdef"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZXNoIn0.c2lnbmF0dXJl"


def workload(**container):
    labels = {"app": "controller"}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "controller", "namespace": HOME, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    }


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": HOME}, "data": data}


OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}},
    workload(name="main", image="registry.example/controller:2.14.10",
             args=["--level=info", f"--token={TOKEN}", "--addr", "203.0.113.7:8080"],
             env=[{"name": "LEVEL", "value": "info"}, {"name": "SESSION", "value": TOKEN},
                  {"name": "DB_PASSWORD", "value": "hunter2"},
                  {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
    config_map("settings", mode="strict", trust="-----BEGIN CERTIFICATE-----\nMIIhidden\n-----END CERTIFICATE-----",
               password="hunter2", upstream="198.51.100.20", blob="x: y\n" * 4000, token=JWT),
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": HOME},
     "stringData": {"k": "deeply-hidden"}},
    {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
     "metadata": {"name": "injector"}, "webhooks": [{
         "name": "inject.example.invalid", "sideEffects": "None", "admissionReviewVersions": ["v1"],
         "clientConfig": {"url": "https://hidden.example.invalid/inject"}, "failurePolicy": "Ignore", "rules": []}]},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": HOME}},
]
HIDDEN = (TOKEN, JWT, "hunter2", "MIIhidden", "deeply-hidden", "203.0.113.7", "198.51.100.20", "hidden.example.invalid")


@pytest.fixture(scope="module")
def cluster():
    with Sandbox(crds=custom_resource_definitions()) as sandbox:
        opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
        for obj in OBJECTS:
            opened.create(obj)
        yield opened
        opened.close()


def test_it_has_what_a_reader_needs_to_place_a_report(cluster):
    found = snapshot.take(cluster, [MESH])
    assert found["kubernetes"]["gitVersion"] == cluster.version()
    (node,) = found["nodes"]["items"]
    assert {"kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "architecture"} <= node.keys()
    assert (node["count"], set(node["capacity"])) == (1, {"cpu", "memory", "pods"})
    definitions = {item["name"]: item for item in found["definitions"]["items"]}
    assert definitions["trafficsplits.split.smi-spec.io"]["storage"] in definitions[
        "trafficsplits.split.smi-spec.io"]["served"]
    hooks = found["webhooks"]["mutatingwebhookconfigurations"]
    assert hooks == {"status": "read", "items": [{"name": "injector", "webhooks": ["inject.example.invalid"]}]}
    (workload,) = found["meshes"]["linkerd"]["workloads"]["items"]
    assert (workload["kind"], workload["name"], workload["replicas"]) == ("Deployment", "controller", 0)
    (container,) = workload["containers"]
    assert container["image"] == "registry.example/controller:2.14.10"
    assert container["args"] == ["--level=info", f"--token={OMITTED}", "--addr", "[address]:8080"]
    assert container["env"] == [{"name": "LEVEL", "value": "info"}, {"name": "SESSION", "value": OMITTED},
                                {"name": "DB_PASSWORD", "value": OMITTED}, {"name": "KEY", "from": "secretKeyRef"}]
    (settings,) = found["meshes"]["linkerd"]["configuration"][HOME]["items"]
    assert settings["keys"]["mode"]["value"] == "strict"
    assert "value" not in settings["keys"]["blob"]
    assert settings["keys"]["blob"]["digest"].startswith("sha256:")


def test_nothing_secret_is_in_it(cluster):
    found = snapshot.take(cluster, [MESH])
    text = json.dumps(found)
    assert not [secret for secret in HIDDEN if secret in text]
    assert "reader" not in text
    assert not [secret for secret in HIDDEN if secret in json.dumps(clean_value(found))]
    assert len(text) <= parts.MAX_SIZE < MAX_SNAPSHOT


def test_secrets_are_not_even_asked_for(cluster, monkeypatch):
    asked = []
    json_of = Cluster.json

    def spy(self, method, path, **more):
        asked.append((method, path))
        return json_of(self, method, path, **more)

    monkeypatch.setattr(Cluster, "json", spy)
    snapshot.take(cluster, [MESH])
    assert asked
    assert not [path for method, path in asked if method != "GET" or "secrets" in path]


def test_what_may_not_be_read_is_a_part_that_says_so(cluster):
    reader = cluster.with_token(cluster.token(HOME, "reader"))
    try:
        found = snapshot.take(reader, [MESH])
    finally:
        reader.close()
    assert found["nodes"] == {"status": "forbidden", "why": "takes the right to list nodes", "items": []}
    assert found["definitions"]["status"] == "forbidden"
    assert found["meshes"]["linkerd"]["workloads"]["status"] == "forbidden"
    assert found["meshes"]["linkerd"]["configuration"][HOME]["status"] == "forbidden"
    assert "serviceaccount:" not in json.dumps(found), "nobody's name"


def test_a_cluster_that_does_not_answer_costs_a_snapshot_and_no_run(cluster, monkeypatch):
    def down(self, method, path, **more):
        raise ClusterError(f"{method} {path}", "no answer from 203.0.113.7")

    monkeypatch.setattr(Cluster, "json", down)
    found = snapshot.take(cluster, [MESH])
    assert found["nodes"]["status"] == "failed"
    assert "203.0.113.7" not in json.dumps(found)


def test_time_that_is_up_leaves_the_rest_out(cluster):
    began = time.monotonic()
    found = snapshot.take(cluster, [MESH], within=0.0)
    assert {found["nodes"]["status"], found["definitions"]["status"]} == {"failed"}
    assert time.monotonic() - began < snapshot.TIME


def test_lists_are_read_by_pages_and_not_without_end(cluster, monkeypatch):
    whole = snapshot.take(cluster, [MESH])["definitions"]
    asked = []
    json_of = Cluster.json

    def small(self, method, path, *, query=None, **more):
        if query and "limit" in query:
            asked.append(path)
            query = {**query, "limit": "2"}
        return json_of(self, method, path, query=query, **more)

    monkeypatch.setattr(Cluster, "json", small)
    assert snapshot.take(cluster, [MESH])["definitions"] == whole
    assert sum("customresourcedefinitions" in path for path in asked) == -(-len(whole["items"]) // 2)
    monkeypatch.setattr(listing, "MAX_OBJECTS", 3)
    cut = snapshot.take(cluster, [MESH])["definitions"]
    assert (cut["status"], len(cut["items"])) == ("cut", 3)


@pytest.mark.parametrize("answer", [
    {"items": [{"metadata": {}}]}, {"items": [{"metadata": {"name": "a"}, "spec": {"versions": [7]}}]}, {"items": {}},
    {"items": [3]}, {"items": [{"metadata": None}]}, {},
])
def test_objects_of_another_shape_than_promised_cost_no_run(cluster, monkeypatch, answer):
    monkeypatch.setattr(Cluster, "json", lambda *_, **__: answer)
    json.dumps(snapshot.take(cluster, [MESH]))


def test_a_large_cluster_is_cut_to_what_a_report_keeps(cluster, monkeypatch):
    many = [{"metadata": {"name": f"{'long-name-' * 15}{number}.example.invalid"},
             "spec": {"versions": [{"name": "v1", "served": True, "storage": True}]}} for number in range(2000)]
    json_of = Cluster.json

    def crowded(self, method, path, **more):
        return {"items": many} if "customresourcedefinitions" in path else json_of(self, method, path, **more)

    monkeypatch.setattr(Cluster, "json", crowded)
    found = snapshot.take(cluster, [MESH])
    assert len(json.dumps(found)) <= parts.MAX_SIZE
    assert found["definitions"]["status"] == "cut"
    assert found["nodes"]["status"] == "read"


def test_what_it_reads_besides_is_asked_of_nobody():
    demanded = {(right.group, right.resource, right.verb) for right in permissions.RUN}
    assert ("", "pods", "list") in demanded
    beside = ("nodes", "configmaps", "secrets")
    assert not demanded & {("", resource, verb) for resource in beside for verb in ("get", "list")}
