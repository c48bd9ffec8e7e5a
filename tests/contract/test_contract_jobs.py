"""Indexed Jobs: defaults, what makes them invalid, a pod for each number, and that a limit of 0 replaces none."""

from __future__ import annotations

import pytest
from contract_api import MERGE
from contract_pods import IMAGE

INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def jobs(namespace):
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def job(program="import time; time.sleep(600)", **spec):
    container = {"name": "main", "image": IMAGE, "command": ["python", "-c", program]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    wanted = {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 0, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"},
            "spec": {"template": {"spec": pod}, **wanted}}


def test_defaults_of_a_job(api, jobs):
    made = api.ok("POST", jobs, job(suspend=True, completionMode=None, backoffLimit=None, parallelism=None))
    spec = made["spec"]
    assert (spec["completionMode"], spec["backoffLimit"], spec["parallelism"]) == ("NonIndexed", 6, 1)
    assert (spec["suspend"], spec["podReplacementPolicy"]) == (True, "TerminatingOrFailed")
    own = {"batch.kubernetes.io/controller-uid": made["metadata"]["uid"]}
    assert spec["selector"] == {"matchLabels": own}
    labels = {**own, "batch.kubernetes.io/job-name": "work", "controller-uid": made["metadata"]["uid"],
              "job-name": "work"}
    assert spec["template"]["metadata"]["labels"] == labels


@pytest.mark.parametrize(("changes", "field"), [
    ({"completions": None}, "spec.completions"),
    ({"backoffLimit": -1}, "spec.backoffLimit"),
    ({"completionMode": "Other"}, "spec.completionMode"),
    ({"template": {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}}, "spec.template.spec.restartPolicy"),
], ids=["completions", "limit", "mode", "policy"])
def test_invalid_jobs(api, jobs, changes, field):
    answer = api("POST", jobs, job(**changes))
    assert answer.status == 422
    assert field in answer.fields


def test_the_template_cannot_change(api, jobs):
    api.ok("POST", jobs, job(suspend=True))
    patch = {"spec": {"completionMode": "NonIndexed"}}
    assert api("PATCH", f"{jobs}/work", patch, type=MERGE).status == 422


def test_each_number_has_a_pod_and_none_is_replaced(api, jobs, namespace):
    api.ok("POST", jobs, job())
    api.until(f"{jobs}/work", lambda answer: answer.body.get("status", {}).get("ready") == 2, 60)
    pods = api.ok("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert sorted(pod["metadata"]["annotations"][INDEX] for pod in pods) == ["0", "1"]
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in pods) == ["0", "1"]
    assert {pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods} == {"Job"}
    api.ok("DELETE", f"/api/v1/namespaces/{namespace}/pods/{pods[0]['metadata']['name']}")

    def failed(answer):
        conditions = answer.body.get("status", {}).get("conditions") or ()
        return any(item["type"] == "Failed" and item["reason"] == "BackoffLimitExceeded" for item in conditions)

    api.until(f"{jobs}/work", failed, 60)
    api.until(f"/api/v1/namespaces/{namespace}/pods", lambda answer: not [
        pod for pod in answer.body["items"] if pod["status"].get("phase") == "Running"], 60)


def test_a_job_is_complete_when_each_number_has_succeeded(api, jobs):
    api.ok("POST", jobs, job("import os; assert os.environ['JOB_COMPLETION_INDEX'] in '01'"))

    def complete(answer):
        conditions = answer.body.get("status", {}).get("conditions") or ()
        return any(item["type"] == "Complete" for item in conditions)

    found = api.until(f"{jobs}/work", complete, 60).body["status"]
    assert (found["succeeded"], found["completedIndexes"]) == (2, "0,1")
    assert found.get("failed", 0) == 0
