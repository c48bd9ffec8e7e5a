import pytest
from agent_process import AgentProcess, Server
from faulty_server import started

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
    with started(lambda handle: Server(network, handle)) as start:
        yield start
