"""A violation counts only once every kubelet has shown that it has looked: whatever it is slow to see is waited for."""

from __future__ import annotations

import itertools

import pytest

from conformance import kubelets
from conformance.cluster import ClusterError
from conformance.pods import Pod

UNSCHEDULED = {"phase": "Pending"}
DEAD = "a container of pod client-1 has restarted"


def pod(name, node, **status):
    return {"metadata": {"name": name, "namespace": f"mc-x-{node}"}, "status": status,
            "spec": {"nodeName": node, "securityContext": {"runAsUser": 7}, "containers": [
                {"name": "proxy", "image": "p"}, {"name": "agent", "image": "a", "imagePullPolicy": "Never"}]}}


def ended(state="state"):
    return {"startTime": "now", "containerStatuses": [{state: {"terminated": {"exitCode": 0}}}]}


def node_of(deployment):
    affinity = deployment["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    [term] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return term["matchFields"][0]["values"][0]


class Cluster:
    """Two nodes with pods of the run. `says` is the status of a pod that asks, by node, from one look to the next."""

    def __init__(self, **says):
        self.says = {node: list(statuses) for node, statuses in says.items()}
        self.refuses = ""
        self.asked = {}
        self.deleted = []

    def create(self, obj):
        if node_of(obj) == self.refuses:
            raise ClusterError("creating a Deployment", "HTTP 403", code=403)
        self.asked[obj["metadata"]["name"]] = obj

    def delete(self, obj):
        self.deleted.append(obj["metadata"]["name"])

    def list(self, _api, _plural, _namespace=None, labels=""):
        name = labels.rpartition("=")[2]
        if name not in self.asked:
            return [pod("client-1", "one"), pod("echo-1", "two")], "1"
        node = node_of(self.asked[name])
        left = self.says[node]
        if not left:
            return [], "1"
        said = left.pop(0) if len(left) > 1 else left[0]
        return [{"spec": {} if said == UNSCHEDULED else {"nodeName": node}, "status": said}], "1"


class Topology:
    """Tells of disturbances from a look on (from 0), for ever."""

    run = "x"

    def __init__(self, cluster, disturbed_from=None):
        self.cluster, self.disturbed_from, self.looks = cluster, disturbed_from, itertools.count()

    def outside(self):
        return ("echo",)

    def pod(self, workload):
        return Pod(f"{workload}-1", "mc-x-two", workload, 0)

    def disturbances(self):
        at = next(self.looks)
        return [DEAD] if self.disturbed_from is not None and at >= self.disturbed_from else []


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    for name, seconds in (("HEARD_WITHIN", 0.3), ("WRITTEN_WITHIN", 0.02), ("UNASKED", 0.05)):
        monkeypatch.setattr(kubelets, name, seconds)


@pytest.mark.parametrize("state", ["state", "lastState"])
def test_pods_that_are_as_they_were_once_all_kubelets_have_looked(state):
    cluster = Cluster(one=[{}, {"startTime": "now"}, ended(state)], two=[ended()])
    assert kubelets.disturbances(Topology(cluster)) == ""
    assert sorted(cluster.asked) == sorted(cluster.deleted)
    assert {node_of(obj) for obj in cluster.asked.values()} == {"one", "two"}
    assert len(cluster.says["one"]) == 1, "it was asked until it answered"


def test_what_asks_is_a_container_of_the_agent_outside_the_mesh():
    cluster = Cluster(one=[ended()], two=[ended()])
    kubelets.disturbances(Topology(cluster))
    for obj in cluster.asked.values():
        assert obj["metadata"]["namespace"] == "mc-x-two"
        spec = obj["spec"]["template"]["spec"]
        assert spec["securityContext"] == {"runAsUser": 7}
        [container] = spec["containers"]
        assert (container["image"], container["imagePullPolicy"]) == ("a", "Never")


def test_what_is_seen_at_once_is_told_without_asking():
    cluster = Cluster()
    assert kubelets.disturbances(Topology(cluster, 0)) == DEAD
    assert not cluster.asked


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_a_death_that_a_kubelet_tells_late_is_told(looks):
    """The kubelet answers with the third look; it may write what it has seen of the other pod after that."""
    cluster = Cluster(one=[{}, {}, ended()], two=[ended()])
    assert kubelets.disturbances(Topology(cluster, looks)) == DEAD
    assert sorted(cluster.asked) == sorted(cluster.deleted)


def test_a_kubelet_that_says_nothing_leaves_it_open():
    cluster = Cluster(one=[{}], two=[ended()])
    assert "the kubelet of one has not taken up a pod" in kubelets.disturbances(Topology(cluster))


@pytest.mark.parametrize("says", [[{"startTime": "now"}], [], [UNSCHEDULED]])
def test_a_container_that_cannot_run_is_not_held_against_the_pods(says):
    """Its image cannot be pulled, no pod is admitted, the node has no room: there was time enough to see the others."""
    assert kubelets.disturbances(Topology(Cluster(one=says, two=[ended()]))) == ""


@pytest.mark.parametrize(("disturbed_from", "told"), [(None, ""), (3, DEAD)])
def test_where_kubelets_cannot_be_asked_there_is_time_to_tell(disturbed_from, told):
    cluster = Cluster(one=[ended()])
    cluster.refuses = "two"
    assert kubelets.disturbances(Topology(cluster, disturbed_from)) == told
    assert len(cluster.deleted) == 1


def test_pods_that_cannot_be_looked_at_leave_it_open(monkeypatch):
    cluster = Cluster()

    def away(*_, **__):
        raise ClusterError("listing pods", "refused")

    monkeypatch.setattr(cluster, "list", away)
    assert "could not be looked at: listing pods: refused" in kubelets.disturbances(Topology(cluster))
