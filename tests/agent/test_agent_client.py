"""What the agent's client says of servers that misbehave in every way that a mesh can."""

import socket
import time

import pytest
from agent_process import answering, read_head
from faulty_server import reset

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def wait_for_end(sock):
    sock.recv(1)


def drip(sock):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(200):
        sock.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        pytest.param(lambda sock: sock.close(), "closed|reset", id="closes at once"),
        pytest.param(answering(b""), "closed", id="reads and closes"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-le"), "closed", id="half a head"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), "closed", id="half a body"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), "closed", id="half a chunk"
        ),
        pytest.param(answering(b"", then=reset), "reset", id="resets"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\n", then=reset), "reset", id="resets in the head"),
        pytest.param(wait_for_end, "timeout", id="says nothing"),
        pytest.param(answering(b"HTTP/1.1 200", then=wait_for_end), "timeout", id="stops in the head"),
        pytest.param(drip, "timeout", id="drips"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "garbage", id="another protocol"),
        pytest.param(answering(b"HTTP/1.1 abc OK\r\n\r\n"), "garbage", id="status is no number"),
        pytest.param(answering(b"HTTP/1.1 099 OK\r\n\r\n"), "garbage", id="status too small"),
        pytest.param(answering(b"HTTP/1.1 101 Switch\r\n\r\n"), "garbage", id="switches protocols"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "garbage", id="header without colon"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), "garbage", id="length is no number"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "garbage", id="bad chunk size"
        ),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n"), "garbage", id="bad chunk"
        ),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000), "garbage", id="huge head"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", then=wait_for_end),
            "garbage",
            id="huge body announced",
        ),
    ],
)
def test_failure(agent, serve, handle, kind):
    begin = time.monotonic()
    outcome = agent.one(serve(handle).url, timeout=0.5)
    assert outcome.get("failure") in kind.split("|"), outcome
    assert outcome["detail"]
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(OK, id="length"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", id="until close"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nt: r\r\n\r\n", id="chunked"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\n" + OK, id="interim responses"),
        pytest.param(b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", id="no reason phrase"),
    ],
)
@pytest.mark.parametrize("piecewise", [False, True])
def test_answers_of_others_than_agents(agent, serve, response, piecewise):
    def handle(sock):
        read_head(sock)
        for start in range(0, len(response), 1 if piecewise else 1000):
            sock.sendall(response[start : start + (1 if piecewise else 1000)])
            time.sleep(0.0005)
        sock.close()

    outcome = agent.one(serve(handle).url)
    assert outcome == {"status": 200, "pod": None, "namespace": None, "service_account": None, "port": None}


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
def test_answers_without_a_body_do_not_wait_for_one(agent, serve, status, method):
    response = f"HTTP/1.1 {status} X\r\ncontent-length: 500\r\n\r\n".encode()
    server = serve(answering(response, then=wait_for_end))
    assert agent.one({"url": server.url, "method": method})["status"] == status


def test_refused_unreachable_and_unknown(agent, network):
    assert agent.one(f"http://10.{network}.1.77:8080")["failure"] == "refused"
    assert agent.one("http://192.0.2.1:8080")["failure"] == "unreachable"
    assert agent.one("http://no-such-service:8080")["failure"] == "name-not-found"
    assert agent.one("http://bad..name:8080")["failure"] == "name-not-found"
    assert agent.one(f"udp://10.{network}.1.77:9")["failure"] == "refused"
    assert agent.one(f"tcp://10.{network}.1.77:9")["failure"] == "refused"


def test_an_answer_sent_before_the_request_is_read_counts(agent, serve):
    def early(sock):
        sock.recv(10)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    outcome = agent.one({"url": serve(early).url, "method": "POST", "body": "x" * 1_000_000})
    assert outcome["status"] == 413


@pytest.mark.parametrize(
    "who",
    [
        b"not json",
        b'{"pod": 5, "namespace": ["x"], "port": true}',
        b'{"port": 70000}',
        b"[" * 3000,
        b"null",
        b"\xff\xfe",
    ],
)
def test_a_hostile_identity_is_no_identity(agent, serve, who):
    outcome = agent.one(serve(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-agent: " + who + b"\r\n\r\n")).url)
    assert outcome == {"status": 200, "pod": None, "namespace": None, "service_account": None, "port": None}


def test_kept_and_new_connections(agent, serve):
    def handle(sock):
        while True:
            read_head(sock)
            sock.sendall(OK)

    server = serve(handle)
    agent.batch(server.url, count=20, connections="keep")
    assert server.accepted == 1
    result = agent.batch(server.url, count=20, connections="new")
    assert server.accepted == 21
    assert result["sequence"] == [0] * 20


def test_a_kept_connection_that_the_server_closed_is_replaced(agent, serve):
    def handle(sock):
        read_head(sock)
        sock.sendall(OK)
        sock.close()  # without having said so

    server = serve(handle)
    pause = {"url": f"http://{agent.address}:8080/delay/0.02"}  # time for the end to arrive
    result = agent.batch({"url": server.url}, pause, count=10, connections="keep")
    assert all("failure" not in answer for answer in result["answers"]), result["answers"]
    assert server.accepted == 5


def test_a_request_is_never_sent_twice(agent, serve):
    seen = []

    def handle(sock):
        seen.append(read_head(sock))
        sock.sendall(OK)
        seen.append(read_head(sock))
        sock.close()

    result = agent.batch(serve(handle).url, count=4, connections="keep")
    outcomes = [result["answers"][code].get("failure") for code in result["sequence"]]
    assert outcomes == [None, "closed", None, "closed"]
    assert len(seen) == 4


def test_more_after_the_body_ends_a_kept_connection(agent, serve):
    def handle(sock):
        read_head(sock)
        sock.sendall(OK + b"HTTP/1.1 500 Injected\r\ncontent-length: 0\r\n\r\n")
        wait_for_end(sock)

    server = serve(handle)
    result = agent.batch(server.url, count=3, connections="keep")
    assert [answer["status"] for answer in result["answers"]] == [200]
    assert server.accepted == 3


def test_tcp_and_udp(agent):
    for url, port in ((f"tcp://{agent.address}:7070", 7070), (f"udp://{agent.address}:7071", 7071)):
        outcome = agent.one({"url": url, "body": "payload"}, sample="plain")
        assert (outcome["status"], outcome["pod"], outcome["port"]) == (None, "agent-2", port)
    said = agent.get("/received?sample=plain")
    assert sorted(kind["protocol"] for kind in said["requests"]) == ["tcp", "udp"]


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        pytest.param(lambda sock: sock.close(), "closed|reset", id="closes"),
        pytest.param(lambda sock: (sock.sendall(b"{}\n"), sock.recv(1), sock.close()), "closed|reset", id="no echo"),
        pytest.param(lambda sock: (sock.sendall(b"{}\n" + b"x" * 500), sock.recv(9999)), "garbage", id="wrong echo"),
        pytest.param(lambda sock: (sock.sendall(b"x" * 70_000), sock.recv(9999)), "garbage", id="no line"),
        pytest.param(wait_for_end, "timeout", id="says nothing"),
    ],
)
def test_tcp_failures(agent, serve, handle, kind):
    outcome = agent.one(serve(handle).url.replace("http", "tcp"), timeout=0.4)
    assert outcome.get("failure") in kind.split("|"), outcome
