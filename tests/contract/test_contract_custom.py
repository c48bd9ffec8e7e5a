"""Custom resources: schema, versions, status, columns, and the life of a definition."""

from __future__ import annotations

import copy
import json

import pytest
from contract_api import MERGE, STRATEGIC, TABLE

API = "contract.example.org/v1"


def split(name="one", **spec):
    return {"apiVersion": API, "kind": "Split", "metadata": {"name": name}, "spec": {"service": "web", **spec}}


def test_defaults_and_pruning(api, splits):
    sent = split(backends=[{"service": "a", "typo": 1}], unknown={"x": 1}, free={"kept": {"as": "is"}})
    found = api.ok("POST", splits, sent)
    assert found["spec"] == {
        "service": "web", "backends": [{"service": "a", "weight": 1}], "free": {"kept": {"as": "is"}},
    }  # fmt: skip
    assert found["metadata"]["generation"] == 1


def test_strict_validation_names_unknown_fields(api, splits):
    sent = split(backends=[{"service": "a", "typo": 1}])
    answer = api("POST", splits, sent, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.backends[0].typo"' in answer.body["message"]
    warned = api("POST", splits, sent, fieldValidation="Warn")
    assert warned.status == 201
    assert "spec.backends[0].typo" in warned.headers["warning"]


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"service": None}, "spec.service", None),
        ({"service": 7}, "spec.service",
         'spec.service: Invalid value: "integer": spec.service in body must be of type string: "integer"'),
        ({"mode": "odd"}, "spec.mode", 'Unsupported value: "odd": supported values: "fast", "slow"'),
        ({"limit": 11}, "spec.limit", "spec.limit in body should be less than or equal to 10"),
        ({"limit": 1.5}, "spec.limit", "must be of type integer"),
        ({"backends": [{"service": "a", "weight": -1}]}, "spec.backends[0].weight",
         "spec.backends[0].weight in body should be greater than or equal to 0"),
        ({"backends": [{"service": "a", "weight": "90"}]}, "spec.backends[0].weight",
         'must be of type number: "string"'),
        ({"backends": [{"weight": 1}]}, "spec.backends[0].service", "Required value"),
        ({"backends": [{"service": "Upper"}]}, "spec.backends[0].service", "should match '^[a-z]'"),
        ({"port": {"a": 1}}, "spec.port", None),
        ({"rules": [{"name": "a"}, {"name": "a"}]}, "spec.rules[1]", "Duplicate value"),
    ],
    ids=["null", "type", "enum", "maximum", "integer", "minimum", "quoted", "required", "pattern", "int-or-string",
         "duplicate"],
)  # fmt: skip
def test_invalid_objects(api, splits, spec, field, words):
    answer = api("POST", splits, split(**spec))
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert field in answer.fields
    assert answer.body["message"].startswith('Split.contract.example.org "one" is invalid: ')
    assert words is None or words in answer.body["message"]
    assert answer.body["details"]["kind"] == "Split"


@pytest.mark.parametrize("spec", [{"port": 80}, {"port": "http"}, {"note": None}, {"limit": 10}], ids=str)
def test_valid_objects(api, splits, spec):
    assert api.ok("POST", splits, split(**spec))["spec"] == {"service": "web", **spec}


def test_an_update_is_validated_too(api, splits):
    api.ok("POST", splits, split())
    assert api("PATCH", f"{splits}/one", {"spec": {"limit": 99}}, type=MERGE).status == 422
    assert api("PATCH", f"{splits}/one", {"spec": {}}, type=STRATEGIC).status == 415


def test_status_is_apart(api, splits):
    made = api.ok("POST", splits, {**split(), "status": {"state": "forged"}})
    assert "status" not in made
    done = api.ok("PATCH", f"{splits}/one/status", {"status": {"state": "ready"}, "spec": {"service": "x"}}, type=MERGE)
    assert (done["status"], done["spec"]["service"]) == ({"state": "ready"}, "web")
    assert done["metadata"]["generation"] == 1
    body = copy.deepcopy(done)
    body["spec"]["service"], body["status"] = "new", {"state": "forged"}
    after = api.ok("PUT", f"{splits}/one", body)
    assert (after["spec"]["service"], after["status"]) == ("new", {"state": "ready"})
    assert after["metadata"]["generation"] == 2


def test_every_served_version(api, splits):
    api.ok("POST", splits, split())
    older = splits.replace("/v1/", "/v1beta1/")
    found = api.ok("GET", f"{older}/one")
    assert found["apiVersion"] == "contract.example.org/v1beta1"
    assert found["spec"]["service"] == "web"
    sent = {**split("two"), "apiVersion": "contract.example.org/v1beta1"}
    api.ok("POST", older, sent)
    assert api.ok("GET", f"{splits}/two")["apiVersion"] == API
    assert {item["apiVersion"] for item in api.ok("GET", older)["items"]} == {"contract.example.org/v1beta1"}
    assert api("POST", splits, sent).status == 400
    assert api("GET", splits.replace("/v1/", "/v7/")).status == 404


def test_discovery_prefers_the_newest_version(api, splits):
    group = api.ok("GET", "/apis/contract.example.org")
    assert [item["version"] for item in group["versions"]] == ["v1", "v1beta1"]
    resource = api.ok("GET", "/apis/contract.example.org/v1")["resources"][0]
    assert (resource["kind"], resource["singularName"], resource["shortNames"]) == ("Split", "split", ["spl"])


def test_printer_columns(api, splits):
    api.ok("POST", splits, split(backends=[{"service": "a", "weight": 90}, {"service": "b", "weight": 10}]))
    table = api.ok("GET", splits, accept=TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Service", "Weights", "Age"]
    (row,) = table["rows"]
    assert row["cells"][:2] == ["one", "web"]
    assert row["cells"][3].endswith("s")
    assert row["object"]["kind"] == "PartialObjectMetadata"


def test_apply_of_a_custom_resource(api, splits):
    body = split(rules=[{"name": "a", "value": "1"}])
    assert api.apply(f"{splits}/one", body, manager="first").status == 201
    other = split(rules=[{"name": "b", "value": "2"}])
    after = api.apply(f"{splits}/one", other, manager="second")
    assert [rule["name"] for rule in after.body["spec"]["rules"]] == ["a", "b"]
    fields = after.body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert "f:rules" in fields
    atomic = split(backends=[{"service": "x"}])
    assert api.apply(f"{splits}/one", atomic, manager="first").status == 200
    assert api.apply(f"{splits}/one", split(backends=[{"service": "y"}]), manager="third").status == 409


def test_openapi_describes_the_kind(api, splits):
    def index():
        answer = api.http.get("/openapi/v3")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8", "though it is JSON"
        return json.loads(answer.text)["paths"]

    here = "apis/contract.example.org/v1"
    api.until("/version", lambda _: here in index(), 30)  # documents are made in the background
    document = api.ok("GET", index()[here]["serverRelativeURL"])
    (schema,) = [
        schema
        for schema in document["components"]["schemas"].values()
        if {"group": "contract.example.org", "version": "v1", "kind": "Split"}
        in schema.get("x-kubernetes-group-version-kind", ())
    ]
    assert schema["properties"]["spec"]["properties"]["service"]["type"] == "string"


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def other_definition(**spec):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.other.example.org"},
        "spec": {
            "group": "other.example.org",
            "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            **spec,
        },
    }


def test_a_definition_begins_without_conditions(api):
    path = f"{DEFINITIONS}/things.other.example.org"
    api.absent(path)
    made = api.ok("POST", DEFINITIONS, {**other_definition(), "status": {"storedVersions": ["v7"]}})
    names = {"plural": "", "kind": ""}
    assert made["status"] == {"conditions": None, "acceptedNames": names, "storedVersions": ["v1"]}
    api.absent(path)


def test_the_end_of_a_definition_is_the_end_of_its_objects(api):
    path = f"{DEFINITIONS}/things.other.example.org"
    api.absent(path)
    api.ok("POST", DEFINITIONS, other_definition())
    things = "/apis/other.example.org/v1/things"
    api.until(things, lambda answer: answer.status == 200)
    body = {"apiVersion": "other.example.org/v1", "kind": "Thing", "metadata": {"name": "x"}, "any": {"thing": 1}}
    assert api.until(things, lambda _: api("POST", things, body).status == 201)
    assert api.ok("GET", f"{things}/x")["any"] == {"thing": 1}
    api.ok("DELETE", path)
    api.gone(path, 30)
    api.until(things, lambda answer: answer.status == 404)
    api.until("/apis/other.example.org", lambda answer: answer.status == 404)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"group": "elsewhere.example.org"}, "metadata.name"),
        ({"scope": "Galaxy"}, "spec.scope"),
        ({"versions": [{"name": "v1", "served": True, "storage": True}]}, "spec.versions[0].schema.openAPIV3Schema"),
        ({"versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {}}}}}]},
         "spec.validation.openAPIV3Schema.properties[spec].type"),
        ({"versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
            {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {}}}}}]},
         "spec.versions[1].schema.openAPIV3Schema.properties[spec].type"),
        ({"versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {}}}]},
         "spec.validation.openAPIV3Schema.type"),
        ({"versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "string"}}}]}, "spec.validation.openAPIV3Schema.type"),
    ],
    ids=["name", "scope", "schema", "structural", "structural-of-two", "no-root", "root"],
)  # fmt: skip
def test_invalid_definitions(api, spec, field):
    answer = api("POST", DEFINITIONS, other_definition(**spec))
    assert answer.status == 422, answer.body
    assert field in answer.fields
