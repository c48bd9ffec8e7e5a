"""Aggregated APIs whose server is not there: the group is known, its requests fail, and the APIService says why."""

from __future__ import annotations

import pytest
from contract_api import MERGE

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "absent.example.org"
HERE = f"{SERVICES}/v1.{GROUP}"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def api_service(namespace, name="absent", **spec):
    service = {"namespace": namespace, "name": name}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1.{GROUP}"},
            "spec": {"group": GROUP, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
                     "insecureSkipTLSVerify": True, "service": service, **spec}}  # fmt: skip


@pytest.fixture
def register(api):
    def make(obj):
        return api.ok("POST", SERVICES, obj)

    yield make
    api("DELETE", HERE)
    api.gone(HERE)
    api.until(f"/apis/{GROUP}", lambda answer: answer.status == 404, 30)


def condition(answer):
    conditions = answer.body.get("status", {}).get("conditions") or ()
    return next((item for item in conditions if item["type"] == "Available"), {})


def has_reason(reason):
    return lambda answer: (condition(answer).get("status"), condition(answer).get("reason")) == ("False", reason)


def test_the_condition_says_why(api, namespace, register):
    made = register(api_service(namespace))
    assert made["spec"]["service"]["port"] == 443
    found = condition(api.until(HERE, has_reason("ServiceNotFound"), 30))
    assert found["message"] == f'service/absent in "{namespace}" is not present'
    ports = [{"port": 443, "targetPort": 8443}]
    service = {"metadata": {"name": "absent"}, "spec": {"selector": {"app": "nothing"}, "ports": ports}}
    api.ok("POST", f"/api/v1/namespaces/{namespace}/services", service)
    api.until(HERE, lambda answer: condition(answer).get("reason") in ("EndpointsNotFound", "MissingEndpoints"), 60)


def test_the_group_is_in_discovery_and_its_requests_fail(api, namespace, register):
    register(api_service(namespace))
    api.until(HERE, has_reason("ServiceNotFound"), 30)
    groups = {group["name"]: group for group in api.ok("GET", "/apis")["groups"]}
    assert groups[GROUP]["preferredVersion"] == {"groupVersion": f"{GROUP}/v1", "version": "v1"}
    assert api.ok("GET", f"/apis/{GROUP}")["name"] == GROUP
    for path in ("", "/things", f"/namespaces/{namespace}/things/one"):
        assert api("GET", f"/apis/{GROUP}/v1{path}").status == 503, path
    assert api("POST", f"/apis/{GROUP}/v1/namespaces/{namespace}/things", {}).status == 503

    def stale(answer):
        found = {item["metadata"].get("name"): item for item in answer.body["items"]}.get(GROUP)
        return found and [(item["freshness"], item.get("resources")) for item in found["versions"]] == [("Stale", None)]

    api.until("/apis", lambda _: stale(api("GET", "/apis", accept=AGGREGATED)), 30)


def test_the_rest_of_the_cluster_does_not_mind(api, namespace, maps, register):
    register(api_service(namespace))
    api.ok("POST", maps, {"metadata": {"name": "a"}})
    assert api.ok("GET", "/apis/apps/v1")["resources"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"group": "other.example.org"}, "metadata.name"), ({"versionPriority": 0}, "spec.versionPriority"),
     ({"caBundle": "eA=="}, "spec.insecureSkipTLSVerify"), ({"service": {"name": "x"}}, "spec.service.namespace")],
    ids=["name", "priority", "trust", "service"],
)  # fmt: skip
def test_invalid_registrations(api, namespace, change, field):
    answer = api("POST", SERVICES, api_service(namespace, **change))
    assert answer.status == 422
    assert field in answer.fields


def test_a_registration_may_change(api, namespace, register):
    register(api_service(namespace))
    changed = api.ok("PATCH", HERE, {"spec": {"versionPriority": 7}}, type=MERGE)
    assert changed["spec"]["versionPriority"] == 7
