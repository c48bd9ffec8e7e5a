"""A cluster that is named is used as it is: a sandbox stands in for it here, reached by nothing but its kubeconfig."""

from __future__ import annotations

import pytest

from conformance import cli, mesh, smi
from conformance.cluster import Cluster
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.place import install
from conformance.report import record
from conformance.sandbox import Sandbox
from conformance.topology import RUN_LABEL


@pytest.fixture
def named(tmp_path, capsys):
    """Start a cluster; gives a function that runs commands on it, and the cluster."""
    started = []

    def start(*, crds=True, meshed=True):
        sandbox = Sandbox(crds=smi.custom_resource_definitions() if crds else ())
        sandbox.start()
        started.append(sandbox)
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        if meshed:
            install(cluster, mesh.load("reference"))

        def command(name, *options):
            directory = tmp_path / "report"
            where = ["--report-dir", str(directory)] if name == "run" else []
            code = cli.main([name, "--kubeconfig", str(sandbox.kubeconfig), *where, *options])
            report = record.read(directory / "report.jsonl") if name == "run" else None
            return code, report, capsys.readouterr().out

        return command, cluster

    yield start
    for sandbox in started:
        sandbox.stop()


def runs(cluster):
    return [found["metadata"]["name"] for found in cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]]


def test_a_run_leaves_the_cluster_as_it_was(named):
    command, cluster = named()
    before = {found["metadata"]["name"] for found in cluster.list("v1", "namespaces")[0]}
    code, report, _ = command("run", "--requirement", "SPLIT-006,SPLIT-009")
    assert code == ExitCode.CONFORMANT
    assert [result.outcome for result in report.results] == [Outcome.PASSED] * 2
    assert {found["metadata"]["name"] for found in cluster.list("v1", "namespaces")[0]} == before
    assert not cluster.list("split.smi-spec.io/v1alpha4", "trafficsplits")[0]


def test_what_was_kept_is_cleaned_up_by_its_label(named):
    command, cluster = named()
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mc-of-somebody-else"}})
    command("run", "--requirement", "SPLIT-021", "--keep")
    assert len(runs(cluster)) == 3  # app, guarded, outside
    code, _, shown = command("cleanup")
    assert code == ExitCode.CONFORMANT
    assert "removing what run" in shown
    assert not runs(cluster)
    assert cluster.get("v1", "Namespace", "mc-of-somebody-else")


def test_a_mesh_that_is_not_installed_is_an_error_not_a_failure(named):
    command, _ = named(meshed=False)
    code, report, _ = command("run", "--requirement", "SPLIT-003")
    assert (code, report.results[0].outcome) == (ExitCode.ERROR, Outcome.ERROR)
    assert "is not installed" in report.results[0].message


def test_an_api_that_is_not_served_is_unsupported_and_no_pass(named):
    command, _ = named(crds=False)
    code, report, _ = command("run", "--requirement", "SPLIT-003,SPLIT-023")
    assert code == ExitCode.NOTHING
    assert {result.outcome for result in report.results} == {Outcome.UNSUPPORTED}
    assert report.footer.verdicts[0].capability == "none"
    assert report.footer.verdicts[0].compliance == "incomplete"


def test_workers_side_by_side_on_one_cluster_do_not_meet(named):
    command, cluster = named()
    checks = "SPLIT-006,SPLIT-007,TARGET-003,TARGET-004,HRG-004,HRG-013"
    code, report, _ = command("run", "-n", "2", "--requirement", checks)
    assert code == ExitCode.CONFORMANT
    assert {result.outcome for result in report.results} == {Outcome.PASSED}
    assert {result.worker for result in report.results} == {"gw0", "gw1"}
    used = {"gw0": set(), "gw1": set()}
    for result in report.results:
        used[result.worker] |= {obj["metadata"]["namespace"] for obj in result.applied}
    assert used["gw0"].isdisjoint(used["gw1"])
    assert runs(cluster) == []
