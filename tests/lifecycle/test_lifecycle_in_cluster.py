"""The harness in a pod of the cluster that it judges, with the rights of its manifest and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conformance import cli, mesh, place
from conformance.cluster import Cluster
from conformance.exit_code import ExitCode
from conformance.lifecycle import blocked, permissions
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions
from conformance.topology import RUN_LABEL
from conformance.waiting import NotYet, eventually

DOCS = Path(__file__).parents[2] / "docs" / "in-cluster"


@pytest.fixture(scope="module")
def job():
    return list(yaml.safe_load_all((DOCS / "job.yaml").read_text()))


@pytest.fixture(scope="module")
def cluster(job):
    with Sandbox(crds=custom_resource_definitions()) as sandbox:
        opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
        place.install(opened, mesh.load("reference"))
        eventually(lambda: not blocked.unavailable_apis(opened), what="the metrics API", within=30)
        for obj in job[:-1]:
            opened.apply(obj)
        yield opened
        opened.close()


def pod_of(job, *arguments):
    """The Job's pod, as its controller would make it: the sandbox has none."""
    spec = yaml.safe_load(yaml.safe_dump(job[-1]["spec"]["template"]["spec"]))
    spec["containers"][0]["args"] += arguments
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "harness", "namespace": "mesh-conformance"},
            "spec": spec}


def test_the_manifest_grants_what_a_run_needs_and_no_more(job):
    role = next(obj for obj in job if obj["kind"] == "ClusterRole")
    assert role["rules"] == permissions.rules(permissions.RUN)


def test_a_run_in_a_pod(cluster, job):
    made = cluster.create(pod_of(job, "--requirement", "SPLIT-006,METRIC-015,CRD-001"))

    def ended():
        pod = cluster.get("v1", "Pod", "harness", "mesh-conformance")
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            raise NotYet(f"the pod is {pod['status'].get('phase')}")
        return pod["status"]["phase"]

    phase = eventually(ended, what="the run to end", within=90, consecutive=1).last
    told = cluster.pod_log("mesh-conformance", "harness", tail=200)
    cluster.delete(made)
    assert phase == "Succeeded", told
    assert "3 passed" in told
    assert "mesh-conformance run --in-cluster" not in told, "nothing failed that could be repeated"
    assert not cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


def test_outside_a_pod_it_says_so(capsys, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for command in (["run"], ["preflight"], ["cleanup"]):
        assert cli.main([*command, "--in-cluster"]) == ExitCode.ERROR
        assert "reading the service account at /var/run/secrets" in capsys.readouterr().err
    assert cli.main(["run", "--in-cluster", "--context", "x"]) == ExitCode.USAGE
    assert "--in-cluster is this pod's own cluster" in capsys.readouterr().err


def test_the_plugin_of_sonobuoy_names_its_results():
    plugin = yaml.safe_load((DOCS / "sonobuoy-plugin.yaml").read_text())
    assert plugin["sonobuoy-config"]["driver"] == "Job"
    assert plugin["sonobuoy-config"]["result-format"] == "junit"
    [mount], [environment] = plugin["spec"]["volumeMounts"], plugin["spec"]["env"]
    assert mount["mountPath"] == environment["value"]
    assert plugin["spec"]["args"][0].rstrip().endswith('> "$SONOBUOY_RESULTS_DIR/done"')
