"""A sandbox for the tests of the node."""

from __future__ import annotations

import pytest
from node_tools import WEB, Api
from podnet_pod import Pods

from conformance.sandbox.network import Network


@pytest.fixture(scope="module")
def api(sandbox):
    found = Api(sandbox)
    yield found
    found.http.close()


@pytest.fixture(scope="module")
def network():
    """The number of a network that is this module's."""
    claimed = Network.claim()
    yield claimed.number
    claimed.release()


@pytest.fixture
def pods(network, tmp_path):
    """Starts programs as pods of that network."""
    found = Pods(tmp_path, network)
    yield found
    found.stop()


@pytest.fixture
def namespace(api, request):
    """A namespace of its own for each test, with the sample program in a config map."""
    name = request.node.name.replace("_", "-").lower()[:50].split("[")[0].strip("-")
    api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    api("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "web"}, "data": {"web.py": WEB}})
    yield name
    api("DELETE", f"/api/v1/namespaces/{name}")
    api.until(f"/api/v1/namespaces/{name}", lambda found: found is None)


@pytest.fixture
def make_pod(api, namespace):
    def make(name: str, spec: dict, **metadata) -> str:
        """Create a pod; returns its path."""
        body = {"metadata": {"name": name, **metadata}, "spec": {"terminationGracePeriodSeconds": 1, **spec}}
        api("POST", f"/api/v1/namespaces/{namespace}/pods", body)
        return f"/api/v1/namespaces/{namespace}/pods/{name}"

    return make
