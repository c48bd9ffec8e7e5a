"""The control port: batches, their bounds, and the end of the program."""

import ast
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from agent_process import COMMAND, AgentProcess, answering, read_head

from conformance.agents import AgentError
from conformance.traffic import Answer, Batch, Request
from conformance.workloads import agent as program


def hang(sock):
    while sock.recv(1000):
        pass


def test_runs_on_python_3_9():
    source = Path(program.__file__).read_text()
    ast.parse(source, feature_version=(3, 9))


def test_whoami(agent):
    said = agent.get("/whoami")
    assert (said["pod"], said["protocol"], said["ports"]["http"]) == ("agent-2", program.PROTOCOL, [8080, 8081])
    assert agent.client().whoami().pod == "agent-2"


def test_requests_take_turns_and_the_sequence_keeps_their_order(agent):
    base = f"http://{agent.address}"
    urls = (f"{base}:8080/status/201", f"{base}:8081/status/202", f"http://{agent.address}:9/")
    result = agent.batch(*urls, count=300, concurrency=16)
    kinds = [answer.get("status") or answer.get("failure") for answer in result["answers"]]
    assert [kinds[code] for code in result["sequence"]] == [201, 202, "refused"] * 100
    assert len(result["exchanges"]) == 3
    first = next(exchange for exchange in result["exchanges"] if exchange["url"] == urls[0])
    assert first["index"] % 3 == 0
    assert first["request"].startswith("GET /status/201")
    assert first["response"].startswith("HTTP/1.1 201")
    assert 0 < result["latency"]["p50"] <= result["latency"]["p99"] <= result["latency"]["max"] < result["elapsed"]


def test_both_sides_of_a_sample(agent):
    client = agent.client()
    batch = Batch(
        "both-sides",
        (
            Request(f"http://{agent.address}:8080/a", headers=(("X-One", "1"), ("X-One", "2"))),
            Request(f"http://{agent.address}:8081/b", method="POST", body="ü"),
        ),
        count=10,
        concurrency=1,
        connections="keep",
    )
    sample = client.run(batch).with_received([client.received("both-sides")])
    assert sample.counts_by("port") == {8080: 5, 8081: 5}
    assert sample.outcomes[0] == Answer(200, "agent-2", "demo", "tester", 8080)
    assert sample.received["agent-2"].total == 10
    headers = next(seen.headers for seen in sample.received["agent-2"].first if seen.path == "/a")
    assert [value for name, value in headers if name == "X-One"] == ["1", "2"]
    posted = next(seen for seen in sample.received["agent-2"].first if seen.path == "/b")
    assert dict(posted.headers)["content-length"] == "2"


def test_a_batch_that_takes_long_is_started_then_polled(agent):
    slow = f"http://{agent.address}:8080/delay/0.2"
    said = agent.batch(slow, count=2, wait=0.05)
    assert said["done"] is False
    begin = time.monotonic()
    result = agent.get(f"/batch/{said['id']}?wait=10")
    assert result["done"] is True
    assert time.monotonic() - begin < 2
    assert agent.get(f"/batch/{said['id']}") == result, "a result can be fetched again"


def test_the_deadline_ends_a_batch(agent, serve):
    begin = time.monotonic()
    result = agent.batch(serve(hang).url, count=50, concurrency=2, timeout=10, deadline=0.3)
    assert time.monotonic() - begin < 1.2
    kinds = [result["answers"][code]["failure"] for code in result["sequence"]]
    assert kinds == ["timeout"] * 2 + ["unsent"] * 48


def test_a_batch_can_be_cancelled(agent, serve):
    said = agent.batch(serve(hang).url, count=50, timeout=30, wait=0)
    begin = time.monotonic()
    result = agent.ask("DELETE", f"/batch/{said['id']}").json()
    assert time.monotonic() - begin < 0.5
    assert result["done"] is True
    assert {answer["failure"] for answer in result["answers"]} == {"timeout", "unsent"}


REQUEST = {"url": "http://x"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "not a JSON object"),
        ({"requests": [REQUEST]}, "sample must be a string"),
        ({"sample": "a\nb", "requests": [REQUEST]}, "printable"),
        ({"sample": "s"}, "requests must be a list"),
        ({"sample": "s", "requests": []}, "requests must be a list"),
        ({"sample": "s", "requests": ["http://x"]}, "requests[0] is not an object"),
        ({"sample": "s", "requests": [{}]}, "url must be a string"),
        ({"sample": "s", "requests": [{"url": "nonsense"}]}, "need http://"),
        ({"sample": "s", "requests": [{"url": "http://x:99999"}]}, "requests[0]: url"),
        ({"sample": "s", "requests": [{"url": "http://[::1"}]}, "requests[0]: url"),
        ({"sample": "s", "requests": [{"url": "tcp://x"}]}, "PORT"),
        ({"sample": "s", "requests": [{"url": "http://x/ü"}]}, "ASCII"),
        ({"sample": "s", "requests": [{**REQUEST, "method": "GET /\r\n"}]}, "ASCII"),
        ({"sample": "s", "requests": [{**REQUEST, "headers": {"a": "b\r\nc: d"}}]}, "line ends"),
        ({"sample": "s", "requests": [{**REQUEST, "headers": {"a": "日"}}]}, "Latin-1"),
        ({"sample": "s", "requests": [{**REQUEST, "headers": 5}]}, "headers must be"),
        (b'{"sample": "s", "requests": [{"url": "http://x", "body": "\\ud800"}]}', "body is not Unicode"),
        (b'{"sample": "s", "requests": [{"url": "http://\\ud800"}]}', "Latin-1"),
        (b'{"sample": "s", "requests": [{"url": "http://x"}], "timeout": NaN}', "timeout"),
        ({"sample": "s", "requests": [{"url": "udp://x:1", "body": "x" * 70_000}]}, "at most"),
        ({"sample": "s", "requests": [REQUEST], "count": 0}, "count must be a number from 1 to 1e+06"),
        ({"sample": "s", "requests": [REQUEST], "count": 1_000_001}, "count"),
        ({"sample": "s", "requests": [REQUEST], "count": 1.5}, "whole number"),
        ({"sample": "s", "requests": [REQUEST], "concurrency": 257}, "concurrency"),
        ({"sample": "s", "requests": [REQUEST], "timeout": "5"}, "timeout"),
        ({"sample": "s", "requests": [REQUEST], "deadline": True}, "deadline"),
        ({"sample": "s", "requests": [REQUEST], "connections": "reuse"}, "connections"),
        ({"sample": "s", "requests": [REQUEST], "wait": 61}, "wait"),
    ],
)
def test_a_bad_command_is_refused_with_the_reason(agent, command, message):
    answer = agent.ask("POST", "/batch", command)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/batch", 405),
        ("GET", "/batch/unknown", 404),
        ("GET", "/batch/unknown?wait=x", 404),
        ("GET", "/received", 400),
        ("GET", "/received?" + "a=1&" * 30, 400),
        ("POST", "/whoami", 405),
    ],
)
def test_control_errors_are_json(agent, method, path, status):
    answer = agent.ask(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_command_may_not_be_endless(agent):
    assert agent.ask("POST", "/batch", b" " * (5 * 1024 * 1024)).status_code == 413


def test_different_outcomes_are_bounded(agent, serve):
    counter = iter(range(10_000))

    def handle(sock):
        while True:
            read_head(sock)
            who = f'{{"pod": "pod-{next(counter)}"}}'
            sock.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-agent: {who}\r\n\r\n".encode())

    result = agent.batch(serve(handle).url, count=600, concurrency=4, connections="keep")
    assert len(result["answers"]) <= program.MAX_OUTCOMES + 1
    assert len(result["exchanges"]) <= program.MAX_EXCHANGES
    assert result["answers"][-1]["failure"] == "garbage"
    assert len(result["sequence"]) == 600


def test_running_and_remembered_batches_are_bounded(network, serve, tmp_path):
    with AgentProcess(tmp_path, network, 30) as agent:
        server = serve(hang)
        running = [agent.batch(server.url, count=2, timeout=30, wait=0)["id"] for _ in range(program.MAX_RUNNING)]
        refused = agent.ask("POST", "/batch", {"sample": "s", "requests": [{"url": server.url}]})
        assert refused.status_code == 429
        assert "running already" in refused.json()["error"]
        for name in running:
            agent.ask("DELETE", f"/batch/{name}")
        for _ in range(program.MAX_REMEMBERED):
            agent.batch(f"http://{agent.address}:9/")
        assert agent.ask("GET", f"/batch/{running[0]}").status_code == 404
        assert "forgotten" in agent.get(f"/batch/{running[0]}")["error"]


def test_sigterm_ends_it_at_once_with_0_whatever_it_does(network, serve, tmp_path):
    agent = AgentProcess(tmp_path, network, 31)
    with agent:
        agent.batch(serve(hang).url, count=100, concurrency=50, timeout=60, wait=0)
        begin = time.monotonic()
        agent.process.terminate()
        assert agent.process.wait(5) == 0
        assert time.monotonic() - begin < 0.5


def test_an_agent_that_is_killed_is_an_agent_error(network, serve, tmp_path):
    with AgentProcess(tmp_path, network, 32) as agent:
        client = agent.client()
        url = serve(hang).url
        threading.Timer(0.2, agent.process.kill).start()
        with pytest.raises(AgentError, match=r"agent agent-32: POST /batch: no answer: .*see the pod's status"):
            client.run(Batch("killed", (Request(url),), count=5, timeout=10))


def test_a_taken_port_and_bad_options_are_said(agent, network):
    again = AgentProcess(agent.log.parent, network)
    run = subprocess.run(
        again.command(*COMMAND), env=again.environment, capture_output=True, text=True, timeout=10, check=False
    )
    assert run.returncode == 1
    assert "agent: cannot listen on UDP port 7071: Address already in use" in run.stderr
    run = subprocess.run(
        again.command("--http", "80x"), env=again.environment, capture_output=True, text=True, timeout=10, check=False
    )
    assert run.returncode == 2
    assert "'80x' is not a port" in run.stderr


def test_concurrent_batches_do_not_mix(agent):
    results = {}

    def run(number):
        url = f"http://{agent.address}:8080/status/{300 + number}"
        results[number] = agent.batch(url, sample=f"mix-{number}", count=100, concurrency=4)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for number in (0, 1, 2, 3):
        assert [answer["status"] for answer in results[number]["answers"]] == [300 + number]
        assert agent.get(f"/received?sample=mix-{number}")["total"] == 100


def test_ipv6_and_names_are_dual_where_the_machine_is():
    """Without the sandbox's network the agent listens on IPv6 too; only the choice of socket is looked at."""
    sock = program.every_address(program.socket.SOCK_STREAM, 0)
    try:
        assert sock.getsockname()[0] in ("::", "0.0.0.0")
    finally:
        sock.close()


def test_a_pod_at_its_limits_says_so(agent, monkeypatch):
    """Failures of the client's own making are `local`, which the harness never takes for the mesh's."""
    for error in (OSError(24, "Too many open files"), OSError(99, "No address left"), ValueError("a bug")):
        assert program.classify(error).kind == "local"
    assert program.classify(OSError(1, "Operation not permitted")).kind == "unreachable"

    def full(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(program.Worker, "start", full)
    batch = program.Batch({"sample": "s", "requests": [REQUEST], "count": 5, "concurrency": 3}, lambda _: None)
    with pytest.raises(program.Malformed, match="cannot start 3 threads"):
        batch.start()


def test_a_slow_answer_does_not_stop_others(agent, serve):
    server = serve(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    said = agent.batch(f"http://{agent.address}:8080/delay/0.5", wait=0)
    assert agent.one(server.url)["status"] == 200
    assert httpx.get(f"http://{agent.host}:8080/x").status_code == 200
    assert agent.get(f"/batch/{said['id']}?wait=5")["done"]
