"""What the tests of the lifecycle share: the sandbox as a cluster, and commands on it."""

from __future__ import annotations

import pytest

from conformance import cli
from conformance.cluster import Cluster


@pytest.fixture
def cluster(sandbox):
    opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
    yield opened
    opened.close()


@pytest.fixture
def command(capsys):
    """Runs a command on the cluster of a kubeconfig; gives its exit code and what it told."""
    def go(name, kubeconfig, *options):
        capsys.readouterr()
        code = cli.main([name, "--kubeconfig", str(kubeconfig), *options])
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return code, told.out + told.err

    return go
