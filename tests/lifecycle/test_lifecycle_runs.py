"""Runs of several meshes, and on several clusters: each mesh is one worker's, each cluster has a report of its own."""

from __future__ import annotations

import shutil

import pytest
import yaml

from conformance import cli, mesh, options, paths, place
from conformance.cluster import Cluster
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions
from conformance.topology import POD_SECURITY, RUN_LABEL

CHECKS = "SPLIT-006,SPLIT-007,HRG-004,CRD-001"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(crds=custom_resource_definitions()) as started:
        cluster = Cluster.from_kubeconfig(started.kubeconfig)
        place.install(cluster, mesh.load("reference"))
        cluster.close()
        yield started


@pytest.fixture
def twin(tmp_path):
    """Describe the reference mesh once more, under another name, claiming older versions only."""
    directory = tmp_path / "twin"
    shutil.copytree(paths.fixtures() / "meshes" / "reference", directory)
    data = yaml.safe_load((directory / "mesh.yaml").read_text())
    data |= {"name": "twin", "title": "Twin", "apis": {"split.smi-spec.io": ["v1alpha4"]}}
    (directory / "mesh.yaml").write_text(yaml.safe_dump(data))
    return str(directory / "mesh.yaml")


@pytest.fixture
def run(sandbox, tmp_path, command):
    def go(*options, name=""):
        directory = tmp_path / "report"
        code, told = command("run", sandbox.kubeconfig, "--report-dir", str(directory), *options)
        file = directory / name / "report.jsonl"
        report = record.read(file) if file.exists() else None
        return code, report, told

    return go


@pytest.mark.parametrize("workers", ["0", "2"])
def test_several_meshes_in_one_run(run, twin, workers, cluster):
    code, report, told = run("--mesh", "reference", "--mesh", twin, "--requirement", CHECKS, "-n", workers)
    assert code == ExitCode.CONFORMANT, told
    outcomes = {(result.mesh, result.requirement): result.outcome for result in report.results}
    assert len(outcomes) == 8
    assert {outcome for (name, _), outcome in outcomes.items() if name == "reference"} == {Outcome.PASSED}
    assert outcomes["twin", "HRG-004"] is Outcome.UNSUPPORTED
    assert outcomes["twin", "SPLIT-006"] is Outcome.PASSED
    owners = {(result.mesh, result.worker) for result in report.results}
    assert len(owners) == 2, "each mesh has one worker"
    assert len({worker for _, worker in owners}) == (2 if workers == "2" else 1)
    assert {(found.name, found.version) for found in report.header.meshes} == {("reference", "0.1.0"),
                                                                               ("twin", "0.1.0")}
    verdicts = {(verdict.mesh, verdict.api): verdict for verdict in report.footer.verdicts}
    assert not any(verdict.missing for verdict in verdicts.values())
    assert not cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


def test_a_mesh_that_is_not_there_does_not_keep_another_from_being_judged(run):
    code, report, told = run("--mesh", "istio,reference", "--requirement", "SPLIT-006")
    outcomes = {result.mesh: result.outcome for result in report.results}
    assert outcomes == {"istio": Outcome.ERROR, "reference": Outcome.PASSED}
    assert code == ExitCode.ERROR
    assert "Istio is not installed" in " ".join(told.split())


@pytest.fixture
def contexts(sandbox, tmp_path):
    """A kubeconfig with two contexts of one cluster, and one of a cluster that does not answer."""
    config = yaml.safe_load(sandbox.kubeconfig.read_text())
    [context], [user] = config["contexts"], config["users"]
    config["contexts"] = [{**context, "name": name} for name in ("team/one", "team-one")]
    config["contexts"].append({"name": "gone", "context": {"cluster": "gone", "user": user["name"]}})
    config["clusters"].append({"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}})
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def test_several_clusters_one_after_the_other(contexts, run, tmp_path):
    where = ("--kubeconfig", str(contexts), "--context", "team/one", "--context", "team-one")
    code, report, told = run(*where, "--requirement", "SPLIT-006", name="team-one")
    assert code == ExitCode.CONFORMANT, told
    assert told.index("context team/one") < told.index("context team-one")
    other = record.read(tmp_path / "report" / "team-one-2" / "report.jsonl")
    assert report.header.command.endswith("--context team/one --requirement SPLIT-006")
    assert other.header.command.endswith("--context team-one --requirement SPLIT-006")


def test_the_worst_of_several_clusters_decides(contexts, run, tmp_path):
    where = ("--kubeconfig", str(contexts), "--context", "gone", "--context", "team-one")
    code, report, told = run(*where, "--requirement", "SPLIT-006", name="team-one")
    assert code == ExitCode.ERROR
    assert "Is the API server running?" in told
    assert report.results[0].outcome is Outcome.PASSED, "the others are judged all the same"
    assert not (tmp_path / "report" / "gone").exists()
    code, _, told = run("--kubeconfig", str(contexts), "--context", "nowhere", "--context", "team-one")
    assert (code, "no context 'nowhere'" in told) == (ExitCode.USAGE, True)


def test_one_pytest_run_has_one_cluster():
    with pytest.raises(options.OptionError, match="one run takes place on one cluster, not on a, b"):
        options.settings({"conformance_context": ["a", "b"]})
    assert options.settings({"conformance_context": ["a", "a"]}).context == "a"


def test_namespaces_and_images_as_asked(run, cluster):
    code, _, told = run("--requirement", "SPLIT-021", "--keep", "--pod-security", "privileged", "--registry",
                        "mirror.example.org/x", "--dry-run")
    assert (code, "be observed" in told) == (ExitCode.CONFORMANT, True)
    code, report, _ = run("--requirement", "SPLIT-021", "--keep", "--pod-security", "privileged")
    assert code == ExitCode.NOTHING
    assert "--pod-security privileged" in report.header.command
    made, _ = cluster.list("v1", "namespaces", labels=RUN_LABEL)
    assert {namespace["metadata"]["labels"][POD_SECURITY] for namespace in made} == {"privileged"}
    assert cli.main(["cleanup", "--kubeconfig", str(cluster.source)]) == ExitCode.CONFORMANT


def test_workloads_take_their_images_from_a_mirror(cluster):
    from conformance.topology import Topology  # noqa: PLC0415 - here alone

    topology = Topology(cluster, mesh.load("reference"), "mirrored", registry="mirror.example.org/x")
    try:
        topology._create_namespace("app", mesh=True)
        topology.start("client", {"role": "client"})
        spec = cluster.get("apps/v1", "Deployment", "client", "mc-mirrored-app")["spec"]["template"]["spec"]
        names = [container["image"] for container in (*spec["containers"], *spec["initContainers"])]
        assert names == [f"mirror.example.org/x/{name}" for name in (
            "python:3.12-slim", "mesh-conformance/proxy:0.1.0", "mesh-conformance/proxy:0.1.0")]
    finally:
        topology.remove()


@pytest.mark.parametrize("arguments", [
    ["--provision"], ["--registry", "a.b/c"], ["--mesh", "istio"],
    ["--context", "x", "--mutant", "weights-84-16"], ["--context", "x", "--smi", "osm"],
    ["--context", "x", "--provision", "--mesh", "istio", "--mutant", "weights-84-16"],
    ["--context", "x", "--registry", "HTTPS://x"], ["--context", "x", "--registry", "a b"],
])
def test_options_that_contradict_each_other(arguments, capsys):
    assert cli.main(["run", *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("mesh-conformance: ")
