"""Servers on 127.0.0.1 that do to each connection what a test says, and the engine run against them."""

import contextlib
import socket
import struct
import threading

import pytest

from conformance.performance.histogram import Histogram
from conformance.performance.load.command import read_command
from conformance.performance.load.engine import Load

BOTH = pytest.mark.parametrize("rate", [None, 200.0], ids=["closed", "open"])
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Faulty:
    """A TCP server whose connections are handled by a function; `url` is where it listens."""

    def __init__(self, handle):
        self.handle, self.accepted = handle, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.sockets = []
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(10)
        with sock, contextlib.suppress(OSError):
            self.handle(sock)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.close()


@contextlib.contextmanager
def servers():
    """Gives a function that starts a server with a handler; all of them end with the block."""
    started = []

    def start(handle):
        started.append(Faulty(handle).__enter__())
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.__exit__()


def read_head(sock):
    """What a client sent up to the end of a request without body; raises OSError at the end of the connection."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError
        data += more
    return data


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


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


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
