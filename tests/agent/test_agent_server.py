"""What the agent answers and records, also to those who do not keep to HTTP."""

import contextlib
import json
import socket
import time
import tracemalloc

import httpx
import pytest

from conformance.workloads import agent as program


def exchange(sock, data):
    """Send data and read to the end of the connection."""
    if data:
        sock.sendall(data)
    answer = b""
    while more := sock.recv(65536):
        answer += more
    return answer


def responses(data):
    """Split whole responses with Content-Length into (head, body)."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(lines.get(b"content-length", 0))
        found.append((head, rest[:length]))
        data = rest[length:]
    return found


def received(agent, sample):
    return agent.get(f"/received?sample={sample}")


def test_answers_with_who_it_is_and_what_it_received(agent):
    answer = httpx.post(f"http://{agent.host}:8081/a/b?c=d", headers={"X-Test": "yes"}, content=b"12345")
    said = answer.json()
    who = {"pod": "agent-2", "namespace": "demo", "service_account": "tester", "port": 8081}
    assert who.items() <= said.items()
    assert json.loads(answer.headers["x-agent"]) == who
    assert (said["method"], said["path"], said["version"], said["body_bytes"]) == ("POST", "/a/b?c=d", "1.1", 5)
    assert ["X-Test", "yes"] in said["headers"]


def test_an_answer_is_one_segment(agent):
    with agent.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head


@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_pipelined_requests_are_answered_in_order(agent, pieces):
    data = (
        b"GET /delay/0.05 HTTP/1.1\r\n\r\n"
        b"POST /chunks HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3;note\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n"
        b"\r\nPOST /length HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"
        b"HEAD /head HTTP/1.1\r\n\r\n"
        b"GET /status/204 HTTP/1.1\r\n\r\n"
        b"GET /last HTTP/1.1\r\nconnection: close\r\n\r\n"
    )
    with agent.connect() as sock:
        for start in range(0, len(data), pieces):
            sock.sendall(data[start : start + pieces])
        answer = exchange(sock, b"")
    position = answer.index(b"HTTP/1.1 204")
    before, after = answer[:position], answer[position:]
    head = before.rindex(b"HTTP/1.1 200")
    assert before[head:].endswith(b"\r\n\r\n"), "an answer to HEAD has no body"
    assert after.startswith(b"HTTP/1.1 204 No Content\r\n")
    bodies = [json.loads(body) for _, body in responses(before[:head])]
    answered = [(body["path"], body["body_bytes"]) for body in bodies]
    assert answered == [("/delay/0.05", 0), ("/chunks", 13), ("/length", 4)]
    last = responses(after.partition(b"\r\n\r\n")[2])
    assert json.loads(last[0][1])["path"] == "/last"


def test_many_pipelined_requests_to_a_client_that_reads_late(agent):
    count = 3000
    with agent.connect() as sock:
        sock.settimeout(0.2)
        data = b"GET /bytes/2000 HTTP/1.1\r\n\r\n" * count
        sent = 0
        while sent < len(data):
            try:
                sent += sock.send(data[sent:])
            except TimeoutError:
                break  # the agent has stopped reading, as it must: nobody takes its answers
        sock.settimeout(5)
        answered = 0
        while sent < len(data) or answered < count:
            if sent < len(data):
                sock.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    sent += sock.send(data[sent : sent + 65536])
                sock.settimeout(5)
            answered += sock.recv(1 << 20).count(b"HTTP/1.1 200")
            if answered >= count - 5 and sent == len(data):
                break  # a status line may be cut between two reads
    assert answered >= count - 5


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [("/status/503", 503, None), ("/bytes/1000", 200, 1000), ("/status/99", 200, None), ("/bytes/x", 200, None)],
)
def test_the_path_chooses_the_answer(agent, path, status, size):
    answer = httpx.get(f"http://{agent.host}:8080{path}")
    assert answer.status_code == status
    assert size is None or len(answer.content) == size
    assert json.loads(answer.headers["x-agent"])["pod"] == "agent-2"


def test_delay(agent):
    begin = time.monotonic()
    httpx.get(f"http://{agent.host}:8080/delay/0.1")
    assert time.monotonic() - begin >= 0.1


def test_expect_100_continue(agent):
    with agent.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\ncontent-length: 3\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert b'"body_bytes":3' in exchange(sock, b"abc")


def test_http_1_0(agent):
    with agent.connect() as sock:
        assert b"connection: close\r\n" in exchange(sock, b"GET / HTTP/1.0\r\n\r\n")
    with agent.connect() as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert b"connection: keep-alive\r\n" in sock.recv(65536)
        assert b"HTTP/1.1 200" in exchange(sock, b"GET / HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\n smuggled: c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n+5\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413),
        (b"GET / HTTP/1.1\r\na: " + b"x" * 40_000, 431),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_ended(agent, data, status):
    with agent.connect() as sock:
        if data.endswith(b"1\r\nab"):
            data += b"cd\r\n"
        answer = exchange(sock, data)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"connection: close" in answer
    assert agent.get("/healthz") == {"ok": True}


def test_record_of_http(agent):
    for path in ("/x?q=1", "/x?q=2", "/y"):
        httpx.get(f"http://{agent.host}:8080{path}", headers={"x-sample": "record", "host": "svc.demo"})
    httpx.get(f"http://{agent.host}:8080/other", headers={"x-sample": "another"})
    httpx.get(f"http://{agent.host}:8080/none")
    said = received(agent, "record")
    assert (said["pod"], said["total"], said["other"]) == ("agent-2", 3, 0)
    kinds = {(kind["path"], kind["host"], kind["method"], kind["port"], kind["count"]) for kind in said["requests"]}
    assert kinds == {("/x", "svc.demo", "GET", 8080, 2), ("/y", "svc.demo", "GET", 8080, 1)}
    assert ["x-sample", "record"] in said["first"][0]["headers"]
    both = agent.get("/received?samples=record,another,unknown")["samples"]
    assert [entry["total"] for entry in both] == [3, 1, 0]


def test_tcp_says_who_it_is_then_echoes_and_records(agent):
    with agent.connect(7070) as sock:
        line = sock.makefile("rb").readline()
        assert json.loads(line) == {"pod": "agent-2", "namespace": "demo", "service_account": "tester", "port": 7070}
        for piece in (b"x-sam", b"ple: tcp-1\nhello", b" there"):
            sock.sendall(piece)
            time.sleep(0.01)
        sock.shutdown(socket.SHUT_WR)
        assert exchange(sock, b"") == b"x-sample: tcp-1\nhello there"
    kinds = received(agent, "tcp-1")["requests"]
    assert [(kind["protocol"], kind["port"], kind["count"]) for kind in kinds] == [("tcp", 7070, 1)]


def test_udp_answers_each_datagram(agent):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"x-sample: udp-1\npayload", (agent.host, 7071))
        who, _, echo = sock.recv(65536).partition(b"\n")
    assert json.loads(who)["port"] == 7071
    assert echo == b"x-sample: udp-1\npayload"
    assert received(agent, "udp-1")["total"] == 1


def test_the_record_stays_within_its_bounds_whatever_is_sent():
    record = program.Record()
    big = [("h" * 50, "v" * 3000)] * 9
    tracemalloc.start()
    try:
        for number in range(4000):
            kind = program.Kind("http", 8080, "M" * 500, "/" * 5000 + str(number), "h" * 5000, "10.0.0.1", "1.1")
            record.add(f"sample-{number}", kind, [(name + str(number), value + str(number)) for name, value in big])
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert record.size <= record.BYTES
    assert used < 1.2 * record.BYTES
    assert record.of("sample-3999")["total"] == 1
    assert record.of("sample-0")["total"] == 0, "the oldest are forgotten first"


def test_the_record_of_one_sample_is_bounded():
    record = program.Record()
    for number in range(5000):
        record.add("one", program.Kind("http", 8080, "GET", f"/{number}", "h", "10.0.0.1", "1.1"), [("a", "b")])
    said = record.of("one")
    assert said["total"] == 5000
    assert len(said["requests"]) == record.KINDS
    assert said["other"] == 5000 - record.KINDS
    assert len(said["first"]) == record.FULL
    record.clear()
    assert record.of("one")["total"] == 0
