"""What a request may ask for besides objects: paths that are nobody's, methods, and options that are none."""

from __future__ import annotations

import pytest
from contract_api import JSON_PATCH, MERGE, STRATEGIC
from test_contract_objects import named


@pytest.mark.parametrize(
    "path",
    ["/api/v2", "/api/v2/pods", "/api/v1/nothing", "/apis/apps/v7", "/apis/apps/v1/nothing",
     "/api/v1/namespaces/default/nodes", "/api/v1/namespaces/default/pods/x/nothing"],
)  # fmt: skip
def test_what_is_not_in_a_group_of_the_servers_own(api, path):
    answer = api("GET", path)
    assert answer.status == 404
    assert answer.body == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "the server could not find the requested resource", "details": {},
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/nothing", "/apis/none.example.org", "/apis/none.example.org/v1/things"])
def test_what_is_in_no_group(api, path):
    answer = api.http.get(path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_is_not_in_a_definition(api, splits):
    for path in (splits.replace("/v1/", "/v7/"), splits.replace("splits", "joins")):
        assert api.http.get(path).text == "404 page not found\n"


def test_a_document_that_is_not_there(api):
    answer = api.http.get("/openapi/v3/apis/none.example.org/v1")
    assert (answer.status_code, answer.content) == (404, b"")


def test_only_custom_resources_know_head(api, maps, splits):
    assert api("HEAD", maps).status == 405
    assert api("HEAD", splits).status == 200


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"resourceVersion": "x"}, 400, 'invalid resource version: resourceVersion: Invalid value: "x"'),
        ({"timeoutSeconds": "x"}, 400, ""),
        ({"resourceVersionMatch": "Exact"}, 422,
         "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
        ({"watch": "1", "resourceVersion": "x"}, 500, 'resourceVersion: Invalid value: "x"'),
        ({"watch": "1", "resourceVersionMatch": "NotOlderThan"}, 422, "unless sendInitialEvents is provided"),
        ({"watch": "1", "sendInitialEvents": "true"}, 422,
         "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    ],
    ids=str,
)  # fmt: skip
def test_options_of_a_list(api, maps, query, status, words):
    answer = api("GET", maps, **query)
    assert answer.status == status, answer.body
    assert words in answer.body["message"]


@pytest.mark.parametrize(
    ("method", "kind"), [("POST", "Create"), ("PUT", "Update"), ("PATCH", "Patch"), ("DELETE", "Delete")]
)
def test_a_dry_run_is_all_or_nothing(api, maps, method, kind):
    api.ok("POST", maps, named("one"))
    body = None if method == "DELETE" else named("one")
    form = {"type": MERGE} if method == "PATCH" else {}
    answer = api(method, maps if method == "POST" else f"{maps}/one", body, dryRun="Some", **form)
    assert (answer.status, answer.fields) == (422, {"dryRun"})
    assert answer.body["message"] == (
        f'{kind}Options.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'
    )


def test_options_of_a_deletion(api, maps):
    api.ok("POST", maps, named("one"))
    answer = api("DELETE", f"{maps}/one", {"propagationPolicy": "Sideways"})
    assert (answer.status, answer.fields) == (422, {"propagationPolicy"})
    assert 'supported values: "Foreground", "Background", "Orphan", "nil"' in answer.body["message"]
    old = api("DELETE", f"{maps}/one", {"preconditions": {"resourceVersion": "1"}})
    assert old.status == 409
    assert old.body["message"].startswith(
        'Operation cannot be fulfilled on ConfigMap "one": the ResourceVersion in the precondition (1) does not match'
    )
    tried = api.ok("DELETE", f"{maps}/one", dryRun="All")
    assert (tried["kind"], tried["status"], tried["details"]["name"]) == ("Status", "Success", "one")


def test_some_namespaces_stay(api):
    for name in ("default", "kube-system", "kube-public"):
        answer = api("DELETE", f"/api/v1/namespaces/{name}", dryRun="All")
        assert answer.body["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
        assert (answer.status, answer.reason) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("form", "patch", "status", "fields"),
    [
        (MERGE, {"data": {"key": 1}}, 422, {"patch"}),
        (MERGE, {"kind": "Secret"}, 422, {"patch"}),
        (MERGE, {"metadata": {"uid": "another"}}, 422, {"metadata.uid"}),
        (MERGE, [], 400, set()),
        (JSON_PATCH, {}, 400, set()),
        (JSON_PATCH, [{"op": "turn", "path": "/data"}], 422, set()),
        (JSON_PATCH, [{"op": "test", "path": "/data/key", "value": "other"}], 422, set()),
        (STRATEGIC, {"data": {"$patch": "turn"}}, 500, set()),
    ],
    ids=str,
)
def test_patches_that_cannot_be(api, maps, form, patch, status, fields):
    api.ok("POST", maps, named("one"))
    answer = api("PATCH", f"{maps}/one", patch, type=form)
    assert (answer.status, answer.fields) == (status, fields), answer.body
    assert api.ok("GET", f"{maps}/one")["data"] == {"key": "value"}
