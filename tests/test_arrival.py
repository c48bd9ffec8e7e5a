"""New Services are waited for before anybody connects to them, by one that has nothing to do with the mesh."""

from __future__ import annotations

import pytest

from conformance import arrival
from conformance.agents import AgentError
from conformance.arrival import Arrival
from conformance.pods import Pod
from conformance.traffic import Answer, Failure, Sample
from conformance.waiting import NotConverged

HERE = Answer(200, "pod", "outside", "server", 8080)


class Cluster:
    """Notes what is created and deleted."""

    def __init__(self):
        self.there = []
        self.created = []

    def create(self, obj):
        self.there.append(obj)
        self.created.append(obj)

    def delete(self, obj):
        self.there.remove(obj)


class Topology:
    """Workloads outside the mesh, and what one of them is told when it asks."""

    def __init__(self, *outcomes, outside=("client", "server")):
        self.outcomes = list(outcomes)
        self.names = outside
        self.asked = []

    def outside(self):
        return self.names

    def pod(self, workload):
        return Pod(f"{workload}-1", "mc-x-outside", workload, 0)

    def agent(self, workload):
        self.asked.append(workload)
        return self

    def run(self, batch):
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        self.batch = batch
        return Sample(batch, (outcome,))


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def known(cluster):
    return Arrival(cluster, {"mesh-conformance/run": "x"})


def test_nothing_is_waited_for_without_a_new_service(cluster, known):
    topology = Topology(HERE)
    known.wait(topology)
    known.expect()
    known.wait(topology)
    known.wait(topology)
    assert (len(cluster.created), topology.asked) == (1, ["client"])


def test_service_is_one_of_the_run_outside_the_mesh_and_goes_again(cluster, known):
    known.expect()
    known.wait(Topology(HERE))
    (made,) = cluster.created
    assert made["metadata"] == {"name": "arrival-1", "namespace": "mc-x-outside",
                                "labels": {"mesh-conformance/run": "x"}}
    assert made["spec"]["selector"] == {"workload": "server"}
    assert cluster.there == []


def test_each_wait_has_a_service_of_its_own(cluster, known):
    for _ in range(2):
        known.expect()
        known.wait(Topology(HERE))
    assert [made["metadata"]["name"] for made in cluster.created] == ["arrival-1", "arrival-2"]


def test_attempts_are_single_and_short_until_one_is_answered(known):
    topology = Topology(Failure("dns"), Failure("timeout"), AgentError("busy"), Answer(404, "pod"), HERE)
    known.expect()
    known.wait(topology)
    assert (topology.batch.count, topology.batch.concurrency) == (1, 1)
    assert topology.batch.timeout < 1
    assert topology.batch.requests[0].url == "http://arrival-1.mc-x-outside:8080/"
    assert topology.outcomes == [HERE]


def test_cluster_that_never_knows_it_is_an_error_and_the_service_goes(cluster, known, monkeypatch):
    monkeypatch.setattr(arrival, "WITHIN", 0.1)
    known.expect()
    with pytest.raises(NotConverged, match=r"the cluster to know a new Service, arrival-1\.mc-x-outside.*timeout"):
        known.wait(Topology(Failure("timeout")))
    assert cluster.there == []


def test_without_a_workload_outside_the_mesh_nothing_can_be_told(cluster, known):
    known.expect()
    known.wait(Topology(HERE, outside=()))
    assert cluster.created == []


def test_one_workload_outside_the_mesh_is_both_ends(known):
    topology = Topology(HERE, outside=("only",))
    known.expect()
    known.wait(topology)
    assert topology.asked == ["only"]
