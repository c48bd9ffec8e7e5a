"""The `kubernetes` package against the API server."""

from __future__ import annotations

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException


@pytest.fixture(scope="module")
def api(harness):
    settings = client.Configuration()
    config.load_kube_config(str(harness.server.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as made:
        yield made


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


def conf(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"py": "yes"}}, "data": data}


def test_typed_objects(core):
    made = core.create_namespaced_config_map("default", conf("typed", a="1"))
    assert made.metadata.uid
    patched = core.patch_namespaced_config_map("typed", "default", {"data": {"a": "2"}})
    assert patched.data == {"a": "2"}
    found = core.list_namespaced_config_map("default", label_selector="py=yes")
    assert [item.metadata.name for item in found.items] == ["typed"]
    core.delete_namespaced_config_map("typed", "default")
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_config_map("typed", "default")
    assert refused.value.status == 404


def test_watch(core):
    version = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", conf("watched"))
    core.delete_namespaced_config_map("watched", "default")
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=1
    )
    assert [(event["type"], event["object"].metadata.name) for event in stream] == [
        ("ADDED", "watched"), ("DELETED", "watched"),
    ]  # fmt: skip


def test_custom_objects_and_the_dynamic_client(api):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.py.example.org"},
        "spec": {"group": "py.example.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]},
    }  # fmt: skip
    utils.create_from_dict(api, definition)
    custom = client.CustomObjectsApi(api)
    place = ("py.example.org", "v1", "default", "things")
    body = {"apiVersion": "py.example.org/v1", "kind": "Thing", "metadata": {"name": "one"}, "size": 1}
    custom.create_namespaced_custom_object(*place, body)
    custom.patch_namespaced_custom_object(*place, "one", {"size": 2})
    assert custom.get_namespaced_custom_object(*place, "one")["size"] == 2
    things = dynamic.DynamicClient(api).resources.get(api_version="py.example.org/v1", kind="Thing")
    assert [item.metadata.name for item in things.get(namespace="default").items] == ["one"]
    applied = things.server_side_apply(
        body={**body, "size": 3}, name="one", namespace="default", field_manager="py", force_conflicts=True
    )
    assert applied.size == 3


def test_pods_and_their_logs(core):
    pod = {"metadata": {"name": "py"}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}}
    core.create_namespaced_pod("default", pod)
    assert core.read_namespaced_pod_log("py", "default") == "hello from main\n"
    assert core.read_namespaced_pod_status("py", "default").status.phase == "Pending"
    core.delete_namespaced_pod("py", "default")
