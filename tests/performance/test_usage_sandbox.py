"""What a pod of the sandbox is known to use is found by the summary API. About 8 s."""

from __future__ import annotations

import time

import pytest
from usage_burner import NAMESPACE, Burner

from conformance.cluster import ClusterError
from conformance.performance.usage import kubelet
from conformance.performance.usage.consumption import UsageError, between


@pytest.fixture(scope="module")
def burner(cluster):
    return Burner(cluster)


def used_by(burner, path):
    """What the container is told to use, what it says that it used, and what is found."""
    before = kubelet.read(burner.cluster)
    said = burner.ask(path)
    found = between(before, kubelet.read(burner.cluster)).proxies("main", {(NAMESPACE, burner.name)})
    assert not found.gaps
    (use,) = found.uses.values()
    return said, found.cpu, use


@pytest.mark.parametrize("way", ["own", "child", "orphan"])
def test_a_known_cpu_time_is_found_within_5_percent(burner, way):
    said, found, use = used_by(burner, f"/{way}?amount=0.8")
    assert said == pytest.approx(0.8, rel=0.02)
    # Answering costs some milliseconds as well; of orphans the runtime tells when it has seen them end.
    assert found == pytest.approx(said, rel=0.05), (use, said)
    assert 0.8 <= use.seconds < 30
    assert use.error == 0


def test_the_other_container_of_the_pod_has_used_nothing(burner):
    before = kubelet.read(burner.cluster)
    burner.ask("/own?amount=0.3")
    rest = between(before, kubelet.read(burner.cluster)).proxies("proxy")
    assert rest.cores < 0.01
    assert 0 < rest.memory < 20e6


def test_memory_that_is_taken_is_found(burner):
    before = kubelet.read(burner.cluster)
    burner.ask("/memory?amount=30000000")
    after = kubelet.read(burner.cluster)
    (place,) = [place for place in after.readings if place.container == "main"]
    assert after.readings[place].memory - before.readings[place].memory == pytest.approx(30e6, rel=0.1)


def test_the_node_uses_at_least_what_its_pods_do(burner):
    before = kubelet.read(burner.cluster)
    burner.ask("/own?amount=0.5")
    found = between(before, kubelet.read(burner.cluster))
    assert found.resolution == kubelet.IMMEDIATE
    ((name, node),) = found.nodes.items()
    assert node.cores * node.seconds >= 0.48
    assert node.memory > 50e6
    assert found.node(name).cores == node.cores
    assert not found.invalid()


def test_a_restart_is_said_and_never_negative(cluster):
    burner = Burner(cluster, "mortal")
    burner.ask("/own?amount=0.2")
    before = kubelet.read(cluster)
    with pytest.raises(ClusterError):
        burner.ask("/die")
    time.sleep(0.3)
    burner.ask("/", within=15)
    found = between(before, kubelet.read(cluster)).proxies("main", {(NAMESPACE, "mortal")})
    assert not found.uses
    (gap,) = found.gaps
    assert "restarted" in gap.why
    cluster.delete(burner.object)
    deadline = time.monotonic() + 10
    while cluster.exists(burner.object) and time.monotonic() < deadline:
        time.sleep(0.05)
    (gap,) = between(before, kubelet.read(cluster)).proxies("main", {(NAMESPACE, "mortal")}).gaps
    assert gap.why == "it has gone since the first reading"
    (problem,) = between(before, kubelet.read(cluster)).proxies("main", {(NAMESPACE, "mortal")}).invalid("x")
    assert (problem.gate, problem.where) == ("usage", "x")


def test_the_right_to_read_it_is_asked_for(cluster):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": NAMESPACE}}
    cluster.create(account)
    reader = cluster.with_token(cluster.token(NAMESPACE, "reader"))
    try:
        with pytest.raises(UsageError, match="Grant the right to list nodes"):
            kubelet.read(reader)
        cluster.create(role("nodes", ["list"]))
        cluster.create(binding("nodes"))
        with pytest.raises(UsageError, match="Grant the right to get nodes/proxy"):
            kubelet.read(reader)
        cluster.create(role("nodes/proxy", ["get"]))
        cluster.create(binding("nodes/proxy"))
        assert kubelet.read(reader).readings
    finally:
        reader.close()


def role(resource, verbs):
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": resource.replace("/", "-")},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": verbs}]}


def binding(resource):
    name = resource.replace("/", "-")
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}]}
