"""The store, called as kubelet and controllers call it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from conformance.sandbox.apiserver import ApiError, Store
from conformance.sandbox.apiserver.resources import CONFIG_MAPS, CRDS, NAMESPACES, PODS, SERVICES


def pod(name="web", **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x:1"}], **spec}}


@pytest.fixture
def store():
    made = Store()
    made.create(NAMESPACES, {"metadata": {"name": "demo"}})
    return made


def events(watch, count):
    async def take():
        async with asyncio.timeout(2):
            return [await anext(watch) for _ in range(count)]

    return [(event.type, event.object["metadata"]["name"]) for event in asyncio.run(take())]


def test_results_are_copies(store):
    made = store.create(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}}, "demo")
    made["data"]["a"] = "changed"
    store.list(CONFIG_MAPS)[0]["data"]["a"] = "changed"
    store.get(CONFIG_MAPS, "c", "demo")["data"]["a"] = "changed"
    assert store.get(CONFIG_MAPS, "c", "demo")["data"] == {"a": "1"}


def test_a_running_pod_ends_gracefully(store):
    store.create(PODS, pod(), "demo")
    store.modify(PODS, "web", "demo", lambda obj: obj["spec"].update(nodeName="node"))
    marked = store.delete(PODS, "web", "demo")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    again = store.delete(PODS, "web", "demo", grace=5)
    assert again["metadata"]["deletionGracePeriodSeconds"] == 5
    longer = store.delete(PODS, "web", "demo", grace=60)
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    store.delete(PODS, "web", "demo", grace=0)
    with pytest.raises(ApiError, match='pods "web" not found'):
        store.get(PODS, "web", "demo")


def test_a_pod_without_a_node_or_that_has_ended_goes_at_once(store):
    store.create(PODS, pod(), "demo")
    store.delete(PODS, "web", "demo")
    store.create(PODS, pod(nodeName="node"), "demo")
    store.modify(PODS, "web", "demo", lambda obj: obj["status"].update(phase="Succeeded"), subresource="status")
    store.delete(PODS, "web", "demo")
    assert store.list(PODS) == []


def test_a_pods_spec_is_immutable_but_for_its_node(store):
    store.create(PODS, pod(), "demo")
    with pytest.raises(ApiError, match="pod updates may not change fields other than") as refused:
        store.modify(PODS, "web", "demo", lambda obj: obj["spec"].update(hostname="other"))
    assert refused.value.code == 422
    store.modify(PODS, "web", "demo", lambda obj: obj["spec"].update(nodeName="node"))
    with pytest.raises(ApiError):
        store.modify(PODS, "web", "demo", lambda obj: obj["spec"].update(nodeName="other"))


def test_status_and_the_rest_are_written_apart(store):
    store.create(PODS, pod(), "demo")

    def change(obj):
        obj["status"]["phase"] = "Running"
        obj["metadata"]["labels"] = {"a": "b"}

    by_status = store.modify(PODS, "web", "demo", change, subresource="status")
    assert by_status["status"]["phase"] == "Running"
    assert "labels" not in by_status["metadata"]
    by_main = store.modify(PODS, "web", "demo", lambda obj: obj["status"].update(phase="Failed"))
    assert by_main["status"]["phase"] == "Running"


def test_a_write_without_a_change_is_no_event(store):
    store.create(PODS, pod(), "demo")
    before = store.revision
    store.modify(PODS, "web", "demo", lambda obj: None)
    assert store.revision == before


def test_a_watch_is_complete_from_the_call_on(store):
    store.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, "demo")
    watch = store.watch(CONFIG_MAPS)
    store.create(CONFIG_MAPS, {"metadata": {"name": "two"}}, "demo")
    store.delete(CONFIG_MAPS, "one", "demo")
    assert events(watch, 3) == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]


def test_a_watch_from_a_revision(store):
    store.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, "demo")
    since = store.revision
    store.modify(CONFIG_MAPS, "one", "demo", lambda obj: obj.update(data={"a": "b"}))
    assert events(store.watch(CONFIG_MAPS, since=since), 1) == [("MODIFIED", "one")]


def test_a_closed_watch_ends_and_events_carry_revisions(store):
    watch = store.watch(CONFIG_MAPS, "demo")
    store.create(CONFIG_MAPS, {"metadata": {"name": "one"}}, "demo")
    store.delete(CONFIG_MAPS, "one", "demo")
    watch.close()

    async def rest():
        return [event async for event in watch]

    added, deleted = asyncio.run(rest())
    assert int(deleted.object["metadata"]["resourceVersion"]) > int(added.object["metadata"]["resourceVersion"])


def test_too_old_a_revision_is_gone():
    store = Store(history=5)
    store.create(NAMESPACES, {"metadata": {"name": "demo"}})
    for number in range(10):
        store.create(CONFIG_MAPS, {"metadata": {"name": f"c{number}"}}, "demo")
    with pytest.raises(ApiError) as refused:
        store.watch(CONFIG_MAPS, since=3)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    assert store.watch(CONFIG_MAPS, since=store.revision - 4).pending


def test_dependents_of_nobody_are_deleted(store):
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "no-such-uid"}
    store.create(CONFIG_MAPS, {"metadata": {"name": "c", "ownerReferences": [owner]}}, "demo")
    assert store.list(CONFIG_MAPS) == []


def test_one_of_two_owners_is_enough(store):
    uids = [store.create(CONFIG_MAPS, {"metadata": {"name": name}}, "demo")["metadata"]["uid"] for name in ("a", "b")]
    owners = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid} for uid in uids]
    store.create(CONFIG_MAPS, {"metadata": {"name": "child", "ownerReferences": owners}}, "demo")
    store.delete(CONFIG_MAPS, "a", "demo")
    left = store.get(CONFIG_MAPS, "child", "demo")["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in left] == uids[1:]
    store.delete(CONFIG_MAPS, "b", "demo")
    assert store.list(CONFIG_MAPS) == []


def test_cluster_ips_are_allocated_and_released():
    free, released = iter(["10.7.128.1", "10.7.128.2"]), []
    store = Store(allocate=lambda: next(free), release=released.append)
    store.create(NAMESPACES, {"metadata": {"name": "demo"}})
    spec = {"ports": [{"port": 80}]}
    with pytest.raises(ApiError):
        store.create(SERVICES, {"metadata": {"name": "bad"}, "spec": {"ports": [{"port": -1}]}}, "demo")
    store.create(SERVICES, {"metadata": {"name": "dry"}, "spec": spec}, "demo", dry_run=True)
    made = store.create(SERVICES, {"metadata": {"name": "web"}, "spec": spec}, "demo")
    assert made["spec"]["clusterIP"] == "10.7.128.1"
    store.delete(SERVICES, "web", "demo")
    assert released == ["10.7.128.1"]


def test_admission_may_change_and_refuse(store):
    def hook(resource, obj):
        if resource.key != PODS.key:
            return
        if obj["metadata"]["name"] == "bad":
            raise ApiError(403, "Forbidden", "not here")
        obj["spec"]["containers"].append({"name": "sidecar", "image": "y:1"})
        store.admit.clear()

    store.admit.append(hook)
    made = store.create(PODS, pod(), "demo")
    assert [item["name"] for item in made["spec"]["containers"]] == ["c", "sidecar"]
    store.admit.append(hook)
    with pytest.raises(ApiError, match="not here"):
        store.create(PODS, pod("bad"), "demo")


def test_defaults_reach_what_admission_adds(store):
    def hook(resource, obj):
        if resource.key == PODS.key and len(obj["spec"]["containers"]) == 1:
            obj["spec"]["containers"].append({"name": "sidecar", "image": "y:1"})

    store.admit.append(hook)
    made = store.create(PODS, pod(), "demo")
    assert made["spec"]["containers"][1]["terminationMessagePath"] == "/dev/termination-log"


def test_a_failing_observer_does_not_fail_the_write(store, caplog):
    def broken(change):
        raise RuntimeError("broken")

    store.observers.append(broken)
    with caplog.at_level(logging.ERROR):
        store.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, "demo")
    assert store.get(CONFIG_MAPS, "c", "demo")
    assert "following ADDED of configmaps failed" in caplog.text


def test_a_definition_serves_at_once_and_its_watches_end_with_it(store):
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "x.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": [version]}  # fmt: skip
    store.create(CRDS, {"metadata": {"name": "things.x.org"}, "spec": spec})
    things = store.resource("x.org/v1", "Thing")
    store.create(things, {"metadata": {"name": "held", "finalizers": ["x.org/hold"]}}, "demo")
    watch = store.watch(things)
    store.delete(CRDS, "things.x.org")
    assert store.get(CRDS, "things.x.org")["metadata"]["deletionTimestamp"]
    with pytest.raises(ApiError) as refused:
        store.create(things, {"metadata": {"name": "late"}}, "demo")
    assert refused.value.code == 405
    store.modify(things, "held", "demo", lambda obj: obj["metadata"].update(finalizers=[]))

    async def rest():
        async with asyncio.timeout(2):
            return [event.type async for event in watch]

    assert asyncio.run(rest()) == ["ADDED", "MODIFIED", "DELETED"]
    with pytest.raises(ApiError, match="could not find the requested resource"):
        store.resource("x.org/v1", "Thing")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"containers": "none"}, "wrong type"),
        ({"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": "http"}]}]}, "must be an integer"),
        ({"containers": [{"name": "c", "image": "x", "env": [{"name": "A", "value": 1}]}]}, "quote it"),
        (
            {"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/x"}]}]},
            "Not found",
        ),
        ({"containers": [{"name": "c", "image": "x"}, {"name": "c", "image": "x"}]}, "Duplicate value"),
        ({"containers": [{"name": "C", "image": ""}]}, "Required value"),
    ],
    ids=["list", "port", "env", "volume", "twice", "image"],
)
def test_malformed_pods(store, spec, words):
    with pytest.raises(ApiError, match=words) as refused:
        store.create(PODS, {"metadata": {"name": "bad"}, "spec": spec}, "demo")
    assert refused.value.code in (400, 422)


def _definition(*versions, storage):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    found = [{"name": name, "served": True, "storage": name == storage, "schema": schema} for name in versions]
    return {"group": "x.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": found}


def test_versions_come_and_go_while_objects_stay(store):
    store.create(CRDS, {"metadata": {"name": "things.x.org"}, "spec": _definition("v1alpha1", storage="v1alpha1")})
    old = store.resource("x.org/v1alpha1", "Thing")
    store.create(old, {"metadata": {"name": "one"}, "size": 1}, "demo")
    spec = _definition("v1", "v1alpha1", storage="v1")
    store.modify(CRDS, "things.x.org", "", lambda obj: obj.update(spec=spec))
    new = store.resource("x.org/v1", "Thing")
    assert store.get(new, "one", "demo")["apiVersion"] == "x.org/v1"
    assert store.get(CRDS, "things.x.org")["status"]["storedVersions"] == ["v1alpha1", "v1"]

    def drop(obj):
        obj["spec"] = _definition("v1", storage="v1")

    with pytest.raises(ApiError, match=r'status.storedVersions\[0\]: Invalid value: "v1alpha1": missing from spec'):
        store.modify(CRDS, "things.x.org", "", drop)
    store.modify(new, "one", "demo", lambda obj: obj.update(size=2))
    migrated = {"storedVersions": ["v1"]}
    store.modify(CRDS, "things.x.org", "", lambda obj: obj["status"].update(migrated), subresource="status")
    store.modify(CRDS, "things.x.org", "", drop)
    with pytest.raises(ApiError, match="could not find"):
        store.resource("x.org/v1alpha1", "Thing")
    assert store.get(CRDS, "things.x.org")["status"]["storedVersions"] == ["v1"]
    store.delete(NAMESPACES, "demo")
    assert store.list(new) == []
