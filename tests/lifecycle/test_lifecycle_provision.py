"""Meshes are installed and taken away on request: all of it, and nothing of anybody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from cluster_contents import everything

from conformance import cli, mesh, place, smi
from conformance.cluster import Cluster, NotFound
from conformance.exit_code import ExitCode
from conformance.lifecycle.labels import MESH_LABEL
from conformance.outcome import Outcome
from conformance.report import record
from conformance.sandbox import Sandbox
from conformance.topology import RUN_LABEL

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reference-mesh"}}


@pytest.fixture
def named(tmp_path, command):
    """A cluster that is reached by its kubeconfig; gives a function that runs commands on it, and the cluster."""
    with Sandbox() as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)

        def go(name, *options):
            directory = tmp_path / "report"
            where = ["--report-dir", str(directory)] if name == "run" else []
            code, told = command(name, sandbox.kubeconfig, *where, *options)
            report = record.read(directory / "report.jsonl") if name == "run" and code != ExitCode.USAGE else None
            return code, told, report

        yield go, cluster
        cluster.close()


def test_provision_and_remove_leave_the_cluster_as_it_was(named):
    command, cluster = named
    before = everything(cluster)
    code, told, _ = command("provision", "--mesh", "reference")
    assert code == ExitCode.CONFORMANT, told
    assert "Reference mesh 0.1.0 is installed" in told
    assert mesh.load("reference").version(cluster) == "0.1.0"
    assert cluster.kinds("split.smi-spec.io", "v1alpha4") == {"TrafficSplit"}
    assert cluster.get(**_control_plane())["metadata"]["labels"][MESH_LABEL] == "reference"
    code, told, _ = command("provision", "--mesh", "reference")
    assert code == ExitCode.CONFORMANT, "its own may be installed again"
    code, told, _ = command("remove", "--mesh", "reference")
    assert (code, "Reference mesh is removed" in told) == (ExitCode.CONFORMANT, True), told
    assert everything(cluster) == before
    assert command("remove", "--mesh", "reference")[:2] == (
        ExitCode.CONFORMANT, "there is nothing of Reference mesh that the harness installed\n")


def _control_plane():
    return {"api_version": "apps/v1", "kind": "Deployment", "name": "reference-control-plane",
            "namespace": "reference-mesh"}


def test_run_provisions_and_removes(named):
    command, cluster = named
    before = everything(cluster)
    code, told, report = command("run", "--provision", "--requirement", "SPLIT-006,CRD-001,METRIC-001")
    assert code == ExitCode.CONFORMANT, told
    assert {result.outcome for result in report.results} == {Outcome.PASSED}
    assert report.header.meshes[0].version == "0.1.0"
    assert "--provision" in report.header.command
    assert everything(cluster) == before


def test_workers_share_what_their_parent_provisions(named):
    command, cluster = named
    before = everything(cluster)
    checks = "SPLIT-006,SPLIT-007,HRG-004,HRG-013"
    code, told, report = command("run", "--provision", "-n", "2", "--requirement", checks)
    assert code == ExitCode.CONFORMANT, told
    assert {result.worker for result in report.results} == {"gw0", "gw1"}
    assert everything(cluster) == before


def test_a_mutant_can_be_provisioned(named):
    command, cluster = named
    code, told, report = command("run", "--provision", "--mutant", "weights-84-16", "--requirement", "SPLIT-003")
    assert code == ExitCode.NONCONFORMANT, told
    assert report.results[0].outcome is Outcome.FAILED
    assert "--mutant weights-84-16 --provision" in report.header.command
    assert not cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


def test_what_another_mesh_ships_can_be_provisioned(named):
    """A dialect whose versions a webhook converts."""
    command, cluster = named
    before = everything(cluster)
    code, told, report = command("run", "--provision", "--smi", "consul", "--requirement", "CONV-00*,CRD-001")
    assert code == ExitCode.CONFORMANT, told
    assert Outcome.PASSED in {result.outcome for result in report.results}
    assert everything(cluster) == before


def test_a_mesh_of_somebody_else_is_left_alone(named):
    command, cluster = named
    for definition in smi.custom_resource_definitions():
        cluster.create(definition)
    place.install(cluster, mesh.load("reference"))
    before = everything(cluster)
    for name, *options in (("provision",), ("remove",), ("run", "--provision", "--requirement", "SPLIT-006")):
        code, told, report = command(name, "--mesh", "reference", *options)
        assert code == ExitCode.ERROR
        assert "Reference mesh 0.1.0 is" in told
        assert "mesh-conformance did not install it: it is left alone" in " ".join(told.split())
        assert report is None or report.results[0].outcome is Outcome.ERROR
    assert everything(cluster) == before


def test_definitions_and_namespaces_that_were_there_stay(named):
    command, cluster = named
    split = next(each for each in smi.custom_resource_definitions() if each["spec"]["names"]["kind"] == "TrafficSplit")
    cluster.create(split)
    cluster.create(NAMESPACE)
    before = everything(cluster)
    code, told, _ = command("provision")
    assert code == ExitCode.CONFORMANT, told
    assert "Namespace reference-mesh was there before: it is used as it is, and will be left alone" in told
    assert "CustomResourceDefinition trafficsplits.split.smi-spec.io was there before" in told
    code, told, _ = command("remove")
    assert code == ExitCode.CONFORMANT, told
    assert everything(cluster) == before
    assert RUN_LABEL not in cluster.get("v1", "Namespace", "reference-mesh")["metadata"].get("labels", {})


def test_what_a_mutant_or_a_dialect_ships_cannot_be_had_beside_another_definition(named):
    command, cluster = named
    split = next(each for each in smi.custom_resource_definitions() if each["spec"]["names"]["kind"] == "TrafficSplit")
    cluster.create(split)
    before = everything(cluster)
    for option in (("--smi", "osm"), ("--mutant", "weight-of-any-type")):
        code, told, _ = command("provision", *option)
        assert code == ExitCode.ERROR
        assert "what --smi and --mutant ask for cannot be served beside it" in told
        assert everything(cluster) == before


def test_an_object_in_the_way_is_no_reason_to_take_it_over(named):
    command, cluster = named
    cluster.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [],
                    "metadata": {"name": "reference-control-plane"}})
    before = everything(cluster)
    code, told, _ = command("provision")
    assert code == ExitCode.ERROR
    assert "ClusterRole reference-control-plane exists, and mesh-conformance did not make it" in told
    assert "removing what was applied" in told
    assert everything(cluster) == before


def test_a_definition_with_objects_of_others_is_kept(named):
    command, cluster = named
    command("provision")
    cluster.create({"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
                    "metadata": {"name": "mine", "namespace": "default"},
                    "spec": {"service": "mine", "backends": [{"service": "mine-v1", "weight": 1}]}})
    code, told, _ = command("remove")
    assert code == ExitCode.CONFORMANT
    assert ("trafficsplits.split.smi-spec.io is kept: there are objects of others, such as TrafficSplit default/mine"
            in told)
    assert cluster.get("split.smi-spec.io/v1alpha4", "TrafficSplit", "mine", "default")
    with pytest.raises(NotFound):
        cluster.get("v1", "Namespace", "reference-mesh")


def test_it_says_why_a_control_plane_does_not_come_up(named, monkeypatch):
    command, cluster = named
    before = everything(cluster)
    monkeypatch.setattr("conformance.lifecycle.install.AVAILABLE_WITHIN", 5)
    objects = mesh.load("reference").install_objects()
    container = next(obj for obj in objects if obj["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": ["python", "-c", "raise SystemExit('out of luck')"], "args": []}
    monkeypatch.setattr("conformance.lifecycle.steps.objects", lambda step, cluster: objects)
    code, told, _ = command("provision")
    assert code == ExitCode.ERROR
    assert "the control plane of Reference mesh" in told
    assert "log of control-plane: out of luck" in told, "the end of its log"
    assert everything(cluster) == before


def test_options_that_cannot_be_meant(named, capsys):
    command, _ = named
    assert cli.main(["run", "--provision"]) == ExitCode.USAGE
    assert "--provision is for a cluster" in capsys.readouterr().err
    for name in ("provision", "remove", "cleanup"):
        assert cli.main([name]) == ExitCode.USAGE
        assert "the current one is never taken" in capsys.readouterr().err
    assert command("run", "--mutant", "weights-84-16")[0] == ExitCode.USAGE
    assert command("provision", "--mesh", "no-such-mesh")[0] == ExitCode.USAGE
    assert command("provision", "--registry", "https://example.org")[0] == ExitCode.USAGE
    code, told, _ = command("provision", "--mesh", "octarine")
    assert (code, "does not know how Octarine is installed" in told) == (ExitCode.ERROR, True)


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_provision_that_is_ended_in_the_middle(named, tmp_path, ended):
    command, cluster = named
    before = everything(cluster)
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance.cli", "run", "--provision", "--kubeconfig", str(cluster.source),
         "--report-dir", str(tmp_path / "other")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 60
    while not _exists(cluster):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(ended)
    told, _ = process.communicate(timeout=90)
    if ended != signal.SIGKILL:
        assert process.returncode == ExitCode.INTERRUPTED, told
        assert everything(cluster) == before, told
        return
    assert everything(cluster) != before
    code, told, _ = command("cleanup", "--dry-run")
    assert (code, "would remove what run" in told) == (ExitCode.CONFORMANT, True)
    assert "reference" in told
    assert everything(cluster) != before
    code, told, _ = command("cleanup")
    assert code == ExitCode.CONFORMANT, told
    assert everything(cluster) == before


def _exists(cluster):
    try:
        return cluster.get(**_control_plane())
    except NotFound:
        return None
