"""What happened to a run's pods while a check went on is seen, also when it is over by the time that one looks."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

from conformance import mesh
from conformance.cluster import ClusterError
from conformance.pods import as_pod, untaken
from conformance.service import WORKLOAD_LABEL
from conformance.topology import ProvisionError, Topology

POD = {
    "metadata": {"name": "v1-abc", "namespace": "mc-x-app", "labels": {}},
    "spec": {"containers": [{"name": "agent"}]},
    "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "restartCount": 1, "ready": True}],
               "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T10:00:00Z"}]},
}


def changed(**parts):
    pod = copy.deepcopy(POD)
    pod["status"]["conditions"][0] |= parts.get("condition", {})
    pod["status"]["containerStatuses"][0] |= parts.get("container", {})
    pod["metadata"] |= parts.get("metadata", {})
    return pod


@pytest.fixture
def topology():
    pods = [POD]
    made = Topology(SimpleNamespace(list=lambda *_, **__: (pods, "1")), mesh.load("reference"), "x")
    made._pods["v1"] = as_pod("v1", POD)
    made.now = pods
    return made


def test_pods_that_are_as_they_were(topology):
    assert topology.disturbances() == []


@pytest.mark.parametrize(("pods", "told"), [
    ([], "pod v1-abc is gone"),
    ([changed(container={"restartCount": 2})], "a container of pod v1-abc has restarted"),
    ([changed(condition={"status": "False"})], "pod v1-abc is not ready: v1 is Running"),
    ([changed(metadata={"deletionTimestamp": "2026-11-21T10:01:00Z"})], "pod v1-abc is not ready: v1 is Running"),
])
def test_what_lasts_is_told_every_time(topology, pods, told):
    topology.now[:] = pods
    assert [topology.disturbances(), topology.disturbances()] == [[told], [told]]


def test_what_is_over_is_told_once(topology):
    topology.now[:] = [changed(condition={"lastTransitionTime": "2026-11-21T10:02:00Z"})]
    assert topology.disturbances() == ["pod v1-abc was not ready for a while, until 2026-11-21T10:02:00Z"]
    assert topology.disturbances() == []
    topology.now[:] = [POD]
    assert topology.disturbances(), "it happened again"


def test_a_cluster_that_does_not_say_since_when_is_not_suspected(topology):
    plain = changed(condition={"lastTransitionTime": None})
    topology._pods["v1"] = as_pod("v1", plain)
    topology.now[:] = [plain]
    assert topology.disturbances() == []


NEXT = changed(metadata={"name": "v1-def", "labels": {WORKLOAD_LABEL: "v1"}})
EVICTED = changed(metadata={"labels": {WORKLOAD_LABEL: "v1"}}, condition={"status": "False"})


@pytest.mark.parametrize("pods", [[NEXT], [NEXT, EVICTED], [EVICTED, NEXT]])
def test_a_pod_that_stands_in_for_a_lost_one_is_taken(topology, pods):
    topology.now[:] = pods
    assert topology.disturbances()
    topology.renew()
    assert (topology.pod("v1").name, topology.disturbances()) == ("v1-def", [])


def test_a_lost_pod_that_does_not_come_back_is_waited_for_once(topology, monkeypatch):
    waited = []

    def settle(names, within):
        waited.extend(names)
        raise ProvisionError("the pods did not become ready")

    monkeypatch.setattr(topology, "settle", settle)
    topology.now[:] = []
    topology.renew()
    topology.renew()
    assert waited == ["v1"]
    assert topology.disturbances(), "its checks say what ails it"
    topology.now[:] = [NEXT]
    topology.renew()
    assert (topology.pod("v1").name, waited) == ("v1-def", ["v1"]), "it is back, without being waited for"
    topology.now[:] = []
    topology.renew()
    assert waited == ["v1", "v1"], "it was lost once more"


def test_pods_that_are_as_they_were_are_not_waited_for(topology, monkeypatch):
    monkeypatch.delattr(Topology, "settle")
    topology.renew()


CONTROL = changed(metadata={"name": "control-plane-1", "namespace": "reference-mesh"})


@pytest.fixture
def watched(topology, monkeypatch):
    """The topology of a mesh whose control plane has one pod, and the pods that it has now."""
    now = [CONTROL]
    monkeypatch.setattr(topology.control_plane, "pods", lambda: now)
    topology.control_plane.watch()
    return topology, now


def test_a_control_plane_that_was_replaced_is_told_once(watched):
    topology, now = watched
    assert topology.disturbances() == []
    now[:] = [changed(metadata={"name": "control-plane-2"}, condition={"status": "False"})]
    gone = ["pod control-plane-1 is gone (control plane of Reference mesh)"]
    assert [topology.disturbances(), topology.disturbances()] == [gone, gone], "it is not over"
    now[:] = [changed(metadata={"name": "control-plane-2"})]
    assert [topology.disturbances(), topology.disturbances()] == [gone, []]


def test_a_control_plane_that_ends_by_itself_is_the_meshs_own_doing(watched):
    topology, now = watched
    now[:] = [changed(metadata={"name": "control-plane-1"}, container={"restartCount": 2},
                      condition={"status": "False"})]
    assert topology.disturbances() == []


def node(name, *conditions, taints=()):
    return {"metadata": {"name": name}, "spec": {"taints": list(taints)},
            "status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions]}}


FULL = node("full", ("Ready", "True"), ("DiskPressure", "True"),
            taints=[{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}])


def test_nodes_that_take_no_pods_are_told_with_the_reason():
    nodes = (FULL, node("lost", ("Ready", "Unknown")), node("fine", ("Ready", "True")))
    assert untaken(SimpleNamespace(nodes=lambda: nodes)) == [
        "node full: DiskPressure; taint node.kubernetes.io/disk-pressure:NoSchedule",
        "node lost: not ready (no word from its kubelet)"]


def test_who_may_not_see_nodes_is_told_nothing_of_them():
    def forbidden():
        raise ClusterError("listing nodes", "forbidden", code=403)

    assert untaken(SimpleNamespace(nodes=forbidden)) == []
