import pytest
from agent_process import AgentProcess, Server

from conformance.sandbox.network import Network


@pytest.fixture(scope="session")
def network():
    claimed = Network.claim()
    yield claimed.number
    claimed.release()


@pytest.fixture(scope="module")
def agent(network, tmp_path_factory):
    with AgentProcess(tmp_path_factory.mktemp("agent"), network) as process:
        yield process


@pytest.fixture
def serve(network):
    """Starts misbehaving servers: serve(handler) returns one that is running."""
    servers = []

    def start(handle):
        servers.append(Server(network, handle).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()
