"""The kinds of patch, and server-side apply."""

from __future__ import annotations

from contract_api import JSON_PATCH, MERGE, STRATEGIC
from test_contract_objects import named
from test_contract_workloads import deployment


def conf(data, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", **meta}, "data": data}


def test_merge_patch(api, maps):
    api.ok("POST", maps, conf({"a": "1", "b": "2"}))
    assert api.ok("PATCH", f"{maps}/one", {"data": {"a": None, "c": "3"}}, type=MERGE)["data"] == {"b": "2", "c": "3"}
    assert api("PATCH", f"{maps}/none", {}, type=MERGE).status == 404


def test_merge_patch_with_a_stale_resource_version(api, maps):
    made = api.ok("POST", maps, conf({"a": "1"}))
    api.ok("PATCH", f"{maps}/one", {"data": {"a": "2"}}, type=MERGE)
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    assert api("PATCH", f"{maps}/one", stale, type=MERGE).status == 409


def test_json_patch(api, maps):
    api.ok("POST", maps, conf({"a": "1"}, labels={"x/y": "z"}))
    operations = [
        {"op": "test", "path": "/metadata/labels/x~1y", "value": "z"},
        {"op": "add", "path": "/data/b", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]
    assert api.ok("PATCH", f"{maps}/one", operations, type=JSON_PATCH)["data"] == {"b": "2"}
    failing = [{"op": "test", "path": "/data/b", "value": "other"}]
    assert (api("PATCH", f"{maps}/one", failing, type=JSON_PATCH)).status == 422
    assert (api("PATCH", f"{maps}/one", [{"op": "nonsense"}], type=JSON_PATCH)).status in (400, 422)


def test_strategic_merge_patch(api, deployments):
    made = deployment()
    container = made["spec"]["template"]["spec"]["containers"][0]
    container.update(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], ports=[{"containerPort": 80}])
    api.ok("POST", deployments, made)

    def patch(container):
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        found = api.ok("PATCH", f"{deployments}/web", body, type=STRATEGIC)
        return found["spec"]["template"]["spec"]["containers"]

    first, second = patch({"name": "side", "image": "x:1"})
    assert {first["name"], second["name"]} == {"web", "side"}
    changed = patch({"name": "web", "env": [{"name": "B", "value": "9"}, {"name": "A", "$patch": "delete"}]})
    web = next(item for item in changed if item["name"] == "web")
    assert web["env"] == [{"name": "B", "value": "9"}]
    assert web["ports"][0]["containerPort"] == 80
    left = patch({"name": "side", "$patch": "delete"})
    assert [item["name"] for item in left] == ["web"]
    replaced = patch({"name": "web", "env": [{"$patch": "replace"}, {"name": "C", "value": "3"}]})
    assert replaced[0]["env"] == [{"name": "C", "value": "3"}]


def test_patch_cannot_rename(api, maps):
    api.ok("POST", maps, conf({}))
    answer = api("PATCH", f"{maps}/one", {"metadata": {"name": "two"}}, type=MERGE)
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_apply_creates_and_updates(api, maps):
    first = api.apply(f"{maps}/one", conf({"a": "1"}))
    assert first.status == 201
    (entry,) = first.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("contract", "Apply", "FieldsV1")
    assert entry["fieldsV1"] == {"f:data": {"f:a": {}}}
    again = api.apply(f"{maps}/one", conf({"a": "1"}))
    assert again.status == 200
    assert again.body == first.body


def test_apply_removes_what_is_no_longer_applied(api, maps):
    api.apply(f"{maps}/one", conf({"a": "1", "b": "2"}, labels={"x": "y"}))
    api.ok("PATCH", f"{maps}/one", {"data": {"c": "3"}}, type=MERGE, fieldManager="other")
    after = api.apply(f"{maps}/one", conf({"a": "1"}))
    assert after.body["data"] == {"a": "1", "c": "3"}
    assert "labels" not in after.body["metadata"]


def test_apply_conflicts_and_force(api, maps):
    api.apply(f"{maps}/one", conf({"a": "1"}), manager="first")
    answer = api.apply(f"{maps}/one", conf({"a": "2"}), manager="second")
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.body["message"] == 'Apply failed with 1 conflict: conflict with "first": .data.a'
    assert answer.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    forced = api.apply(f"{maps}/one", conf({"a": "2"}), manager="second", force="true")
    assert forced.body["data"] == {"a": "2"}
    assert [entry["manager"] for entry in forced.body["metadata"]["managedFields"]] == ["second"]


def test_apply_shares_what_is_equal(api, maps):
    api.apply(f"{maps}/one", conf({"a": "1"}), manager="first")
    assert api.apply(f"{maps}/one", conf({"a": "1"}), manager="second").status == 200
    after = api.apply(f"{maps}/one", conf({}), manager="second")
    assert after.body["data"] == {"a": "1"}


def test_apply_conflicts_with_an_update(api, deployments):
    api.apply(f"{deployments}/web", deployment(paused=True))
    api.ok("PATCH", f"{deployments}/web", {"spec": {"minReadySeconds": 5}}, type=MERGE, fieldManager="kubectl")
    answer = api.apply(f"{deployments}/web", deployment(paused=True, minReadySeconds=6))
    assert answer.status == 409
    wanted = 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.minReadySeconds'
    assert answer.body["message"] == wanted


def test_apply_merges_keyed_lists(api, deployments):
    made = deployment()
    containers = made["spec"]["template"]["spec"]["containers"]
    containers[0].update(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    api.apply(f"{deployments}/web", made)
    side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x:1"}]}}}}
    api.ok("PATCH", f"{deployments}/web", side, type=STRATEGIC, fieldManager="injector")
    containers[0]["env"] = [{"name": "B", "value": "2"}]
    after = api.apply(f"{deployments}/web", made)
    assert after.status == 200
    found = {item["name"]: item for item in after.body["spec"]["template"]["spec"]["containers"]}
    assert set(found) == {"web", "side"}
    assert found["web"]["env"] == [{"name": "B", "value": "2"}]


def test_apply_needs_a_manager_and_its_own_name(api, maps):
    answer = api("PATCH", f"{maps}/one", conf({}), type="application/apply-patch+yaml")
    assert answer.status in (400, 422)
    assert "fieldManager" in answer.body["message"]
    assert api.apply(f"{maps}/two", conf({})).status == 400
    managed = conf({}, managedFields=[{"manager": "x", "operation": "Apply", "fieldsV1": {}}])
    assert api.apply(f"{maps}/one", managed).status == 400


def test_updates_are_noted_by_manager(api, maps):
    api.ok("POST", maps, named("one"), fieldManager="maker")
    api.ok("PATCH", f"{maps}/one", {"data": {"more": "x"}}, type=MERGE, fieldManager="changer")
    entries = api.ok("GET", f"{maps}/one")["metadata"]["managedFields"]
    fields = {entry["manager"]: entry["fieldsV1"]["f:data"] for entry in entries}
    assert "f:key" in fields["maker"]
    assert "f:more" in fields["changer"]
    assert {entry["operation"] for entry in entries} == {"Update"}
