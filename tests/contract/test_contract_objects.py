"""Create, read, update, delete, and all that hangs on them."""

from __future__ import annotations

import pytest

ONE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"app": "a", "tier": "x"}},
       "data": {"key": "value"}}  # fmt: skip


def named(name, **meta):
    return {**ONE, "metadata": {"name": name, **meta}}


def test_create_fills_in_what_the_server_owns(api, maps, namespace):
    answer = api("POST", maps, ONE)
    assert answer.status == 201
    meta = answer.body["metadata"]
    assert meta["uid"]
    assert meta["resourceVersion"]
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["namespace"] == namespace
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMap", "v1")
    assert api.ok("GET", f"{maps}/one") == answer.body


def test_name_taken(api, maps):
    api.ok("POST", maps, ONE)
    answer = api("POST", maps, ONE)
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.body["message"] == 'configmaps "one" already exists'
    assert answer.body["details"] == {"name": "one", "kind": "configmaps"}


def test_generate_name(api, maps):
    names = {api.ok("POST", maps, {"metadata": {"generateName": "gen-"}})["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason"),
    [
        ("GET", "/none", None, 404, "NotFound"),
        ("GET", "s/none", None, 404, None),
        ("PUT", "/none", named("none"), 404, "NotFound"),
        ("DELETE", "/none", None, 404, "NotFound"),
        ("POST", "", named("No_Such_Name"), 422, "Invalid"),
        ("POST", "", {"metadata": {}}, 422, "Invalid"),
        ("POST", "", named("x", labels={"a": "not valid!"}), 422, "Invalid"),
        ("POST", "", named("x", labels={"a/b/c": "x"}), 422, "Invalid"),
        ("POST", "", named("x", finalizers=["short"]), 422, "Invalid"),
        ("POST", "", named("x", ownerReferences=[{"name": "y"}]), 422, "Invalid"),
        ("POST", "", named("x", resourceVersion="1"), 500, None),
        ("POST", "", {**named("x"), "kind": "Secret"}, 400, "BadRequest"),
        ("POST", "", {**named("x"), "data": {"a": 1}}, 400, "BadRequest"),
        ("POST", "", "{not json", 400, "BadRequest"),
        ("POST", "", named("x", namespace="elsewhere"), 400, "BadRequest"),
        ("PUT", "/one", named("two"), 400, "BadRequest"),
        ("POST", "/one", named("one"), 405, "MethodNotAllowed"),
        ("PATCH", "", {}, 405, "MethodNotAllowed"),
    ],
    ids=str,
)
def test_refusals(api, maps, method, path, body, code, reason):
    answer = api(method, maps + path, body)
    assert answer.status == code, answer.body
    if reason:
        assert answer.body["kind"] == "Status"
        assert answer.body["code"] == code
        assert answer.reason == reason


@pytest.mark.parametrize(
    ("key", "words"),
    [("a/b/c", "a qualified name must consist of"), ("UPPER/x", "prefix part a lowercase RFC 1123 subdomain"),
     ("/x", "prefix part must be non-empty"), ("x/", "name part must be non-empty"),
     ("x" * 64, "name part must be no more than 63 characters"), ("-x", "name part must consist of")],
)  # fmt: skip
def test_keys_of_labels(api, maps, key, words):
    answer = api("POST", maps, named("x", labels={key: "y"}))
    assert (answer.status, answer.fields) == (422, {"metadata.labels"})
    assert f'metadata.labels: Invalid value: "{key}": {words}' in answer.body["message"]


def test_a_name_has_an_end(api, maps):
    answer = api("POST", maps, named("x" * 254))
    assert (answer.status, answer.fields) == (422, {"metadata.name"})
    assert "must be no more than 253 characters" in answer.body["message"]


def test_media_types(api, maps):
    assert api("POST", maps, "a: b", type="text/plain").status == 415
    assert api("POST", maps, "metadata: {name: from-yaml}", type="application/yaml").status == 201
    assert api("GET", maps, accept="image/png").status == 406
    assert api("PATCH", f"{maps}/from-yaml", {}, type="application/json").status == 415


def test_namespace_must_exist(api):
    answer = api("POST", "/api/v1/namespaces/no-such-namespace/configmaps", ONE)
    assert answer.status == 404
    assert 'namespaces "no-such-namespace" not found' in answer.body["message"]


def test_replace_is_checked_against_the_resource_version(api, maps):
    first = api.ok("POST", maps, ONE)
    second = api.ok("PUT", f"{maps}/one", {**first, "data": {"key": "new"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    answer = api("PUT", f"{maps}/one", {**first, "data": {"key": "stale"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "the object has been modified" in answer.body["message"]
    unconditional = api.ok("PUT", f"{maps}/one", ONE)
    assert unconditional["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_write_that_changes_nothing_is_no_write(api, maps):
    first = api.ok("POST", maps, ONE)
    again = api.ok("PUT", f"{maps}/one", first)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_label_and_field_selectors(api, maps, namespace):
    for name, labels in (("a", {"app": "x", "tier": "1"}), ("b", {"app": "y"}), ("c", {})):
        api.ok("POST", maps, named(name, labels=labels))

    def names(**query):
        items = api.ok("GET", maps, **query)["items"]
        return [item["metadata"]["name"] for item in items if item["metadata"]["name"] in "abc"]

    assert names() == ["a", "b", "c"]
    for selector, wanted in {
        "app=x": ["a"],
        "app==x,tier=1": ["a"],
        "app!=x": ["b", "c"],
        "app in (x, y)": ["a", "b"],
        "app notin (x)": ["b", "c"],
        "app": ["a", "b"],
        "!app": ["c"],
        "app,!tier": ["b"],
    }.items():
        assert names(labelSelector=selector) == wanted, selector
    assert names(fieldSelector="metadata.name=b") == ["b"]
    assert names(fieldSelector="metadata.name!=b,metadata.namespace=" + namespace) == ["a", "c"]
    assert api("GET", maps, labelSelector="a===b").status == 400
    assert api("GET", maps, fieldSelector="data.key=1").status == 400


def test_list_in_pieces(api, maps):
    for number in range(5):
        api.ok("POST", maps, named(f"p{number}", labels={"paged": "yes"}))
    first = api.ok("GET", maps, limit=2, labelSelector="paged=yes")
    second = api.ok("GET", maps, limit=3, labelSelector="paged=yes", **{"continue": first["metadata"]["continue"]})
    names = [item["metadata"]["name"] for item in first["items"] + second["items"]]
    assert names == [f"p{number}" for number in range(5)]
    assert not second["metadata"].get("continue")


def test_dry_run_stores_nothing(api, maps):
    assert api("POST", maps, ONE, dryRun="All").status == 201
    assert api("GET", f"{maps}/one").status == 404
    api.ok("POST", maps, ONE)
    assert api.ok("PUT", f"{maps}/one", {**ONE, "data": {"key": "dry"}}, dryRun="All")["data"] == {"key": "dry"}
    api.ok("DELETE", f"{maps}/one", dryRun="All")
    assert api.ok("GET", f"{maps}/one")["data"] == {"key": "value"}
    assert api("POST", maps, named("x"), dryRun="Some").status in (400, 422)


def test_finalizers_hold_an_object(api, maps):
    api.ok("POST", maps, named("held", finalizers=["example.org/hold"]))
    answer = api.ok("DELETE", f"{maps}/held")
    assert answer["metadata"]["deletionTimestamp"]
    found = api.ok("GET", f"{maps}/held")
    assert found["metadata"]["finalizers"] == ["example.org/hold"]
    released = {"metadata": {"finalizers": None}}
    api.ok("PATCH", f"{maps}/held", released, type="application/merge-patch+json")
    assert api("GET", f"{maps}/held").status == 404


def _owned(api, maps, *, block=False):
    owner = api.ok("POST", maps, named("owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    reference["blockOwnerDeletion"] = block
    api.ok("POST", maps, named("child", ownerReferences=[reference]))


def test_background_deletion_takes_dependents_along(api, maps):
    _owned(api, maps)
    api.ok("DELETE", f"{maps}/owner", {"propagationPolicy": "Background"})
    api.gone(f"{maps}/owner")
    api.gone(f"{maps}/child", 30)


def test_foreground_deletion_waits_for_dependents(api, maps):
    _owned(api, maps, block=True)
    held = {"metadata": {"finalizers": ["example.org/hold"]}}
    api.ok("PATCH", f"{maps}/child", held, type="application/merge-patch+json")
    api.ok("DELETE", f"{maps}/owner", {"propagationPolicy": "Foreground"})
    api.until(f"{maps}/child", lambda answer: "deletionTimestamp" in answer.body["metadata"], 30)
    assert api.ok("GET", f"{maps}/owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.ok("PATCH", f"{maps}/child", {"metadata": {"finalizers": None}}, type="application/merge-patch+json")
    api.gone(f"{maps}/child")
    api.gone(f"{maps}/owner", 30)


def test_orphans_stay(api, maps):
    _owned(api, maps)
    api.ok("DELETE", f"{maps}/owner", {"propagationPolicy": "Orphan"})
    api.gone(f"{maps}/owner", 30)
    assert "ownerReferences" not in api.ok("GET", f"{maps}/child")["metadata"]


def test_delete_preconditions(api, maps):
    api.ok("POST", maps, ONE)
    answer = api("DELETE", f"{maps}/one", {"preconditions": {"uid": "another"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "the UID in the precondition (another) does not match the UID in record" in answer.body["message"]


def test_delete_a_collection(api, maps):
    for name, labels in (("a", {"go": "yes"}), ("b", {"go": "yes"}), ("c", {})):
        api.ok("POST", maps, named(name, labels=labels))
    api.ok("DELETE", maps, labelSelector="go=yes")
    names = {item["metadata"]["name"] for item in api.ok("GET", maps)["items"]}
    assert names & {"a", "b", "c"} == {"c"}


def test_a_namespace_goes_with_its_contents(api, namespaces):
    name = namespaces()
    path = f"/api/v1/namespaces/{name}"
    api.ok("POST", f"{path}/configmaps", named("held", finalizers=["example.org/hold"]))
    api.ok("DELETE", path)
    api.until(path, lambda answer: answer.body["status"]["phase"] == "Terminating")
    answer = api("POST", f"{path}/configmaps", named("late"))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert "is being terminated" in answer.body["message"]
    api.until(f"{path}/configmaps/held", lambda answer: "deletionTimestamp" in answer.body["metadata"], 60)
    api.ok("PATCH", f"{path}/configmaps/held", {"metadata": {"finalizers": None}}, type="application/merge-patch+json")
    api.gone(path, 60)  # a cluster looks again after some seconds


def test_discovery(api):
    groups = {group["name"] for group in api.ok("GET", "/apis")["groups"]}
    assert {"apps", "apiextensions.k8s.io", "discovery.k8s.io"} <= groups
    core = {item["name"]: item for item in api.ok("GET", "/api/v1")["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert {"pods/log", "pods/proxy", "pods/status", "services/proxy"} <= set(core)
    assert api("GET", "/apis/nothing.example.org/v1").status == 404
    assert api.ok("GET", "/version")["major"] == "1"
