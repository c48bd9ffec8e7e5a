"""Custom resources in several versions, with and without a webhook that converts."""

from __future__ import annotations

import copy
import time

import pytest
from contract_api import JSON_PATCH, MERGE, TABLE
from contract_pods import start_converter

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "boxes.example.org"
HERE = f"{DEFINITIONS}/boxes.{GROUP}"


def version(name, spec, *, storage=False, served=True):
    spec_schema = {"type": "object", "properties": spec}
    status = {"type": "object", "properties": {"full": {"type": "boolean"}}}
    properties = {"spec": spec_schema, "status": status}
    return {"name": name, "served": served, "storage": storage, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}}  # fmt: skip


SIZE = {"type": "integer", "minimum": 0, "maximum": 100}
OLD = {"size": SIZE, "note": {"type": "string", "default": "old"}}
NEW = {"capacity": {"type": "object", "properties": {"amount": SIZE}}, "colour": {"type": "string", "default": "red"}}


def definition(*versions, **conversion):
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boxes.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": {"plural": "boxes", "kind": "Box"},
                 "versions": list(versions), **({"conversion": conversion} if conversion else {})},
    }  # fmt: skip


def webhook(client, versions=("v1",)):
    return {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": list(versions)}}


def box(name, api_version, labels=None, **spec):
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": f"{GROUP}/{api_version}", "kind": "Box", "metadata": meta, "spec": spec}


def served(api, *names):
    for name in names:
        api.until(f"/apis/{GROUP}/{name}", lambda answer: answer.status == 200)


def clear(api):
    """Remove the definition, whatever a test has made of it: one whose objects cannot be read never goes, and no
    namespace of the cluster goes before it.
    """
    found = api("GET", HERE)
    if found.status == 404:
        return
    versions = found.body["spec"]["versions"]
    stored = next(item for item in versions if item["storage"])
    lost = {"v1", "v1beta1"} - {item["name"] for item in versions}
    versions += [{**stored, "name": name, "storage": False} for name in lost]
    spec = {"versions": versions, "conversion": {"strategy": "None", "webhook": None}}
    api.ok("PATCH", HERE, {"spec": spec}, type=MERGE)
    api.absent(HERE)


@pytest.fixture
def boxes(api, namespace):
    """Makes a definition and gives the path of a version's collection."""

    def make(made, *names):
        clear(api)
        api.ok("POST", DEFINITIONS, made)
        served(api, *names)
        return lambda name: f"/apis/{GROUP}/{name}/namespaces/{namespace}/boxes"

    yield make
    clear(api)


@pytest.fixture
def converter(api, namespace):
    return start_converter(api, namespace)


# --- without a webhook


def test_none_rewrites_the_version_and_drops_what_it_does_not_know(api, boxes):
    shared = {"size": SIZE}
    stored = version("v1", {**shared, "lid": {"type": "string"}}, storage=True)
    at = boxes(definition(stored, version("v1beta1", shared)), "v1", "v1beta1")
    api.ok("POST", at("v1"), box("a", "v1", size=3, lid="round"))
    older = api.ok("GET", f"{at('v1beta1')}/a")
    assert (older["apiVersion"], older["spec"]) == (f"{GROUP}/v1beta1", {"size": 3})
    assert api.ok("GET", f"{at('v1')}/a")["spec"] == {"size": 3, "lid": "round"}
    api.ok("PATCH", f"{at('v1beta1')}/a", {"spec": {"size": 4}}, type=MERGE)
    assert api.ok("GET", f"{at('v1')}/a")["spec"] == {"size": 4}, "written back from a version without a lid"


def test_none_does_not_fill_in_the_defaults_of_the_version_that_is_read(api, boxes):
    at = boxes(definition(version("v1", OLD, storage=True), version("v1beta1", {**OLD, **NEW})), "v1", "v1beta1")
    api.ok("POST", at("v1"), box("a", "v1", size=3))
    assert api.ok("GET", f"{at('v1beta1')}/a")["spec"] == {"size": 3, "note": "old"}


def test_a_default_that_comes_later_shows_when_old_objects_are_read(api, boxes):
    at = boxes(definition(version("v1", {"size": SIZE}, storage=True)), "v1")
    before = api.ok("POST", at("v1"), box("a", "v1", size=3))
    note = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/note"
    late = {"op": "add", "path": note, "value": {"type": "string", "default": "late"}}
    api.ok("PATCH", HERE, [late], type=JSON_PATCH)
    after = api.until(f"{at('v1')}/a", lambda answer: answer.body["spec"].get("note") == "late").body
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_versions_come_and_go(api, boxes):
    made = definition(version("v1beta1", OLD, storage=True))
    at = boxes(made, "v1beta1")
    api.ok("POST", at("v1beta1"), box("a", "v1beta1", size=1))
    spec = api.ok("GET", HERE)["spec"]
    spec["versions"] = [version("v1", OLD, storage=True), version("v1beta1", OLD)]
    api.ok("PATCH", HERE, {"spec": {"versions": spec["versions"]}}, type=MERGE)
    served(api, "v1")
    assert api.ok("GET", HERE)["status"]["storedVersions"] == ["v1beta1", "v1"]
    assert api.ok("GET", f"{at('v1')}/a")["apiVersion"] == f"{GROUP}/v1"
    spec["versions"][1]["served"] = False
    api.ok("PATCH", HERE, {"spec": {"versions": spec["versions"]}}, type=MERGE)
    api.until(f"{at('v1beta1')}/a", lambda answer: answer.status == 404)
    assert api.ok("GET", f"{at('v1')}/a")["spec"]["size"] == 1
    refused = api("PATCH", HERE, {"spec": {"versions": spec["versions"][:1]}}, type=MERGE)
    assert (refused.status, refused.fields) == (422, {"status.storedVersions[0]"})
    assert "until a storage migration ensures no data remains persisted in v1beta1" in refused.body["message"]
    api.ok("PATCH", f"{at('v1')}/a", {"spec": {"size": 2}}, type=MERGE)  # written in v1 from now on
    api.ok("PATCH", f"{HERE}/status", {"status": {"storedVersions": ["v1"]}}, type=MERGE)
    api.ok("PATCH", HERE, {"spec": {"versions": spec["versions"][:1]}}, type=MERGE)
    assert api.ok("GET", f"{at('v1')}/a")["spec"]["size"] == 2


def test_an_object_in_a_version_that_its_definition_has_lost(api, boxes):
    at = boxes(definition(version("v1beta1", OLD, storage=True)), "v1beta1")
    api.ok("POST", at("v1beta1"), box("a", "v1beta1", size=1))
    both = [version("v1", OLD, storage=True), version("v1beta1", OLD, served=False)]
    api.ok("PATCH", HERE, {"spec": {"versions": both}}, type=MERGE)
    served(api, "v1")
    api.until(at("v1"), lambda answer: answer.status == 200)
    api.ok("PATCH", f"{HERE}/status", {"status": {"storedVersions": ["v1"]}}, type=MERGE)  # which is not true
    api.ok("PATCH", HERE, {"spec": {"versions": both[:1]}}, type=MERGE)
    lost = f"request to convert CR from an invalid group/version: {GROUP}/v1beta1"
    api.until(f"{at('v1')}/a", lambda answer: (answer.status, answer.body.get("message")) == (500, lost))
    unlisted = f"storage is (re)initializing: failed to list {GROUP}/v1, Kind=Box: {lost}"
    listed = api.until(at("v1"), lambda answer: answer.body.get("message") == unlisted)
    assert (listed.status, listed.reason) == (429, "TooManyRequests")
    assert listed.body["details"] == {"retryAfterSeconds": 1}
    change = {"spec": {"size": 2}}
    assert api("PATCH", f"{at('v1')}/a", change, type=MERGE).body["message"] == lost
    assert api("DELETE", f"{at('v1')}/a").body["message"] == lost
    assert api("POST", at("v1"), box("a", "v1", size=2)).reason == "AlreadyExists"
    api.ok("PATCH", HERE, {"spec": {"versions": both}}, type=MERGE)
    api.until(f"{at('v1')}/a", lambda answer: answer.status == 200)
    assert api.ok("PATCH", f"{at('v1')}/a", change, type=MERGE)["spec"]["size"] == 2


# --- with a webhook


@pytest.fixture
def both(api, boxes, converter):
    made = definition(version("v1", NEW, storage=True), version("v1beta1", OLD), **webhook(converter))
    at = boxes(made, "v1", "v1beta1")
    # The webhook's pod is ready before the node's proxy knows the way to its Service.
    reached(api, at("v1beta1"))
    return at


def reached(api, path, within=30):
    """Wait until an object can be made in a version that has to be converted, and take it away again."""
    end = time.monotonic() + within
    while (answer := api("POST", path, box("probe", "v1beta1", size=1))).status not in (201, 409):
        assert time.monotonic() < end, answer.body
        api.pause()
    api.until(f"{path}/probe", lambda answer: answer.status == 200)
    api.ok("DELETE", f"{path}/probe")
    api.gone(f"{path}/probe")


def test_each_verb_speaks_the_version_of_its_path(api, both):
    made = api.ok("POST", both("v1beta1"), box("a", "v1beta1", size=3))
    assert (made["apiVersion"], made["spec"]["size"]) == (f"{GROUP}/v1beta1", 3)
    new = api.ok("GET", f"{both('v1')}/a")
    assert new["spec"]["capacity"] == {"amount": 3}
    assert new["metadata"]["uid"] == made["metadata"]["uid"]
    assert api.ok("GET", f"{both('v1beta1')}/a")["spec"]["size"] == 3
    (listed,) = api.ok("GET", both("v1beta1"))["items"]
    assert listed["spec"]["size"] == 3
    patched = api.ok("PATCH", f"{both('v1beta1')}/a", {"spec": {"size": 4}}, type=MERGE)
    assert patched["spec"]["size"] == 4
    assert patched["metadata"]["generation"] == 2
    patched["spec"]["size"] = 5
    assert api.ok("PUT", f"{both('v1beta1')}/a", patched)["spec"]["size"] == 5
    assert api("PUT", f"{both('v1beta1')}/a", patched).status == 409
    api.ok("PATCH", f"{both('v1beta1')}/a/status", {"status": {"full": True}}, type=MERGE)
    assert api.ok("GET", f"{both('v1')}/a")["status"] == {"full": True}
    assert api.ok("GET", f"{both('v1')}/a")["spec"]["capacity"] == {"amount": 5}
    assert api.ok("GET", both("v1beta1"), accept=TABLE)["rows"][0]["cells"][0] == "a"
    api.ok("DELETE", f"{both('v1beta1')}/a")
    api.gone(f"{both('v1')}/a")


def test_apply_in_a_converted_version(api, both):
    assert api.apply(f"{both('v1beta1')}/a", box("a", "v1beta1", size=3)).status == 201
    assert api.apply(f"{both('v1beta1')}/a", box("a", "v1beta1", size=4)).body["spec"]["size"] == 4
    assert api.ok("GET", f"{both('v1')}/a")["spec"]["capacity"] == {"amount": 4}


def test_a_watch_converts_what_it_sees(api, both):
    first = api.ok("POST", both("v1"), box("a", "v1", capacity={"amount": 1}))
    with api.watch(both("v1beta1"), resourceVersion=first["metadata"]["resourceVersion"]) as events:
        api.ok("PATCH", f"{both('v1')}/a", {"spec": {"capacity": {"amount": 2}}}, type=MERGE)
        api.ok("DELETE", f"{both('v1')}/a")
        seen = [next(events) for _ in range(2)]
    assert [(event["type"], event["object"]["spec"]["size"]) for event in seen] == [("MODIFIED", 2), ("DELETED", 2)]
    assert {event["object"]["apiVersion"] for event in seen} == {f"{GROUP}/v1beta1"}


def test_the_schema_of_the_version_that_is_written_counts(api, both):
    refused = api("POST", both("v1beta1"), box("a", "v1beta1", size=101))
    assert (refused.status, refused.fields) == (422, {"spec.size"})
    made = api.ok("POST", both("v1beta1"), box("a", "v1beta1", size=3, colour="blue"))
    assert made["spec"].get("colour") is None, "v1beta1 knows no colour"


def test_labels_and_annotations_are_the_webhooks_to_change_but_nothing_else(api, both):
    api.ok("POST", both("v1"), box("a", "v1", capacity={"amount": 1}))
    assert api.ok("GET", f"{both('v1beta1')}/a")["metadata"]["annotations"]["converted-to"] == f"{GROUP}/v1beta1"


@pytest.mark.parametrize(
    ("fault", "words"),
    [("refused", "this box stays as it is"), ("renamed", "must have the same name"),
     ("dropped", "returned 0 objects, expected 1"), ("wrong-version", "invalid groupVersion")],
)  # fmt: skip
def test_a_webhook_that_does_it_wrong_is_an_error_of_the_server(api, both, fault, words):
    api.ok("POST", both("v1"), box("a", "v1", {"convert": fault}, capacity={"amount": 1}))
    answer = api("GET", f"{both('v1beta1')}/a")
    assert answer.status == 500
    assert f"conversion webhook for {GROUP}/v1" in answer.body["message"]
    assert words in answer.body["message"]
    assert api("POST", both("v1beta1"), box("b", "v1beta1", {"convert": fault}, size=1)).status == 500
    assert api("GET", f"{both('v1')}/b").status == 404, "nothing was stored"
    assert api.ok("GET", f"{both('v1')}/a")["spec"]["capacity"] == {"amount": 1}


def test_a_webhook_that_is_not_there(api, boxes, namespace):
    client = {"service": {"namespace": namespace, "name": "nobody"}}
    made = definition(version("v1", NEW, storage=True), version("v1beta1", OLD), **webhook(client))
    at = boxes(made, "v1", "v1beta1")
    assert api.ok("GET", HERE)["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"] == 443
    api.ok("POST", at("v1"), box("a", "v1"))
    answer = api("GET", f"{at('v1beta1')}/a")
    assert answer.status == 500
    assert "conversion webhook for" in answer.body["message"]
    assert answer.body["message"].endswith('service "nobody" not found')
    listed = api("GET", at("v1beta1"))
    assert (listed.status, listed.body["message"]) == (500, answer.body["message"])
    assert api.ok("GET", at("v1"))["items"]


@pytest.mark.parametrize(
    ("conversion", "field"),
    [
        ({"strategy": "Sometimes"}, "spec.conversion.strategy"),
        ({"strategy": "Webhook"}, "spec.conversion.webhookClientConfig"),
        (webhook({}), "spec.conversion.webhookClientConfig"),
        (webhook({"url": "http://example.org/convert"}), "spec.conversion.webhookClientConfig.url"),
        (webhook({"url": "https://example.org/convert"}, ["v7"]), "spec.conversion.conversionReviewVersions"),
        (webhook({"url": "https://example.org/convert", "service": {"name": "a", "namespace": "b"}}),
         "spec.conversion.webhookClientConfig"),
        ({**webhook({"url": "https://example.org/convert"}), "strategy": "None"},
         "spec.conversion.webhookClientConfig"),
    ],
    ids=["strategy", "nowhere", "empty", "plain", "review", "both", "none"],
)  # fmt: skip
def test_invalid_conversions(api, conversion, field):
    made = copy.deepcopy(definition(version("v1", NEW, storage=True)))
    made["spec"]["conversion"] = conversion
    answer = api("POST", DEFINITIONS, made)
    assert answer.status == 422, answer.body
    assert field in answer.fields
