"""Loads and fast servers in an agent: forked processes that come, answer and go with it."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from agent_process import AgentProcess, alive, answering

from conformance.agents import AgentError
from conformance.performance.histogram import Histogram
from conformance.workloads.libraries import LOAD_NAME, load_zip

PORT = 8090


@pytest.fixture(scope="module")
def agent(network, tmp_path_factory):
    with AgentProcess(tmp_path_factory.mktemp("load"), network, 7, {LOAD_NAME: load_zip()}) as process:
        yield process


@pytest.fixture(autouse=True)
def nothing_left(agent):
    yield
    assert agent.process.poll() is None
    agent.ask("DELETE", f"/target/{PORT}")
    wait_for(lambda: children(agent) == [])


def children(agent):
    listed = Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text(encoding="ascii")
    return [int(word) for word in listed.split()]


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def command(agent, *, rate=None, port=8080, **changes):
    shape = {"mode": "closed"} if rate is None else {"mode": "open", "schedule": {"rate": rate}}
    return {"target": {"url": f"http://{agent.address}:{port}/bytes/20"}, **shape, "connections": 2, "duration": 0.3,
            "timeout": 1.0, "expect": {"agents": [agent.name]}, **changes}


@pytest.mark.parametrize("rate", [None, 200.0])
def test_a_load_on_the_echo_server(agent, rate):
    result = agent.client().load(command(agent, rate=rate))
    assert result["errors"] == {}
    assert result["agents"] == {agent.name: result["completed"]}
    assert result["completed"] > 20
    assert result["engine"]["pid"] not in (agent.process.pid, os.getpid())
    assert Histogram.from_json(result["service"]).count == result["completed"]


def test_the_fast_server(agent):
    client = agent.client()
    client.serve(PORT, delay=0.01)
    with pytest.raises(AgentError, match=f"port {PORT} is being served already"):
        client.serve(PORT)
    answer = httpx.get(f"http://{agent.host}:{PORT}/bytes/5", trust_env=False)
    assert answer.text == "xxxxx"
    assert f'"pod":"{agent.name}","namespace":"demo"' in answer.headers["x-agent"]
    result = client.load(command(agent, rate=100.0, port=PORT))
    assert result["errors"] == {}
    assert Histogram.from_json(result["service"]).min >= 10_000_000
    served, connections = client.served(PORT)
    assert served == result["sent"] + 1
    assert connections == 3
    client.stop_serving(PORT)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{agent.host}:{PORT}/", trust_env=False)
    with pytest.raises(AgentError, match=f"no server on port {PORT}"):
        client.served(PORT)
    client.serve(PORT, protocol="tcp")
    result = client.load(command(agent, expect={}) | {"target": {"url": f"tcp://{agent.address}:{PORT}"}})
    assert result["errors"] == {}
    assert client.served(PORT)[0] >= result["completed"] > 20


def test_a_port_that_is_taken(agent):
    with pytest.raises(AgentError, match="cannot listen on TCP port 8080: Address already in use"):
        agent.client().serve(8080)


@pytest.mark.parametrize("rate", [None, 200.0])
def test_a_load_begins_when_it_was_agreed(agent, rate):
    client = agent.client()
    before = time.time()
    assert before <= client.clock() <= time.time()
    start = client.clock() + 0.7
    result = client.load(command(agent, rate=rate, warmup=0.1, start=start))
    assert start + 0.1 <= result["started"]
    assert result["completed"] > 20
    assert result["errors"] == {}


@pytest.mark.parametrize("rate", [None, 200.0])
def test_a_start_that_has_passed_is_missed_and_nothing_sent(agent, rate):
    result = agent.client().load(command(agent, rate=rate, start=time.time() - 0.1))
    assert set(result) == {"done", "id", "missed"}
    assert result["missed"] >= 0.1


def test_a_load_can_be_ended_before_its_start(agent):
    started = agent.ask("POST", "/load", command(agent, rate=100.0, start=time.time() + 30)).json()
    assert not agent.get(f"/load/{started['id']}?wait=1")["done"]
    result = agent.ask("DELETE", f"/load/{started['id']}").json()
    assert (result["done"], result["sent"]) == (True, 0)


def test_a_load_whose_progress_nobody_takes_is_ended(agent):
    def told(said):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agent.client().load(command(agent, rate=100.0, duration=60), told)
    wait_for(lambda: children(agent) == [])


def test_progress_of_one_load_at_a_time(agent):
    progress = []
    other = []

    def told(said):
        progress.append(said)
        with pytest.raises(AgentError, match="a load is running already"):
            agent.client().load(command(agent))
        other.append(agent.get("/healthz"))

    result = agent.client().load(command(agent, duration=2.6), told)
    assert result["errors"] == {}
    assert [said["phase"] for said in progress] == ["measuring"]  # told after each two seconds, and not of the end
    assert progress[0]["completed"] > 10
    assert progress[0]["left"] < 1.5
    assert other == [{"ok": True}]


def test_a_load_ended_early_has_the_result_so_far(agent):
    started = agent.ask("POST", "/load", command(agent, rate=100.0, duration=60)).json()
    assert started["done"] is False
    time.sleep(0.5)
    begin = time.monotonic()
    answer = agent.ask("DELETE", f"/load/{started['id']}")
    assert answer.status_code == 200
    assert time.monotonic() - begin < 2
    result = answer.json()
    assert 0.2 < result["elapsed"] < 2
    assert result["scheduled"] == result["sent"] + result["unsent"] < 300
    assert agent.get(f"/load/{started['id']}")["elapsed"] == result["elapsed"]


def test_a_process_that_dies_is_said_and_never_a_hang(agent):
    started = agent.ask("POST", "/load", command(agent, duration=60)).json()
    os.kill(children(agent)[0], signal.SIGKILL)
    begin = time.monotonic()
    answer = agent.ask("GET", f"/load/{started['id']}?wait=20")
    assert time.monotonic() - begin < 5
    assert answer.status_code == 500
    assert f"load {started['id']} ended without a result: SIGKILL" in answer.json()["error"]
    assert agent.client().load(command(agent))["errors"] == {}

    agent.client().serve(PORT)
    os.kill(children(agent)[0], signal.SIGKILL)
    wait_for(lambda: agent.ask("GET", f"/target/{PORT}").status_code == 404)


def test_nothing_is_forked_beside_the_threads_of_a_batch(agent, serve):
    hanging = serve(answering(b"", then=lambda sock: sock.recv(1)))
    slow = {"sample": "a", "requests": [{"url": hanging.url}], "wait": 0, "timeout": 2}
    batch = agent.ask("POST", "/batch", slow).json()
    with pytest.raises(AgentError, match="a batch is running"):
        agent.client().load(command(agent))
    with pytest.raises(AgentError, match="a batch is running"):
        agent.client().serve(PORT)
    agent.ask("DELETE", f"/batch/{batch['id']}")
    wait_for(lambda: agent.get(f"/batch/{batch['id']}")["done"])
    agent.client().serve(PORT)
    assert agent.one(f"http://{agent.address}:{PORT}/")["status"] == 200


def test_large_results_arrive_whole(agent):
    agent.client().serve(PORT)
    result = agent.client().load(command(agent, rate=20_000.0, port=PORT, duration=1.0, raw=True, timeout=3))
    assert len(result["raw"]["ended"]) >= result["sent"] * 8
    assert result["sent"] > 1000


def test_the_child_has_nothing_of_the_agents_sockets(agent):
    agent.client().serve(PORT)
    kept = [str(entry.readlink()) for entry in Path(f"/proc/{children(agent)[0]}/fd").iterdir()]
    assert len([name for name in kept if name.startswith("socket:")]) == 2  # its listener, and the talk with the agent
    assert len([name for name in kept if name == "anon_inode:[eventpoll]"]) == 1


def test_children_end_with_the_agent(network, tmp_path):
    with AgentProcess(tmp_path, network, 8, {LOAD_NAME: load_zip()}) as agent:
        agent.client().serve(PORT)
        agent.ask("POST", "/load", command(agent, duration=60))
        born = children(agent)
        assert len(born) == 2
        agent.process.kill()
        agent.process.wait(5)
        for child in born:
            wait_for(lambda child=child: not alive(child) or state(child) == "Z")


def state(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return "Z"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/load", b"{", 400, "the body is not JSON"),
        ("POST", "/load", {"mode": "open"}, 400, "schedule: an open loop needs one"),
        ("POST", "/load/x", {}, 405, "/load takes POST; /load/ID takes GET and DELETE"),
        ("GET", "/load", None, 405, "takes POST"),
        ("GET", "/load/unknown", None, 404, "no load unknown"),
        ("DELETE", "/load/unknown", None, 404, "no load unknown"),
        ("POST", "/target", {"port": 0}, 400, "port: need a number from 1"),
        ("POST", "/target", {"port": 8090, "delay": "long"}, 400, "delay: need a number"),
        ("GET", "/target/8091", None, 404, "no server on port 8091"),
        ("GET", "/target/x", None, 404, "no server on port x"),
        ("PUT", "/target", None, 405, "/target takes POST; /target/PORT takes GET and DELETE"),
    ],
)
def test_wrong_commands(agent, method, path, body, status, message):
    answer = agent.ask(method, path, body)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_waiting_must_be_a_time(agent):
    started = agent.ask("POST", "/load", command(agent)).json()
    for wait in ("x", "-1", "1000", "nan"):
        assert agent.ask("GET", f"/load/{started['id']}?wait={wait}").status_code == 400
    assert agent.ask("GET", f"/load/{started['id']}?wait=5").status_code == 200


def test_the_fifth_server_is_refused(agent):
    ports = range(PORT + 1, PORT + 5)
    for port in ports:
        agent.client().serve(port)
    with pytest.raises(AgentError, match="4 servers are running already"):
        agent.client().serve(PORT)
    for port in ports:
        agent.client().stop_serving(port)


@pytest.mark.parametrize("libraries", [{}, {LOAD_NAME: b"not a zip"}], ids=["missing", "damaged"])
def test_without_its_part_an_agent_says_so(network, tmp_path, libraries):
    with AgentProcess(tmp_path, network, 9, libraries) as agent:
        answer = agent.ask("POST", "/load", {})
        assert answer.status_code == 501
        assert "need load.zip beside agent.py" in answer.json()["error"]
        assert agent.get("/healthz") == {"ok": True}


def test_a_client_that_leaves_while_it_waits(agent):
    started = agent.ask("POST", "/load", command(agent, duration=1.0)).json()

    def leave():
        with contextlib.suppress(httpx.HTTPError):
            agent.ask("GET", f"/load/{started['id']}?wait=20", timeout=0.2)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert agent.ask("GET", f"/load/{started['id']}?wait=20").json()["done"]
