"""Servers on 127.0.0.1 that do to each connection what a test says, and the engine run against them."""

import socket

import pytest
from faulty_server import FaultyServer, read_head, started

from conformance.performance.histogram import Histogram
from conformance.performance.load.command import read_command
from conformance.performance.load.engine import Load

BOTH = pytest.mark.parametrize("rate", [None, 200.0], ids=["closed", "open"])
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Faulty(FaultyServer):
    """A faulty server that closes each connection when its handler is done; `url` is where it listens."""

    def __init__(self, handle):
        def then_close(sock):
            with sock:
                handle(sock)

        super().__init__(then_close)
        self.url = f"http://127.0.0.1:{self.port}/"


def servers():
    """Gives a function that starts a server with a handler; all of them end with the block."""
    return started(Faulty)


def answering(*pieces, once=False, then=lambda sock: None):
    """A handler that answers every request (or only one) with these bytes, each piece sent by itself."""

    def handle(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            read_head(sock)
            for piece in pieces:
                sock.sendall(piece)
            if once:
                break
        then(sock)
        sock.close()

    return handle


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def command(url, *, rate=None, **changes):
    """A short load: closed, or open at a rate."""
    target = {"url": url, **changes.pop("target", {})}
    shape = {"mode": "closed"}
    if rate is not None:
        shape = {"mode": "open", "schedule": {"rate": rate, **changes.pop("schedule", {})}}
    return {"target": target, **shape, "connections": 2, "duration": 0.3, "timeout": 0.3, **changes}


def run(url, **changes):
    """The result of a short load, checked for what always holds."""
    result = Load(read_command(command(url, **changes))).run()
    assert result["sent"] == result["completed"] + sum(result["errors"].values()), result
    assert result["scheduled"] == result["sent"] + result["unsent"], result
    rows = result["timeline"]["rows"]
    assert sum(row[0] for row in rows) == result["completed"]
    assert sum(row[1] for row in rows) == sum(result["errors"].values())
    for name in ("service", "response"):
        assert Histogram.from_json(result[name]).count == result["completed"]
    assert Histogram.from_json(result["lag"]).count == (0 if "rate" not in changes else result["sent"])
    return result


def milliseconds(result, name, share):
    return Histogram.from_json(result[name]).percentile(share) / 1e6
