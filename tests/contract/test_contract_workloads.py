"""Deployments and services: defaults, what makes them invalid, and how they are scaled."""

from __future__ import annotations

import pytest


def template(image="example.org/none:1"):
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def deployment(**spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec},
    }


def test_generation_follows_the_spec_only(api, deployments):
    path = f"{deployments}/web"
    made = api.ok("POST", deployments, deployment())
    assert made["metadata"]["generation"] == 1
    patch = {"type": "application/merge-patch+json"}
    assert api.ok("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, **patch)["metadata"]["generation"] == 1
    assert api.ok("PATCH", path, {"spec": {"paused": True}}, **patch)["metadata"]["generation"] == 2
    assert api.ok("PATCH", f"{path}/status", {"status": {"replicas": 0}}, **patch)["metadata"]["generation"] == 2


def test_defaults_of_a_deployment(api, deployments):
    spec = api.ok("POST", deployments, deployment())["spec"]
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert spec["revisionHistoryLimit"] == 10
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Always"
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels"),
        ({"selector": {}}, "spec.selector"),
        ({"selector": None}, "spec.selector"),
        ({"replicas": -1}, "spec.replicas"),
        ({"template": {**template(), "spec": {}}}, "spec.template.spec.containers"),
    ],
    ids=["selector", "empty", "none", "replicas", "containers"],
)
def test_invalid_deployments(api, deployments, changes, field):
    answer = api("POST", deployments, deployment(**changes))
    assert answer.status == 422
    assert field in answer.fields


def test_services(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/services"
    ports = {"ports": [{"port": 80}], "selector": {"app": "web"}}
    made = api.ok("POST", path, {"metadata": {"name": "web"}, "spec": ports})
    spec = made["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.")
    without = {key: value for key, value in spec.items() if not key.startswith("clusterIP")}
    kept = api.ok("PUT", f"{path}/web", {"metadata": made["metadata"], "spec": without})
    assert kept["spec"]["clusterIP"] == spec["clusterIP"]
    headless = api.ok("POST", path, {"metadata": {"name": "none"}, "spec": {**ports, "clusterIP": "None"}})
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["ipFamilyPolicy"] == "SingleStack"
    bare = api.ok("POST", path, {"metadata": {"name": "bare"}, "spec": {"clusterIP": "None"}})
    assert (bare["spec"]["ipFamilyPolicy"], bare["spec"]["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
    assert "generation" not in made["metadata"]
    node = api.ok("POST", path, {"metadata": {"name": "node"}, "spec": {**ports, "type": "NodePort"}})
    assert 30000 <= node["spec"]["ports"][0]["nodePort"] <= 32767
    for spec, field in (
        ({"selector": {"a": "b"}}, "spec.ports"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name"),
    ):
        answer = api("POST", path, {"metadata": {"name": "bad"}, "spec": spec})
        assert answer.status == 422
        assert field in answer.fields


def test_scale(api, deployments):
    api.ok("POST", deployments, deployment(paused=True))
    scale = api.ok("GET", f"{deployments}/web/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {}, {"replicas": 0, "selector": "app=web"})
    for replicas, spec in ((2, {"replicas": 2}), (0, {})):  # paused: none starts
        patch = {"spec": {"replicas": replicas}}
        patched = api.ok("PATCH", f"{deployments}/web/scale", patch, type="application/merge-patch+json")
        assert patched["spec"] == spec
        assert api.ok("GET", f"{deployments}/web")["spec"]["replicas"] == replicas
