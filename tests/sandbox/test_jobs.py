"""Jobs through the real API server: each number once, none replaced past the limit, and gone with the Job."""

from __future__ import annotations

import pytest
import remains
from node_tools import is_ready, shell, web

BATCH = "/apis/batch/v1/namespaces"
INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def run(api, namespace):
    def make(spec: dict, **more) -> str:
        template = {"spec": {"restartPolicy": "Never", **spec}}
        wanted = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimit": 0, **more,
                  "template": template}
        api("POST", f"{BATCH}/{namespace}/jobs", {"metadata": {"name": "work"}, "spec": wanted})
        return f"{BATCH}/{namespace}/jobs/work"

    return make


def numbers(pods):
    return sorted(pod["metadata"]["annotations"][INDEX] for pod in pods)


def ended(type_):
    return lambda job: any(found["type"] == type_ for found in job.get("status", {}).get("conditions", ()))


def test_an_indexed_job_has_a_pod_for_each_number(api, run, namespace):
    path = run(web())
    job = api.until(path, lambda job: job.get("status", {}).get("ready") == 3)
    assert (job["status"]["active"], job["status"]["succeeded"], job["status"]["failed"]) == (3, 0, 0)
    pods = api.pods(namespace)
    assert numbers(pods) == ["0", "1", "2"]
    assert all(is_ready(pod) for pod in pods)
    for pod in pods:
        meta = pod["metadata"]
        assert meta["name"].startswith(f"work-{meta['labels'][INDEX]}-")
        assert meta["labels"]["job-name"] == "work"
        assert meta["ownerReferences"][0]["uid"] == job["metadata"]["uid"]


def test_a_deleted_job_takes_its_pods_along(api, run, namespace):
    path = run(web())
    api.until(path, lambda job: job.get("status", {}).get("ready") == 3)
    api("DELETE", f"{path}?propagationPolicy=Background")
    remains.eventually(lambda: not api.pods(namespace))


def test_pods_learn_their_number_and_the_job_ends_when_all_have(api, run, namespace):
    path = run(shell('echo "I am $JOB_COMPLETION_INDEX"'), parallelism=1)
    job = api.until(path, ended("Complete"), within=20)
    assert (job["status"]["succeeded"], job["status"]["completedIndexes"]) == (3, "0,1,2")
    assert job["status"]["completionTime"]
    for pod in api.pods(namespace):
        log = api.http.get(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log").text
        assert log == f"I am {pod['metadata']['annotations'][INDEX]}\n"


def test_one_that_fails_past_the_limit_ends_them_all(api, run, namespace):
    path = run(shell('if [ "$JOB_COMPLETION_INDEX" = 1 ]; then exit 3; fi; exec sleep 60'))
    job = api.until(path, ended("Failed"), within=20)
    assert job["status"]["conditions"][0]["reason"] == "BackoffLimitExceeded"
    remains.eventually(lambda: [pod["status"]["phase"] for pod in api.pods(namespace)] == ["Failed"])
    assert api("GET", path)["status"]["failed"] >= 1


def test_one_that_is_deleted_counts_as_failed(api, run, namespace):
    path = run(web())
    api.until(path, lambda job: job.get("status", {}).get("ready") == 3)
    gone = api.pods(namespace)[0]["metadata"]["name"]
    api("DELETE", f"/api/v1/namespaces/{namespace}/pods/{gone}?gracePeriodSeconds=0")
    api.until(path, ended("Failed"))
    remains.eventually(lambda: not api.pods(namespace))


def test_one_that_fails_within_the_limit_is_done_again(api, run, namespace):
    path = run(shell('if [ "$JOB_COMPLETION_INDEX" = 1 ]; then exit 3; fi'), backoffLimit=2)
    job = api.until(path, ended("Failed"), within=20)
    assert (job["status"]["failed"], job["status"]["succeeded"]) == (3, 2)
    assert numbers(api.pods(namespace)) == ["0", "1", "1", "1", "2"]


def test_a_suspended_job_has_no_pods_until_it_goes_on(api, run, namespace):
    path = run(web(), suspend=True)
    job = api.until(path, lambda job: "active" in job.get("status", {}))
    assert (job["status"]["active"], api.pods(namespace)) == (0, [])
    api("PATCH", path, {"spec": {"suspend": False}}, headers={"Content-Type": "application/merge-patch+json"})
    api.until(path, lambda job: job["status"].get("active") == 3)


@pytest.mark.parametrize("field", ["activeDeadlineSeconds", "ttlSecondsAfterFinished"])
def test_what_the_sandbox_does_not_do_is_refused(api, namespace, field):
    spec = {"completions": 1, field: 5, "template": {"spec": {"restartPolicy": "Never", **shell("true")}}}
    answer = api.http.post(f"{BATCH}/{namespace}/jobs", json={"metadata": {"name": "work"}, "spec": spec})
    assert answer.status_code == 422
    assert f"spec.{field}: Forbidden: the sandbox has no such thing" in answer.json()["message"]
