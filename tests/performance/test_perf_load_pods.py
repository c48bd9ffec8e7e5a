"""The load pods of a run: an Indexed Job with pods as the client's, all of them or none; and a run in the sandbox."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance.lifecycle.permissions import LOAD_PODS, rules
from conformance.mesh import load
from conformance.performance import load_pods, options, record
from conformance.performance.comparing.kinship import differences
from conformance.performance.load_pods import INDEX, deploy, numbered
from conformance.topology import ProvisionError, Topology
from conformance.waiting import eventually

MACHINE = {"schedule lag", "node CPU", "steal", "client CPU", "achieved rate", "dropped requests", "usage",
           "common start", "sample size"}


def pod(name, number):
    return {"metadata": {"name": name, "annotations": {} if number is None else {INDEX: number}}}


def test_pods_are_known_by_their_number():
    found = numbered([pod("b", "1"), pod("a", "0")], "client-load")
    assert {number: each["metadata"]["name"] for number, each in found.items()} == {0: "a", 1: "b"}


@pytest.mark.parametrize("number", [None, "", "x", "-1", "99999"])
def test_a_pod_without_a_number_is_none_of_an_indexed_job(number):
    with pytest.raises(ProvisionError, match="pod a of Job client-load has no number"):
        numbered([pod("a", number)], "client-load")


def test_a_pod_that_was_replaced_is_noticed():
    with pytest.raises(ProvisionError, match="two pods with number 0"):
        numbered([pod("a", "0"), pod("b", "0")], "client-load")


@pytest.mark.parametrize(("text", "count"), [(None, 1), ("1", 1), ("3", 3)])
def test_how_many_there_are_is_an_option(text, count):
    chosen = options.probing({"performance_load_pods": text})
    assert chosen.load_pods == count
    assert ("--load-pods 3" in chosen.command([])) is (count == 3)


@pytest.mark.parametrize("text", ["0", "-2", "101", "two", "1.5"])
def test_a_number_that_cannot_be_meant_is_refused(text):
    with pytest.raises(options.ProbingError, match=f"--load-pods {text}"):
        options.probing({"performance_load_pods": text})


def test_the_right_that_they_take_can_be_granted():
    assert rules(LOAD_PODS) == [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "patch"]}]


@pytest.fixture(scope="module")
def topology(cluster):
    """The workloads outside of the mesh only: what a load pod is takes no proxy."""
    deployed = Topology(cluster, load("reference"), "10ad")
    deployed._create_namespace("outside", mesh=False)
    deployed.deploy("outsider", {"role": "client"}, role="outside")
    yield deployed
    deployed.remove()


@pytest.fixture
def job(topology):
    obj = {"apiVersion": "batch/v1", "kind": "Job",
           "metadata": {"name": "outsider-load", "namespace": topology.namespace("outside")}}
    yield obj
    topology.cluster.delete(obj)
    eventually(lambda: not topology.pods_of("outsider-load"), what="the pods to go", within=30, consecutive=1)


def test_load_pods_are_what_the_client_is(topology, job):
    crew = deploy(topology, "outsider", 3)
    assert [agent.whoami().pod for agent in crew.agents] == [name for _, name in crew.pods]
    assert {agent.whoami().service_account for agent in crew.agents} == {"outsider"}
    for found in topology.pods_of("outsider-load"):
        assert found["metadata"]["labels"]["role"] == "client"
        assert found["spec"]["restartPolicy"] == "Never"
    spec = topology.cluster.get("batch/v1", "Job", "outsider-load", job["metadata"]["namespace"])["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"], spec["backoffLimit"]) == (
        3, 3, "Indexed", 0)
    assert len(topology.pods_of("outsider")) == 1


def test_pods_that_end_are_said_to_have_ended(topology, job, monkeypatch):
    monkeypatch.setitem(topology._template["spec"]["containers"][0], "command", ["sh", "-c", "echo no; exit 3"])
    with pytest.raises(ProvisionError, match=r"(?s)load pod outsider-load-\d-\w+ ended before any load.* no"):
        deploy(topology, "outsider", 2)


def test_pods_that_do_not_become_ready_are_said_not_to_be(topology, job, monkeypatch):
    monkeypatch.setattr(load_pods, "READY_WITHIN", 0.3)
    monkeypatch.setitem(topology._template["spec"]["containers"][0], "command", ["sh", "-c", "exec sleep 60"])
    with pytest.raises(ProvisionError, match=r"(?s)2 load pods of outsider to be ready.*Fewer --load-pods"):
        deploy(topology, "outsider", 2)


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory):
    """A run on a cluster that was named, which brings its mesh along."""
    directory = tmp_path_factory.mktemp("report")
    command = [sys.executable, "-m", "conformance.cli", "perf", "run", "--report-dir", str(directory), "--kubeconfig",
               str(cluster.source), "--mesh", "reference", "--provision", "--load-pods", "2", "--rounds", "2",
               "--seconds", "0.6", "--rate", "100", "--probe", "latency-overhead,resource-use"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done, record.read(directory / "performance" / "performance.json")


def test_a_run_with_load_pods_has_figures_or_says_why_not(finished):
    done, run = finished
    assert [result.probe for result in run.results] == ["latency-overhead", "resource-use"], done.stdout
    for result in run.results:
        assert {found.gate for found in result.invalid} <= MACHINE
    assert len(run.results[0].loads) == 6
    for sent in run.results[0].loads:
        assert sent.errors == {}
        assert sent.response.count == pytest.approx(120, abs=20)
        assert sent.connections == 16


def test_it_says_how_many_there_were_and_is_not_compared_with_another(finished):
    _, run = finished
    assert run.header.labels == {"load_pods": "2"}
    assert "--load-pods 2" in run.header.command
    usual = type(run)(type(run.header)(**{**vars(run.header), "labels": {}, "run": "other"}), run.results)
    assert differences([usual], [run]) == ("load pods: 1 against 2",)


def test_nothing_of_it_stays(cluster, finished):
    left, _ = cluster.list("v1", "namespaces")
    assert not [obj["metadata"]["name"] for obj in left if obj["metadata"]["name"].endswith(("-app", "-mesh"))]
    assert not cluster.list("batch/v1", "jobs")[0]
