"""What the load engine says of servers that misbehave in every way that a mesh can."""

import itertools
import socket
import time

import pytest
from faulty_server import read_head, reset
from load_servers import BOTH, CHUNKED, INTERIM, OK, answering, free_port, run, servers


@pytest.fixture
def serve():
    with servers() as start:
        yield start


def wait_for_end(sock):
    sock.recv(1)


def only(result, kind):
    """All requests failed in this way."""
    assert result["completed"] == 0, result
    assert set(result["errors"]) == {kind}, result["errors"]
    assert result["errors"][kind] > 0


@pytest.mark.parametrize(
    ("handle", "kinds"),
    [
        pytest.param(lambda sock: sock.close(), "closed|reset", id="closes at once"),
        pytest.param(answering(b"", once=True), "closed", id="reads and closes"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-le", once=True), "closed", id="half a head"),
        pytest.param(answering(OK[:-1], once=True), "closed", id="half a body"),
        pytest.param(answering(CHUNKED, b"5\r\nab", once=True), "closed", id="half a chunk"),
        pytest.param(answering(b"", once=True, then=reset), "reset", id="resets"),
        pytest.param(wait_for_end, "reset", id="reads a byte and leaves"),
        pytest.param(answering(b"HTTP/1.1 200", then=wait_for_end, once=True), "timeout", id="stops in the head"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "garbage", id="another protocol"),
        pytest.param(answering(b"HTTP/1.1 abc OK\r\n\r\n"), "garbage", id="status is no number"),
        pytest.param(answering(b"HTTP/1.1 101 Switch\r\n\r\n"), "garbage", id="switches protocols"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "garbage", id="header without colon"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), "garbage", id="length is no number"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"), "garbage",
                     id="two lengths"),
        pytest.param(answering(CHUNKED + b"zz\r\n"), "garbage", id="chunk size"),
        pytest.param(answering(CHUNKED + b"1\r\nabc\r\n"), "garbage", id="chunk too long"),
        pytest.param(answering(CHUNKED.replace(b"chunked", b"gzip")), "garbage", id="another encoding"),
        pytest.param(answering(OK + b"more"), "garbage", id="too long"),
        pytest.param(answering(OK + OK), "garbage", id="two answers"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000), "garbage", id="huge head"),
        pytest.param(answering(INTERIM * 40), "garbage", id="nothing but interim"),
    ],
)
@BOTH
def test_failure(serve, rate, handle, kinds):
    # Where the server does answer, a busy machine must not make it a timeout.
    timeout = 0.1 if kinds == "timeout" else 5.0
    result = run(serve(handle).url, duration=0.1, timeout=timeout, **({"rate": rate} if rate else {}))
    assert result["completed"] == 0
    assert result["errors"]
    assert set(result["errors"]) <= set(kinds.split("|")), result["errors"]


@BOTH
def test_a_server_that_never_answers_cannot_hang_it(serve, rate):
    begin = time.monotonic()
    result = run(serve(lambda _: time.sleep(3)).url, timeout=0.2, **({"rate": rate} if rate else {}))
    assert time.monotonic() - begin < 1.5
    assert set(result["errors"]) <= {"timeout", "unfinished"}
    assert result["unsent"] > 0 if rate else result["errors"]["timeout"] >= 2


@BOTH
def test_a_port_that_nobody_listens_on(rate):
    result = run(f"http://127.0.0.1:{free_port()}/", **({"rate": rate} if rate else {}))
    only(result, "refused")
    assert result["sent"] == 60 if rate else 20 < result["sent"] < 80  # with a rest between the attempts


@BOTH
def test_a_name_that_nobody_has(monkeypatch, rate):
    def unknown(*_):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    only(run("http://nobody.invalid/", **({"rate": rate} if rate else {})), "name-not-found")


@pytest.mark.parametrize(
    ("expect", "kind"),
    [({"status": [204]}, "status"), ({"body_bytes": 3}, "body"), ({"agents": ["pod-b"]}, "agent"), ({}, None)],
)
@BOTH
def test_answers_that_are_not_as_expected(serve, rate, expect, kind):
    answer = OK.replace(b"\r\n\r\n", b'\r\nX-Agent: {"pod": "pod-a"}\r\n\r\n')
    result = run(serve(answering(answer)).url, expect=expect, **({"rate": rate} if rate else {}))
    assert result["agents"] == {"pod-a": result["sent"]}
    assert result["statuses"] == {"200": result["sent"]}
    assert result["errors"] == ({kind: result["sent"]} if kind else {})


@BOTH
def test_who_answered_is_counted_within_bounds(serve, rate):
    numbers = itertools.count()

    def handle(sock):
        while read_head(sock):
            name = next(numbers)
            sock.sendall(OK.replace(b"\r\n\r\n", b'\r\nx-agent: {"pod":"pod-%d"}\r\n\r\n' % name))

    agents = run(serve(handle).url, connections=1, duration=0.6, **({"rate": 800.0} if rate else {}))["agents"]
    assert len(agents) <= 200
    assert agents["pod-7"] == 1
    assert agents["other"] > 1


@BOTH
def test_the_server_dies_in_the_middle(serve, rate):
    answered = itertools.count(1)

    def handle(sock):
        while read_head(sock):
            if next(answered) == 30:
                server.__exit__()
            sock.sendall(OK)

    server = serve(handle)
    result = run(server.url, duration=0.6, **({"rate": rate} if rate else {}))
    assert 25 <= result["completed"] <= 31  # on the other connection one may be under way
    assert set(result["errors"]) <= {"refused", "reset", "closed"}
    assert result["errors"]["refused"] > 5


def test_a_broken_connection_is_opened_anew(serve):
    requests = itertools.count(1)

    def handle(sock):
        while True:
            read_head(sock)
            if next(requests) % 10 == 0:
                reset(sock)
                return
            sock.sendall(OK)

    result = run(serve(handle).url, rate=200.0, connections=1)
    assert result["errors"] == {"reset": 6}
    assert result["completed"] == 54


def test_an_idle_connection_that_the_server_closed_costs_no_request(serve):
    def handle(sock):
        read_head(sock)
        sock.sendall(OK)  # says nothing of closing
        sock.close()

    result = run(serve(handle).url, rate=10.0, connections=1, duration=0.5, timeout=2)
    assert result["errors"] == {}
    assert result["completed"] == 5
