"""Installing, removing and cleaning up on a real Kubernetes, also where a policy, a quota or a signal is in the way."""

from __future__ import annotations

from pathlib import Path

import cluster_contents
import pytest
import yaml
from real_runs import Going, until

from conformance import cli, mesh
from conformance.cluster import ClusterError
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record
from conformance.topology import POD_SECURITY, RUN_LABEL
from conformance.waiting import NotYet, eventually

pytestmark = pytest.mark.testbed

JOB = Path(__file__).parents[2] / "docs" / "in-cluster" / "job.yaml"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reference-mesh"}}


@pytest.fixture
def command(real_kubeconfig, tmp_path, capsys):
    def go(name, *options):
        directory = tmp_path / "report"
        where = ["--report-dir", str(directory)] if name == "run" else []
        code = cli.main([name, "--kubeconfig", str(real_kubeconfig), *where, *options])
        told = capsys.readouterr()
        file = directory / "report.jsonl"
        return code, told.out + told.err, record.read(file) if file.exists() else None

    return go


@pytest.fixture
def unchanged(cluster):
    with cluster_contents.unchanged(cluster):
        yield


@pytest.fixture
def made(cluster):
    """Make objects, and take them away at the end."""
    objects = []

    def make(obj):
        objects.append(cluster.create(obj))

    yield make
    for obj in reversed(objects):
        cluster.delete(obj)
    eventually(lambda: not any(cluster.exists(obj) for obj in objects), what="what the test made to go", within=120)


@pytest.mark.usefixtures("unchanged")
def test_provision_and_remove(command, cluster):
    assert command("preflight", "--provision")[0] == ExitCode.CONFORMANT
    code, told, _ = command("provision")
    assert code == ExitCode.CONFORMANT, told
    assert mesh.load("reference").version(cluster) == "0.1.0"
    code, told, _ = command("preflight")
    assert code == ExitCode.CONFORMANT, told
    code, told, _ = command("remove")
    assert code == ExitCode.CONFORMANT, told


@pytest.mark.usefixtures("unchanged")
def test_a_quota_in_the_way_is_told_and_nothing_stays(command, made, monkeypatch):
    made(NAMESPACE)
    made({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tiny", "namespace": "reference-mesh"},
          "spec": {"hard": {"pods": "0"}}})
    code, told, _ = command("preflight", "--provision")
    assert (code, "there is a ResourceQuota in reference-mesh" in told) == (ExitCode.ERROR, True)
    monkeypatch.setattr("conformance.lifecycle.install.AVAILABLE_WITHIN", 10)
    code, told, _ = command("provision")
    assert code == ExitCode.ERROR
    assert "exceeded quota: tiny" in told


def test_pod_security_is_seen_before_a_run(command, cluster):
    default = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    cluster.patch(default, {"metadata": {"labels": {POD_SECURITY: "restricted"}}})
    try:
        code, told, _ = command("preflight", "--provision")
        assert code == ExitCode.ERROR
        assert "violate the Pod Security of default" in told
        assert command("preflight", "--provision", "--pod-security", "privileged")[0] == ExitCode.CONFORMANT
    finally:
        cluster.patch(default, {"metadata": {"labels": {POD_SECURITY: None}}})


@pytest.mark.usefixtures("unchanged")
def test_a_policy_that_refuses_pods_is_an_error_and_no_nonconformance(command, cluster, made, monkeypatch):
    group, name = "admissionregistration.k8s.io", "no-pods-of-runs"
    made({"apiVersion": f"{group}/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                                "resources": ["pods"]}],
                             "namespaceSelector": {"matchExpressions": [{"key": RUN_LABEL, "operator": "Exists"},
                                                                        {"key": "mesh-conformance/mesh",
                                                                         "operator": "DoesNotExist"}]}},
        "validations": [{"expression": "false", "message": "no pods of runs here"}]}})
    made({"apiVersion": f"{group}/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
          "spec": {"policyName": name, "validationActions": ["Deny"]}})
    monkeypatch.setattr("conformance.topology.READY_WITHIN", 15)
    code, told, report = command("run", "--provision", "--requirement", "SPLIT-006,CRD-001")
    assert code == ExitCode.ERROR, told
    assert Outcome.FAILED not in {result.outcome for result in report.results}
    assert not cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


@pytest.mark.usefixtures("unchanged")
def test_a_run_in_a_pod_that_restricted_admits(command, cluster, made):
    *before, job = yaml.safe_load_all(JOB.read_text())
    before[0]["metadata"]["labels"] = {POD_SECURITY: "restricted"}
    job["spec"]["template"]["spec"]["containers"][0]["args"].append("--requirement=SPLIT-006,TARGET-003,METRIC-015")
    assert command("provision")[0] == ExitCode.CONFORMANT
    try:
        for obj in (*before, job):
            made(obj)

        def ended():
            status = cluster.get("batch/v1", "Job", job["metadata"]["name"], "mesh-conformance").get("status", {})
            if not (status.get("succeeded") or status.get("failed")):
                raise NotYet("it goes on")
            return status

        status = eventually(ended, what="the Job to end", within=180, consecutive=1).last
        [pod], _ = cluster.list("v1", "pods", "mesh-conformance")
        told = cluster.pod_log("mesh-conformance", pod["metadata"]["name"], tail=100)
        assert status.get("succeeded"), told
        assert "3 passed" in told
    finally:
        assert command("remove")[0] == ExitCode.CONFORMANT


def first(listed):
    return next(iter(listed[0]), None)


PHASES = {
    "definitions": lambda cluster: first(cluster.list(
        "apiextensions.k8s.io/v1", "customresourcedefinitions", labels=RUN_LABEL)),
    "namespace": lambda cluster: cluster.get("v1", "Namespace", "reference-mesh"),
    "control plane": lambda cluster: cluster.get("apps/v1", "Deployment", "reference-control-plane", "reference-mesh"),
    "sample workloads": lambda cluster: cluster.list("apps/v1", "deployments", labels=RUN_LABEL)[0][4],
    "a check": lambda cluster: first(cluster.list("split.smi-spec.io/v1alpha4", "trafficsplits", labels=RUN_LABEL)),
    "removing the sample workloads": lambda cluster: ending(cluster, f"{RUN_LABEL},!mesh-conformance/mesh"),
    "removing the mesh": lambda cluster: ending(cluster, "mesh-conformance/mesh"),
}
"""What is there in each phase of a run for the first time."""


def ending(cluster, labels):
    namespaces, _ = cluster.list("v1", "namespaces", labels=labels)
    return [each for each in namespaces if "deletionTimestamp" in each["metadata"]]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("phase", PHASES)
def test_what_a_killed_run_left_is_cleaned_up(command, cluster, real_kubeconfig, tmp_path, phase):
    run = Going(real_kubeconfig, tmp_path / "killed", "--provision", "--requirement", "SPLIT-006")
    try:
        until(lambda: there(PHASES[phase], cluster), 120, phase)
    finally:
        run.kill()
    assert "would remove what run" in command("cleanup", "--dry-run")[1]
    code, told, _ = command("cleanup")
    assert code == ExitCode.CONFORMANT, told


def there(look, cluster):
    try:
        return look(cluster)
    except (ClusterError, IndexError):
        return None
