"""Installing, removing and cleaning up on a real Kubernetes, also where a policy, a quota or a signal is in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from conformance import cli, mesh
from conformance.cluster import Cluster, NotFound
from conformance.lifecycle import inventory
from conformance.outcome import ExitCode, Outcome
from conformance.report import record
from conformance.topology import POD_SECURITY, RUN_LABEL
from conformance.waiting import NotYet, eventually

pytestmark = pytest.mark.testbed

JOB = Path(__file__).parents[2] / "docs" / "in-cluster" / "job.yaml"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reference-mesh"}}


@pytest.fixture
def cluster(real_kubeconfig):
    opened = Cluster.from_kubeconfig(real_kubeconfig)
    yield opened
    opened.close()


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


def everything(cluster):
    """Names of all objects, but for those that come and go by themselves; and of those that are being deleted."""
    kinds, _ = inventory.resources(cluster)
    passing = ("Event", "Lease", "IPAddress", "PodMetrics", "EndpointSlice")
    found = [each for each in inventory.objects(cluster, kinds).objects if each.kind.kind not in passing]
    ending = {each.name for each in found if each.kind.kind == "Namespace" and _ends(each)}
    gone = {str(each) for each in found if _ends(each) or each.namespace in ending}
    return {str(each) for each in found}, gone


def _ends(each):
    return "deletionTimestamp" in each.obj["metadata"]


@pytest.fixture
def unchanged(cluster):
    """After the test there is what there was before, but for what an earlier test was still rid of."""
    before, going = everything(cluster)
    yield
    now, _ = everything(cluster)
    assert (now - before, before - now - going) == (set(), set())


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


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("after", ["namespace", "control plane", "sample workloads"])
def test_what_a_killed_run_left_is_cleaned_up(command, cluster, real_kubeconfig, tmp_path, after):
    marks = {"namespace": lambda: cluster.get("v1", "Namespace", "reference-mesh"),
             "control plane": lambda: cluster.get("apps/v1", "Deployment", "reference-control-plane", "reference-mesh"),
             "sample workloads": lambda: cluster.list("apps/v1", "deployments", labels=RUN_LABEL)[0][4]}
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance.cli", "run", "--provision", "--kubeconfig", str(real_kubeconfig),
         "--report-dir", str(tmp_path / "killed")], stdout=subprocess.DEVNULL, env={**os.environ})
    deadline = time.monotonic() + 90
    while not _there(marks[after]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert "would remove what run" in command("cleanup", "--dry-run")[1]
    code, told, _ = command("cleanup")
    assert code == ExitCode.CONFORMANT, told


def _there(look):
    try:
        return look()
    except (NotFound, IndexError):
        return None
