"""The load engine: what it sends, what it takes for an answer, and what it says of time."""

import base64
import itertools
import json
import socket
import time
from array import array
from types import SimpleNamespace

import pytest
from faulty_server import read_head
from load_servers import BOTH, CHUNKED, INTERIM, OK, answering, command, milliseconds, run, servers

from conformance.performance.histogram import Histogram
from conformance.performance.load import arrival, engine, machine
from conformance.performance.load.command import read_command
from conformance.performance.load.engine import Load
from conformance.performance.load.slots import KINDS, Slots


@pytest.fixture
def serve():
    with servers() as start:
        yield start


@BOTH
def test_every_request_is_answered(serve, rate):
    server = serve(answering(OK))
    result = run(server.url, rate=rate) if rate else run(server.url)
    assert result["errors"] == {}
    assert result["statuses"] == {"200": result["completed"]}
    assert result["connections_made"] == server.accepted == 2
    assert result["completed"] == 60 if rate else result["completed"] > 60
    assert result["elapsed"] == pytest.approx(0.3, abs=0.1)
    assert result["bytes"]["received"] >= result["completed"] * len(OK)
    assert Histogram.from_json(result["connect"]).count == 2


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        pytest.param([OK[i : i + 1] for i in range(len(OK))], 2, id="single bytes"),
        pytest.param([INTERIM + b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n", OK], 2, id="interim"),
        pytest.param([CHUNKED, b"3\r\nabc\r\n", b"a;x=y\r\n0123456789\r", b"\n0\r\nt: r\r\n\r\n"], 13, id="chunks"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000], 300_000, id="large"),
        pytest.param([b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n1"], 1, id="HTTP/1.0"),
    ],
)
@BOTH
def test_answers_of_every_form(serve, rate, pieces, body):
    server = serve(answering(*pieces))
    changes = {"rate": rate} if rate else {}
    result = run(server.url, expect={"body_bytes": body}, **changes)
    assert result["errors"] == {}
    assert result["completed"] > 5
    assert server.accepted == 2


@BOTH
def test_answers_that_end_with_the_connection(serve, rate):
    server = serve(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", once=True))
    result = run(server.url, expect={"body_bytes": 13}, **({"rate": rate} if rate else {}))
    assert result["errors"] == {}
    assert result["completed"] >= server.accepted - 2 > 10


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_connection_per_answer(serve, keep_alive):
    server = serve(answering(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), once=True))
    result = run(server.url, rate=200.0, keep_alive=keep_alive)
    assert result["errors"] == {}
    assert result["completed"] == 60
    assert server.accepted >= 60
    assert result["connections_made"] in (60, 61, 62)


def test_a_method_without_body_and_statuses_without_body(serve):
    head = serve(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"))
    assert run(head.url, target={"method": "HEAD"})["errors"] == {}
    none = serve(answering(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert run(none.url, expect={"status": [204]})["errors"] == {}


def test_what_is_sent_is_what_was_asked_for(serve):
    seen = []

    def handle(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := sock.recv(65536):
            seen.append(data)
            sock.sendall(OK)

    server = serve(handle)
    target = {"method": "POST", "headers": [["x-one", "1"], ["Host", "a.example"]], "body": "hällo"}
    run(server.url + "", target=target, rate=50.0, connections=1)
    assert set(seen) == {"POST / HTTP/1.1\r\nx-one: 1\r\nHost: a.example\r\ncontent-length: 6\r\n\r\nhällo".encode()}


@pytest.mark.parametrize("size", [1_000_000, 8_000_000])
def test_a_request_larger_than_the_buffers(serve, size):
    def handle(sock):
        while True:
            left = size - len(sock.recv(65536).partition(b"\r\n\r\n")[2])
            while left:
                left -= len(sock.recv(min(left, 65536)))
            sock.sendall(OK)

    result = run(serve(handle).url, target={"method": "POST", "body_bytes": size}, connections=1, timeout=3)
    assert result["errors"] == {}
    assert result["completed"] > 1
    assert result["bytes"]["sent"] >= result["completed"] * size


# --- TCP ---


def echo(sock, greeting=b""):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(greeting)
    while data := sock.recv(65536):
        sock.sendall(data)


@BOTH
@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_tcp(serve, rate, size):
    url = f"tcp://127.0.0.1:{serve(echo).port}"
    result = run(url, target={"body_bytes": size}, timeout=2, **({"rate": rate / 4} if rate else {}))
    assert result["errors"] == {}
    assert result["completed"] > 10
    assert result["statuses"] == result["agents"] == {}


@BOTH
@pytest.mark.parametrize("keep_alive", [True, False])
def test_tcp_after_a_greeting(serve, rate, keep_alive):
    line = b'{"pod":"pod-a","port":7070}\n'
    url = f"tcp://127.0.0.1:{serve(lambda sock: echo(sock, line)).port}"
    changes = {"rate": rate} if rate else {}
    result = run(url, target={"body": "["}, expect={"agents": ["pod-a"]}, keep_alive=keep_alive, **changes)
    assert result["errors"] == {}
    assert result["agents"] == {"pod-a": result["completed"]}
    assert result["completed"] > 10


def test_a_false_echo(serve):
    def handle(sock):
        while data := sock.recv(100):
            sock.sendall(data[:-1] + b"?")

    result = run(f"tcp://127.0.0.1:{serve(handle).port}")
    assert result["completed"] == 0
    assert set(result["errors"]) == {"garbage"}


# --- time ---


def slow(seconds):
    def handle(sock):
        while read_head(sock):
            time.sleep(seconds)
            sock.sendall(OK)

    return handle


def test_waiting_for_a_connection_counts_in_the_response_alone(serve):
    # One connection, 20 ms an answer, 100/s asked: half of the requests find no connection before the end, and those
    # that do wait longer and longer.
    result = run(serve(slow(0.02)).url, rate=100.0, connections=1, duration=0.5, timeout=2)
    assert result["unsent"] == pytest.approx(25, abs=8)
    assert milliseconds(result, "service", 0.5) == pytest.approx(21, abs=8)
    assert milliseconds(result, "response", 1.0) > 150
    assert milliseconds(result, "lag", 0.9) < 20  # the engine itself was not late


def test_a_rate_that_nobody_can_make_is_shown(serve):
    result = run(serve(answering(OK)).url, rate=2_000_000.0, duration=0.2)
    assert result["unsent"] > 200_000
    assert result["scheduled"] == 400_000
    assert milliseconds(result, "response", 0.9) > 10


@pytest.mark.parametrize("schedule", [{"shape": "poisson", "seed": 3}, {"shape": "burst", "burst": 7}])
def test_other_shapes(serve, schedule):
    result = run(serve(answering(OK)).url, rate=300.0, schedule=schedule, warmup=0.1)
    assert result["completed"] == pytest.approx(90, abs=40 if schedule["shape"] == "poisson" else 7)
    overloaded = run(serve(answering(OK)).url, rate=500_000.0, schedule=schedule, duration=0.1)
    assert overloaded["scheduled"] == pytest.approx(50_000, rel=0.03)


@BOTH
def test_the_warm_up_is_sent_and_not_counted(serve, rate):
    served = itertools.count()

    def handle(sock):
        while read_head(sock):
            next(served)
            sock.sendall(OK)

    result = run(serve(handle).url, warmup=0.3, **({"rate": rate} if rate else {}))
    assert next(served) > 1.4 * result["completed"]
    assert result["completed"] == 60 if rate else result["completed"] > 60
    assert result["elapsed"] == pytest.approx(0.3, abs=0.1)


@BOTH
def test_a_jump_of_the_wall_clock_moves_nothing(serve, rate, monkeypatch):
    jumps = itertools.chain([0], itertools.repeat(3600))
    true = time.time
    # Only as the engine sees it: others in this process ask for the time as well.
    monkeypatch.setattr(engine, "time", SimpleNamespace(time=lambda: true() - next(jumps)))
    result = run(serve(answering(OK)).url, **({"rate": rate} if rate else {}))
    assert result["elapsed"] == pytest.approx(0.3, abs=0.1)
    assert result["wall_elapsed"] == pytest.approx(-3600, abs=1)
    assert milliseconds(result, "response", 1.0) < 300


def test_a_wall_clock_that_jumps_while_answers_arrive_spoils_none(serve, monkeypatch):
    true = time.time_ns
    for jump in (-3600 * 10**9, 3600 * 10**9):
        monkeypatch.setattr(arrival.time, "time_ns", lambda jump=jump: true() + jump)
        result = run(serve(slow(0.01)).url, rate=20.0)
        assert result["engine"]["arrival"] == "process"
        assert result["errors"] == {}
        assert milliseconds(result, "service", 0.0) >= 10
        assert milliseconds(result, "service", 0.5) < 100


def test_an_answer_counts_from_its_arrival_not_from_when_it_is_looked_at(serve, monkeypatch):
    true = Slots.event

    def late(self, slot, mask):
        time.sleep(0.05)
        true(self, slot, mask)

    monkeypatch.setattr(Slots, "event", late)
    result = run(serve(answering(OK)).url, rate=10.0, timeout=2)
    assert result["engine"]["arrival"] == "kernel"
    assert milliseconds(result, "service", 0.0) < 45


def test_pacing_by_spinning_is_closer_to_the_schedule(serve):
    server = serve(answering(OK))
    spun = run(server.url, rate=100.0, pacing="spin", duration=0.5)
    assert spun["engine"]["pacing"] == "spin"
    assert spun["completed"] == 50
    assert milliseconds(spun, "lag", 0.2) < 0.1


@BOTH
def test_raw_samples(serve, rate):
    result = run(serve(answering(OK)).url, raw=True, expect={"body_bytes": 3}, **({"rate": rate} if rate else {}))
    raw = {name: array("q", base64.b64decode(text)) for name, text in result["raw"].items()}
    assert {len(values) for values in raw.values()} == {result["sent"]}
    assert set(raw["kind"]) == {1 + KINDS.index("body")}
    for intended, sent, ended in zip(raw["intended"], raw["sent"], raw["ended"], strict=True):
        assert 0 <= intended <= sent < ended < 10**9
    if rate:
        assert sorted(raw["intended"]) == [number * 5_000_000 for number in range(60)]


def test_raw_samples_are_bounded(serve, monkeypatch):
    monkeypatch.setattr("conformance.performance.load.recorder.RAW_LIMIT", 10)
    result = run(serve(answering(OK)).url, rate=200.0, raw=True)
    assert len(base64.b64decode(result["raw"]["kind"])) == 80
    assert result["completed"] == 60


@BOTH
def test_the_timeline(serve, rate):
    result = run(serve(answering(OK)).url, duration=0.5, interval=0.1, **({"rate": rate} if rate else {}))
    rows = result["timeline"]["rows"]
    assert result["timeline"]["interval"] == 0.1
    assert len(rows) == 5
    if rate:
        assert [row[0] for row in rows] == [20] * 5
    for completed, errors, p50, p99, longest in rows:
        assert completed > 0 == errors
        assert 0 < p50 <= p99 <= longest


@BOTH
def test_progress_and_an_early_end(serve, rate):
    said = []

    def report(progress):
        said.append(progress)
        if len(said) == 3:
            load.stop()

    server = serve(answering(OK))
    load = Load(read_command(command(server.url, duration=60, **({"rate": rate} if rate else {}))), "an-id", report)
    begin = time.monotonic()
    result = load.run()
    assert time.monotonic() - begin < 10
    assert 0.9 < result["elapsed"] < 8
    assert result["scheduled"] == result["sent"] + result["unsent"]
    assert result["scheduled"] < 2000 or not rate
    assert [progress["id"] for progress in said] == ["an-id"] * len(said)
    assert not said[2]["done"]
    assert said[2]["phase"] == "measuring"
    assert said[2]["completed"] > 20
    assert said[2]["left"] > 50


def test_what_the_process_and_the_node_used(serve, tmp_path, monkeypatch):
    result = run(serve(answering(OK)).url)
    assert result["cpu"]["user"] + result["cpu"]["system"] > 0.01
    assert 0 <= result["node"]["busy"] <= 1
    assert 0 <= result["node"]["steal"] <= 1
    monkeypatch.setattr(machine, "STAT", tmp_path / "none")
    assert run(serve(answering(OK)).url)["node"] is None


def test_the_result_is_json(serve):
    result = run(serve(answering(OK)).url, rate=100.0)
    assert json.loads(json.dumps(result)) == result


def test_more_connections_than_select_can_watch(serve):
    machine.allow_many_files()
    server = serve(answering(OK))
    result = run(server.url, rate=500.0, connections=1200, duration=0.5, timeout=3)
    assert result["errors"] == {}
    assert result["completed"] == 250
    assert result["connections_made"] == 1200
