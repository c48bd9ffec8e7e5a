"""What the sandbox's API server must have in common with the real one.

Every test here speaks to a cluster through its kubeconfig alone, so that the same tests can run against both.
"""

from __future__ import annotations

import pytest
from contract_api import MERGE, Api

from conformance.sandbox import Sandbox

GROUP = "contract.example.org"


def _definition():
    weight = {"type": "number", "minimum": 0, "default": 1}
    backend = {
        "type": "object",
        "required": ["service"],
        "properties": {"service": {"type": "string", "pattern": "^[a-z]"}, "weight": weight},
    }
    spec = {
        "type": "object",
        "required": ["service"],
        "properties": {
            "service": {"type": "string"},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "port": {"x-kubernetes-int-or-string": True},
            "note": {"type": "string", "nullable": True},
            "limit": {"type": "integer", "maximum": 10},
            "backends": {"type": "array", "items": backend},
            "rules": {
                "type": "array",
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "value": {"type": "string"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }  # fmt: skip
    status = {"type": "object", "properties": {"state": {"type": "string"}}}
    newer = {"type": "object", "properties": {"spec": spec, "status": status}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"splits.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "splits", "singular": "split", "kind": "Split", "shortNames": ["spl"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": newer},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Service", "type": "string", "jsonPath": ".spec.service"},
                        {"name": "Weights", "type": "string", "jsonPath": ".spec.backends[*].weight", "priority": 1},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                },
                {
                    "name": "v1beta1",
                    "served": True,
                    "storage": False,
                    "schema": {"openAPIV3Schema": newer},
                    "subresources": {"status": {}},
                },
            ],
        },
    }


@pytest.fixture(scope="session", params=["sandbox", pytest.param("testbed", marks=pytest.mark.testbed)])
def kubernetes_api(request):
    """The kubeconfig of a cluster on which namespaces and definitions may be made."""
    if request.param == "testbed":
        yield request.getfixturevalue("real_kubeconfig")
        return
    with Sandbox() as sandbox:
        yield sandbox.kubeconfig


@pytest.fixture(scope="session")
def api(kubernetes_api):
    found = Api(kubernetes_api)
    yield found
    found.http.close()


@pytest.fixture(scope="session")
def namespaces(api):
    """Makes namespaces. In the end all are gone: what a real cluster keeps is in the way of whoever comes next."""
    made = []

    def make():
        name = api.ok("POST", "/api/v1/namespaces", {"metadata": {"generateName": "contract-"}})["metadata"]["name"]
        made.append(f"/api/v1/namespaces/{name}")
        return name

    yield make
    for path in made:
        api("DELETE", path)
        for left in api("GET", f"{path}/configmaps").body.get("items", ()):  # of a test that did not come to its end
            here = f"{path}/configmaps/{left['metadata']['name']}"
            api("PATCH", here, {"metadata": {"finalizers": None}}, type=MERGE)
    for path in made:
        api.gone(path, 120)


@pytest.fixture
def namespace(api, namespaces):
    """A namespace of this test's own."""
    name = namespaces()
    yield name
    api("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def maps(namespace):
    """The path of the namespace's config maps."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def deployments(namespace):
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


@pytest.fixture(scope="session")
def definition(api):
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    here = f"{path}/splits.{GROUP}"
    api.absent(here)
    api.ok("POST", path, _definition())

    def established(answer):
        conditions = answer.body.get("status", {}).get("conditions") or ()
        return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)

    api.until(here, established)
    api.until(f"/apis/{GROUP}/v1", lambda answer: answer.status == 200)
    yield here
    api.absent(here)


@pytest.fixture
def splits(definition, namespace):
    """The path of the namespace's custom resources."""
    return f"/apis/{GROUP}/v1/namespaces/{namespace}/splits"
