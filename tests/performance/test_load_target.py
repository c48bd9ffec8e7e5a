"""The fast server: that it answers, and that what it is told to do wrong it does exactly."""

import contextlib
import json
import os
import socket
import threading
import time

import httpx
import pytest

from conformance.performance.load.serving import Answers, Malformed, Requests
from conformance.performance.load.target import Server, read_target


@pytest.fixture
def serve():
    ends = []

    def start(**options):
        server = Server(read_target({"port": 0, **options}), {"pod": "me"}, "127.0.0.1")
        commands, ours = os.pipe()
        theirs, answers = os.pipe()
        thread = threading.Thread(target=server.run, args=(commands, answers))
        thread.start()
        ends.append((thread, ours, [commands, answers, theirs]))
        server.ask = lambda: (os.write(ours, b"\n"), json.loads(os.read(theirs, 1000)))[1]
        return server

    yield start
    for thread, ours, files in ends:
        os.close(ours)
        thread.join(10)
        assert not thread.is_alive()
        for file in files:
            os.close(file)


@pytest.fixture
def ask(serve):
    with httpx.Client(trust_env=False) as client:
        yield lambda server, path="/", method="GET", **more: client.request(
            method, f"http://127.0.0.1:{server.port}{path}", **more)


def connect(server):
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock, size):
    data = b""
    while len(data) < size and (more := sock.recv(1 << 20)):
        data += more
    return data


def test_what_it_answers(serve, ask):
    server = serve()
    assert ask(server).content == b"x" * 16
    assert json.loads(ask(server, "/any/path").headers["x-agent"]) == {"pod": "me", "port": server.port}
    assert ask(server, "/bytes/0").content == b""
    assert len(ask(server, "/bytes/1000000?x").content) == 1_000_000
    assert ask(server, "/bytes/99999999").status_code == 400
    assert ask(server, "/bytes/x").status_code == 400
    assert ask(server, method="POST", content=b"a" * 3_000_000).content == b"x" * 16
    assert ask(server, method="POST", content=iter([b"a" * 100_000, b"\r\n0\r\n\r\n", b"c"])).content == b"x" * 16
    head = ask(server, "/bytes/500", method="HEAD")
    assert (head.headers["content-length"], head.content) == ("500", b"")
    assert server.ask() == {"served": 9, "connections": 1}


def test_requests_in_one_piece_and_in_single_bytes(serve):
    server = serve()
    request = b"GET /bytes/3 HTTP/1.1\r\nhost: a\r\n\r\n"
    with connect(server) as sock:
        sock.sendall(request)
        size = len(sock.recv(4096))
        sock.sendall(request * 5)
        assert len(receive(sock, 5 * size)) == 5 * size
        for byte in request * 2:
            sock.sendall(bytes([byte]))
        assert len(receive(sock, 2 * size)) == 2 * size
        sock.sendall(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n" + request)
        assert receive(sock, 10_000).endswith(b"x" * 16)  # and then the end of the connection
    assert server.ask() == {"served": 9, "connections": 1}


def test_what_is_no_request_ends_the_connection(serve, ask):
    server = serve()
    for wrong in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"x" * 70_000,
                  b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"):
        with connect(server) as sock:
            sock.sendall(wrong)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(100) == b""
    assert ask(server).status_code == 200


def test_a_client_that_does_not_read_keeps_nobody_waiting(serve, ask):
    server = serve()
    with connect(server) as lazy:
        lazy.sendall(b"GET /bytes/16000000 HTTP/1.1\r\n\r\n" * 3)
        time.sleep(0.1)
        assert ask(server).status_code == 200
        assert len(receive(lazy, 48_000_000)) > 48_000_000 - 1


def test_an_echo(serve):
    with connect(serve(protocol="tcp")) as sock:
        data = os.urandom(100_000)
        threading.Thread(target=sock.sendall, args=(data,)).start()
        assert receive(sock, len(data)) == data


def test_a_delay(serve, ask):
    server = serve(delay=0.05)
    ask(server)
    for _ in range(3):
        begin = time.perf_counter()
        ask(server)
        assert 0.05 <= time.perf_counter() - begin < 0.2


def test_a_rate(serve, ask):
    server = serve(rate=50)
    begin = time.perf_counter()
    for _ in range(11):
        ask(server)
    assert 0.2 <= time.perf_counter() - begin < 0.6


def test_a_stall_comes_once_and_what_waits_is_answered_after_it(serve, ask):
    server = serve(stall={"after": 0.1, "for": 0.4})
    ask(server)
    begin = time.perf_counter()
    longest = 0.0
    while time.perf_counter() - begin < 0.9:
        before = time.perf_counter()
        ask(server)
        longest = max(longest, time.perf_counter() - before)
        time.sleep(0.01)
    assert 0.3 < longest < 0.6
    assert server.ask()["served"] > 10


def test_it_tells_its_counts_and_ends_while_it_stalls(serve, ask):
    server = serve(stall={"after": 0.0, "for": 60})
    ask(server)
    time.sleep(0.05)
    assert server.ask() == {"served": 1, "connections": 1}


def test_requests_split_at_any_byte():
    data = (b"POST /bytes/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc")
    for cut in range(1, len(data)):
        requests = Requests(Answers(b"{}"))
        found = requests.feed(data[:cut]) + requests.feed(data[cut:])
        assert [answer.rpartition(b"\r\n\r\n")[2] for answer in found] == [b"x", b"x" * 16]
        assert requests.whole


def test_a_head_without_end():
    requests = Requests(Answers(b"{}"))
    with pytest.raises(Malformed, match="too long"):
        requests.feed(b"GET / HTTP/1.1\r\na: " + b"x" * 40_000)
