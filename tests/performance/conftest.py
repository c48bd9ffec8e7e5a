"""The sandbox as a cluster, for the tests that need one."""

from __future__ import annotations

import pytest

from conformance.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(sandbox):
    opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
    yield opened
    opened.close()
