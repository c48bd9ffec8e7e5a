"""HTTP/2 with prior knowledge: the echo ports, the batch client, and both with peers that misbehave."""

import ast
import contextlib
import socket
import struct
import threading
import time
from pathlib import Path

import httpx
import pytest
from agent_process import AgentProcess
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded
from h2.settings import SettingCodes

from conformance.agents import AgentError
from conformance.traffic import Answer, Batch, Request
from conformance.workloads import agent_h2

PREFACE = agent_h2.PREFACE
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def frame(kind, stream, payload=b"", flags=0):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def goaway(last, code):
    return frame(7, 0, struct.pack(">II", last, code))


@pytest.fixture
def http2():
    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        yield client


def received(agent, sample):
    return agent.get(f"/received?sample={sample}")


def test_the_part_in_the_zip_parses_on_old_pythons():
    ast.parse(Path(agent_h2.__file__).read_text(), feature_version=(3, 9))


# --- server ---


def test_the_answer_says_who_it_is_and_what_it_received(agent, http2):
    answer = http2.post(
        f"http://{agent.host}:8081/a/b?c=d", headers={"X-Test": "yes", "X-Sample": "h2-said"}, content=b"12345"
    )
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    said = answer.json()
    assert {"pod": "agent-2", "namespace": "demo", "service_account": "tester", "port": 8081}.items() <= said.items()
    assert (said["method"], said["path"], said["version"], said["body_bytes"]) == ("POST", "/a/b?c=d", "2", 5)
    assert ["x-test", "yes"] in said["headers"]
    assert answer.headers["x-agent"].startswith('{"pod":"agent-2"')
    (kind,) = received(agent, "h2-said")["requests"]
    assert (kind["protocol"], kind["version"], kind["host"]) == ("http", "2", f"{agent.host}:8081")
    assert (kind["method"], kind["path"], kind["count"]) == ("POST", "/a/b", 1)


@pytest.mark.parametrize(
    ("method", "path", "status", "size"),
    [
        ("GET", "/status/503", 503, None),
        ("GET", "/status/204", 204, 0),
        ("HEAD", "/bytes/1000", 200, 0),
        ("GET", "/bytes/1000", 200, 1000),
        ("GET", "/bytes/3000000", 200, 3_000_000),
        ("GET", "/status/99", 200, None),
    ],
)
def test_the_path_chooses_the_answer(agent, http2, method, path, status, size):
    answer = http2.request(method, f"http://{agent.host}:8080{path}")
    assert answer.status_code == status
    assert size is None or len(answer.content) == size
    assert "agent-2" in answer.headers["x-agent"]


def test_a_large_body_is_counted(agent, http2):
    answer = http2.post(f"http://{agent.host}:8080/", content=b"x" * 1_000_000)
    assert answer.json()["body_bytes"] == 1_000_000


def test_requests_of_one_connection_do_not_wait_for_each_other(agent, http2):
    url = f"http://{agent.host}:8080"
    begin = time.monotonic()
    http2.get(url)  # one connection, which all others use
    threads = [threading.Thread(target=http2.get, args=(f"{url}/delay/0.4",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert 0.4 <= time.monotonic() - begin < 1.6


def test_a_goodbye_does_not_lose_the_answers_that_are_under_way(agent):
    h2 = H2Connection(H2Configuration(client_side=True))
    h2.initiate_connection()
    headers = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/delay/0.1")]
    h2.send_headers(1, headers, end_stream=True)
    with agent.connect() as sock:
        sock.sendall(h2.data_to_send() + goaway(0, 0))
        ended = False
        while not ended and (data := sock.recv(65536)):
            ended = any(isinstance(event, StreamEnded) for event in h2.receive_data(data))
        assert ended


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(PREFACE + b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 2000, id="HTTP/1.1 after the preface"),
        pytest.param(PREFACE[:-8] + b"XX\r\n\r\n" + SETTINGS, id="half a preface"),
        pytest.param(PREFACE + frame(0, 1, b"data"), id="no settings first"),
        pytest.param(PREFACE + SETTINGS + frame(1, 1, b"\xff" * 50, 5), id="headers that do not decode"),
        pytest.param(PREFACE + SETTINGS + b"\xff\xff\xff" + frame(0, 1)[3:], id="a frame of 16 MiB"),
        pytest.param(PREFACE + SETTINGS + frame(8, 0, b"\0\0\0\0"), id="a window update of 0"),
    ],
)
def test_what_is_not_http2_ends_the_connection_and_nothing_else(agent, http2, sent):
    with agent.connect() as sock:
        sock.sendall(sent)
        sock.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass
    assert http2.get(f"http://{agent.host}:8080/").status_code == 200
    assert httpx.get(f"http://{agent.host}:8080/").json()["version"] == "1.1"


def test_http2_begins_with_the_connection_or_not_at_all(agent):
    with agent.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + PREFACE + SETTINGS)
        answer = b""
        while more := sock.recv(65536):
            answer += more
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 400" in answer


def test_the_control_port_speaks_http_1_only(agent, http2):
    with pytest.raises(httpx.HTTPError):
        http2.get(f"http://{agent.host}:19000/healthz")
    assert agent.get("/healthz") == {"ok": True}


# --- client ---


@pytest.mark.parametrize("connections", ["new", "keep"])
@pytest.mark.parametrize("scheme", ["h2c", "http"])
def test_both_sides_of_a_sample(agent, connections, scheme):
    name = f"h2-{connections}-{scheme}"
    client = agent.client()
    requests = (
        Request(f"{scheme}://{agent.address}:8080/a", headers=(("X-One", "1"), ("Host", "echo")), protocol="h2c"),
        Request(f"{scheme}://{agent.address}:8081/b", method="POST", body="ü" * 100_000, protocol="h2c"),
    )
    sample = client.run(Batch(name, requests, count=10, concurrency=2, connections=connections))
    assert sample.counts_by("port") == {8080: 5, 8081: 5}
    assert sample.outcomes[0] == Answer(200, "agent-2", "demo", "tester", 8080)
    seen = client.received(name)
    assert (seen.total, {kind.version for kind in seen.requests}) == (10, {"2"})
    got = next(kind for kind in seen.first if kind.path == "/a")
    assert got.host == "echo"
    assert {("x-one", "1"), ("x-sample", name)} <= set(got.headers)
    posted = next(kind for kind in seen.first if kind.path == "/b")
    assert dict(posted.headers)["content-length"] == "200000"
    shown = next(exchange for exchange in sample.exchanges if exchange.url.endswith("/a"))
    assert shown.request.startswith("GET /a HTTP/2\r\n")
    assert shown.response.startswith("HTTP/2 200\r\nx-agent: ")


@pytest.mark.parametrize(
    ("path", "status"), [("/status/503", 503), ("/status/204", 204), ("/bytes/2000000", 200), ("/delay/0.1", 200)]
)
def test_answers(agent, path, status):
    answer = agent.one(f"h2c://{agent.address}:8080{path}")
    assert (answer["status"], answer["pod"]) == (status, "agent-2")


def test_a_head_request(agent):
    assert agent.one({"url": f"h2c://{agent.address}:8080/bytes/50", "method": "HEAD"})["status"] == 200


def test_connections_are_new_or_kept(agent, serve):
    for connections, expected in (("new", 20), ("keep", 1)):
        server = serve(speaking())
        url = server.url.replace("http", "h2c", 1)
        result = agent.batch(url, count=20, concurrency=1, connections=connections)
        assert [answer["status"] for answer in result["answers"]] == [200], connections
        assert server.accepted == expected


def speaking(*, before=b"", after=b"", settings=None, answer=True, status="200", windows=True):
    """A handler that speaks HTTP/2: bytes before its settings, then to each request an answer and bytes after it."""

    def handle(sock):
        h2 = H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
        h2.initiate_connection()
        if settings:
            h2.update_settings(settings)
        sock.sendall(before + h2.data_to_send())
        while data := sock.recv(65536):
            for event in h2.receive_data(data):
                if windows and getattr(event, "flow_controlled_length", 0):
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                ready = RequestReceived if answer == "early" else StreamEnded
                if isinstance(event, ready) and answer:
                    h2.send_headers(event.stream_id, [(":status", status), ("x-agent", '{"pod":"x"}')])
                    h2.send_data(event.stream_id, b"hello", end_stream=True)
                    sock.sendall(h2.data_to_send() + after)
                elif isinstance(event, StreamEnded):
                    sock.sendall(after)
            sock.sendall(h2.data_to_send())

    return handle


def answering(data, *, end=True):
    """A handler that waits for a request, sends fixed bytes and then closes, or waits."""

    def handle(sock):
        sock.recv(65536)
        sock.sendall(data)
        if end:
            sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    return handle


@pytest.mark.parametrize(
    ("handle", "kind", "detail"),
    [
        pytest.param(lambda sock: sock.close(), "closed|reset", "", id="closes at once"),
        pytest.param(answering(b""), "closed", "", id="reads and closes"),
        pytest.param(answering(SETTINGS), "closed", "", id="settings and closes"),
        pytest.param(answering(SETTINGS, end=False), "timeout", "", id="says nothing"),
        pytest.param(answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), "garbage|closed", "",
                     id="HTTP/1.1"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n" * 1000), "garbage", "not HTTP/2", id="another protocol"),
        pytest.param(answering(SETTINGS + frame(1, 1, b"\xff" * 9, 5)), "garbage", "not HTTP/2", id="bad headers"),
        pytest.param(answering(SETTINGS + goaway(0, 11), end=False), "closed", "ENHANCE_YOUR_CALM", id="goodbye"),
        pytest.param(answering(SETTINGS + goaway(0, 0), end=False), "closed", "NO_ERROR", id="kind goodbye"),
        pytest.param(answering(SETTINGS + frame(3, 1, b"\0\0\0\7"), end=False), "reset", "REFUSED_STREAM",
                     id="stream refused"),
        pytest.param(answering(SETTINGS + frame(3, 1, b"\0\0\1\0"), end=False), "reset", "error code 256",
                     id="unknown reason"),
        pytest.param(speaking(status="abc"), "garbage", "status", id="status is no number"),
    ],
)
def test_failure(agent, serve, handle, kind, detail):
    outcome = agent.one(serve(handle).url.replace("http", "h2c", 1), timeout=0.7)
    assert outcome.get("failure") in kind.split("|"), outcome
    assert detail in outcome["detail"]


def test_a_goodbye_that_lets_the_answer_through(agent, serve):
    server = serve(speaking(before=SETTINGS + goaway(0x7FFFFFFF, 0)))
    result = agent.batch(server.url.replace("http", "h2c", 1), count=3, concurrency=1, connections="keep")
    assert [answer["status"] for answer in result["answers"]] == [200]
    assert server.accepted == 3, "a connection that was said goodbye to is not used again"


def test_a_kept_connection_that_the_server_ends_is_not_used_again(agent, serve):
    server = serve(speaking(after=goaway(1, 0)))
    result = agent.batch(server.url.replace("http", "h2c", 1), count=3, concurrency=1, connections="keep")
    assert [answer["status"] for answer in result["answers"]] == [200]
    assert server.accepted == 3


def test_an_answer_before_the_request_was_sent_whole(agent, serve):
    server = serve(speaking(answer="early", windows=False))
    request = {"url": server.url.replace("http", "h2c", 1), "method": "POST", "body": "x" * 200_000}
    result = agent.batch(request, count=2, concurrency=1, connections="keep")
    assert [answer["status"] for answer in result["answers"]] == [200]
    assert server.accepted == 2


def test_a_server_that_takes_little_at_a_time(agent, serve):
    server = serve(speaking(settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000}))
    request = {"url": server.url.replace("http", "h2c", 1), "method": "POST", "body": "x" * 20_000}
    assert agent.one(request)["status"] == 200


@pytest.mark.parametrize("name", ["Connection", "transfer-encoding", ":path", ""])
def test_headers_that_http2_has_not_are_refused(agent, name):
    request = {"url": f"h2c://{agent.address}:8080/", "headers": [[name, "x"]]}
    answer = agent.ask("POST", "/batch", {"sample": "a", "requests": [request]})
    assert answer.status_code == 400
    assert "HTTP/2 requests have no header" in answer.json()["error"]


def test_the_url_and_the_protocol_agree(agent):
    for url, protocol in (("h2c", "http"), ("tcp", "h2c"), ("http", "tcp")):
        request = {"url": f"{url}://{agent.address}:8080/", "protocol": protocol}
        answer = agent.ask("POST", "/batch", {"sample": "a", "requests": [request]})
        assert answer.status_code == 400, (url, protocol)
        assert f"is not of protocol {protocol}" in answer.json()["error"]


# --- without the library ---


@pytest.mark.parametrize("libraries", [{}, {"h2.zip": b"not a zip"}], ids=["missing", "damaged"])
def test_without_its_library_all_but_http2_works(network, tmp_path, libraries, http2):
    with AgentProcess(tmp_path, network, 4, libraries) as agent:
        batch = Batch("no-library", (Request(f"h2c://{agent.address}:8080/", protocol="h2c"),), count=1)
        with pytest.raises(AgentError, match=r"no HTTP/2 here: need h2\.zip beside agent\.py"):
            agent.client().run(batch)
        with pytest.raises(httpx.HTTPError):
            http2.get(f"http://{agent.host}:8080/")
        assert agent.one(f"http://{agent.address}:8080/")["status"] == 200
