"""The harness's own cluster module as other users of the API server."""

from __future__ import annotations

import pytest

from conformance.cluster import Cluster, ClusterError, NotFound, Rejected


@pytest.fixture
def cluster(harness):
    opened = Cluster.from_kubeconfig(harness.server.kubeconfig)
    yield opened
    opened.close()


@pytest.fixture
def account(cluster):
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other", "namespace": "default"}}
    cluster.create(made)
    yield made
    cluster.delete(made)


def test_a_second_connection_is_another_user(cluster, account):
    other = cluster.with_token(cluster.token("default", "other"))
    try:
        assert other.version() == cluster.version()
        with pytest.raises(Rejected, match="system:serviceaccount:default:other") as refused:
            other.list("v1", "pods", "default")
        assert refused.value.code == 403
        assert cluster.list("v1", "pods", "default")[0] == []
    finally:
        other.close()


def test_a_token_of_nobody(cluster, account):
    with pytest.raises(NotFound, match="token of the service account default/nobody"):
        cluster.token("default", "nobody")
    with pytest.raises(Rejected, match="duration less than 10 minutes"):
        cluster.token("default", "other", seconds=5)
    stranger = cluster.with_token("nonsense")
    with pytest.raises(ClusterError, match="credential is missing, wrong or expired"):
        stranger.version()
    stranger.close()


def test_kinds_of_a_group_version(cluster):
    assert {"Deployment", "ReplicaSet"} <= cluster.kinds("apps", "v1")
    assert "Pod" in cluster.kinds("", "v1")
    assert "Scale" not in cluster.kinds("apps", "v1"), "subresources are no kinds of the group"
    assert cluster.kinds("apps", "v7") == cluster.kinds("nothing.example.org", "v1") == frozenset()
