"""Watches: what comes, in which order, from which moment on."""

from __future__ import annotations

from contract_api import MERGE
from test_contract_objects import named


def take(events, count):
    found = [next(events) for _ in range(count)]
    return [(event["type"], event["object"]["metadata"]["name"]) for event in found]


def test_changes_after_a_resource_version(api, maps):
    api.ok("POST", maps, named("before"))
    version = api.ok("GET", maps)["metadata"]["resourceVersion"]
    api.ok("POST", maps, named("one"))
    with api.watch(maps, resourceVersion=version) as events:
        api.ok("PATCH", f"{maps}/one", {"data": {"a": "b"}}, type=MERGE)
        api.ok("DELETE", f"{maps}/one")
        assert take(events, 3) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]


def test_present_objects_first(api, maps):
    api.ok("POST", maps, named("here"))
    with api.watch(maps, fieldSelector="metadata.name=here") as events:
        assert take(events, 1) == [("ADDED", "here")]


def test_a_selector_makes_comings_and_goings(api, maps):
    version = api.ok("GET", maps)["metadata"]["resourceVersion"]
    with api.watch(maps, resourceVersion=version, labelSelector="in=yes") as events:
        api.ok("POST", maps, named("one"))
        api.ok("PATCH", f"{maps}/one", {"metadata": {"labels": {"in": "yes"}}}, type=MERGE)
        api.ok("PATCH", f"{maps}/one", {"data": {"a": "b"}}, type=MERGE)
        api.ok("PATCH", f"{maps}/one", {"metadata": {"labels": {"in": "no"}}}, type=MERGE)
        assert take(events, 3) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]


def test_the_timeout_ends_a_watch(api, maps):
    version = api.ok("GET", maps)["metadata"]["resourceVersion"]
    only = {"fieldSelector": "metadata.name=none"}  # a new namespace gets a config map of its own
    with api.watch(maps, resourceVersion=version, timeoutSeconds="1", **only) as events:
        assert list(events) == []


def test_initial_events_end_with_a_bookmark(api, maps):
    api.ok("POST", maps, named("here"))
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with api.watch(maps, fieldSelector="metadata.name=here", **options) as events:
        assert take(events, 1) == [("ADDED", "here")]
        bookmark = next(events)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        api.ok("DELETE", f"{maps}/here")
        assert take(events, 1) == [("DELETED", "here")]


def test_all_namespaces(api, maps, namespace):
    api.ok("POST", maps, named("everywhere"))
    with api.watch("/api/v1/configmaps", fieldSelector=f"metadata.namespace={namespace}") as events:
        names = {name for _, name in take(events, 1)}
    assert names <= {"everywhere", "kube-root-ca.crt"}


def test_a_custom_resource_in_its_version(api, splits):
    older = splits.replace("/v1/", "/v1beta1/")
    body = {"apiVersion": "contract.example.org/v1", "kind": "Split", "metadata": {"name": "one"},
            "spec": {"service": "web"}}  # fmt: skip
    with api.watch(older) as events:
        api.ok("POST", splits, body)
        assert next(events)["object"]["apiVersion"] == "contract.example.org/v1beta1"
