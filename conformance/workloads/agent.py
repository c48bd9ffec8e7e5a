"""The program in every sample pod: an echo server that says who it is, and a client that sends a whole batch.

It uses the standard library only, so that any stock `python` image (3.9 or newer) can run it from a ConfigMap:

    python agent.py --control 19000 --http 8080,8081 --tcp 7070 --udp 7071

Echo ports answer and keep a bounded record of what they received per *sample* (the header `x-sample`; for TCP and
UDP the first line `x-sample: ID`). HTTP answers carry who answered in the header `x-agent`, so that answers to HEAD
and without a body can be told apart as well. `/status/503`, `/delay/0.2` (seconds) and `/bytes/1000` choose the answer.

HTTP/2 with prior knowledge (`h2c://`) is spoken on the same ports when h2.zip lies beside this file (Python 3.10 or
newer); see `libraries.py`. Without it a batch that wants HTTP/2 is refused, and all else goes on.

The control port speaks JSON:

    GET    /healthz, /whoami                     alive; identity, time, Python and protocol version
    POST   /batch                                start a batch (see `Batch`), answer when done or after `wait` seconds
    GET    /batch/ID?wait=20                     the result, or 202 {"done": false} after `wait` seconds
    DELETE /batch/ID                             end it now; what was not sent is reported as `unsent`
    GET    /received?sample=A (or samples=A,B)   what this pod received of a sample
    DELETE /received                             forget all records
    POST, GET, DELETE  /load, /target            load engine and fast server, when load.zip lies beside this file; see
                                                 conformance/performance/load/control.py

Identity comes from the environment: POD_NAME (else the host name), POD_NAMESPACE, SERVICE_ACCOUNT.
"""

# ruff: noqa: UP041 - in Python 3.9 socket.timeout is no TimeoutError

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import errno
import importlib
import itertools
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from array import array
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:  # the rest of the file must run on Python 3.9
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType

    from conformance.workloads import agent_h2

    Respond = Callable[["HttpServer", "Request"], bytes | None]  # None: the answer comes later
    Key = tuple[int | str | None, bytes | str | None]  # of an outcome: status and who, or failure and detail
    Answer = tuple[int | None, bytes | None, bytes]  # status, who answered, the first bytes of it

PROTOCOL = 1  # of the control port; raised when a change would break an older harness

HEAD_LIMIT = 32 * 1024  # bytes of a request or response head
BODY_LIMIT = 16 * 1024 * 1024  # bytes of a body; echoed bodies are counted, not kept
CONTROL_LIMIT = 4 * 1024 * 1024  # bytes of a command
CONNECTION_LIMIT = 8192  # open connections per port
BACKLOG = 1024  # connections that wait to be accepted
STALLED = 60.0  # seconds that a request may take to arrive
EXCERPT = 4096  # bytes kept of an exchange
PLAIN_LIMIT = 60_000  # bytes of a TCP or UDP payload: fits a datagram, and socket buffers however slow the echo

MAX_COUNT, MAX_CONCURRENCY, MAX_REQUESTS = 1_000_000, 256, 1000
MAX_SECONDS, MAX_WAIT = 3600.0, 60.0
MAX_RUNNING, MAX_REMEMBERED = 8, 32
MAX_OUTCOMES, MAX_EXCHANGES = 200, 12


# --- who answers -----------------------------------------------------------------------------------------------------


class Identity:
    """Who this agent is, rendered once per port because every answer repeats it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.pod = environment.get("POD_NAME") or socket.gethostname()
        self.namespace = environment.get("POD_NAMESPACE", "")
        self.service_account = environment.get("SERVICE_ACCOUNT", "")

    def fields(self, port: int) -> dict[str, Any]:
        return {
            "pod": self.pod,
            "namespace": self.namespace,
            "service_account": self.service_account,
            "port": port,
        }

    def line(self, port: int) -> bytes:
        return json.dumps(self.fields(port), separators=(",", ":")).encode()


def plain_host(address: Sequence[Any] | None) -> str:
    """The host of a peer, without the prefix that IPv4 has on a socket for both."""
    host = str(address[0]) if address else ""
    return host.removeprefix("::ffff:")


# --- what was received -----------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What a record tells apart."""

    protocol: str
    port: int
    method: str
    path: str
    host: str
    peer: str
    version: str

    def cut(self, limit: int) -> Kind:
        return self._replace(method=self.method[:limit], path=self.path[:limit], host=self.host[:limit])

    def size(self) -> int:
        return 300 + len(self.method) + len(self.path) + len(self.host)


class Entry:
    """What was received of one sample."""

    def __init__(self) -> None:
        self.total = self.other = 0
        self.size = 500  # about what it takes in memory
        self.counts: dict[Kind, int] = {}
        self.first: list[dict[str, Any]] = []

    def describe(self, sample: str) -> dict[str, Any]:
        requests = [{**kind._asdict(), "count": count} for kind, count in self.counts.items()]
        return {"sample": sample, "total": self.total, "other": self.other, "requests": requests, "first": self.first}


class Record:
    """What this pod received, per sample, within fixed memory whatever is sent to it.

    The samples touched least recently are forgotten first; a sample counts at most `KINDS` kinds of request (the rest
    is only counted) and keeps the first few in full.
    """

    KINDS, FULL, TEXT, BYTES = 100, 3, 256, 16 * 1024 * 1024

    def __init__(self) -> None:
        self.samples: collections.OrderedDict[str, Entry] = collections.OrderedDict()
        self.size = 0

    def add(self, sample: str, kind: Kind, headers: Iterable[tuple[str, str]] = ()) -> None:
        sample = sample[: self.TEXT]
        entry = self.samples.get(sample)
        if entry is None:
            entry = self.samples[sample] = Entry()
            self.size += entry.size
        self.samples.move_to_end(sample)
        entry.total += 1
        before = entry.size
        if len(entry.first) < self.FULL:
            full = kind.cut(EXCERPT)
            kept = [list(pair) for pair in headers]  # within the limit of a request's head
            entry.first.append({**full._asdict(), "headers": kept})
            entry.size += full.size() + sum(150 + len(name) + len(value) for name, value in kept)
        kind = kind.cut(self.TEXT)
        if kind in entry.counts:
            entry.counts[kind] += 1
        elif len(entry.counts) < self.KINDS:
            entry.counts[kind] = 1
            entry.size += kind.size()
        else:
            entry.other += 1
        self.size += entry.size - before
        while self.size > self.BYTES and len(self.samples) > 1:
            self.size -= self.samples.popitem(last=False)[1].size

    def of(self, sample: str) -> dict[str, Any]:
        return self.samples.get(sample[: self.TEXT], Entry()).describe(sample)

    def clear(self) -> None:
        self.samples.clear()
        self.size = 0


# --- what travels beside this file -----------------------------------------------------------------------------------


def beside(archive: str, module: str, otherwise: str) -> ModuleType:
    """A part of this program that travels in a ZIP of its own. Raises Malformed with `otherwise`."""
    if module not in sys.modules:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), archive)  # noqa: PTH100, PTH118, PTH120
        if path not in sys.path:
            sys.path.insert(0, path)
    try:
        return importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - an older Python fails in more ways than that of a missing file
        raise Malformed(501, f"{otherwise}: {type(error).__name__}: {error}") from None


def http2() -> ModuleType:
    """The part of this program that speaks HTTP/2. Raises Malformed."""
    return beside("h2.zip", "agent_h2", "no HTTP/2 here: need h2.zip beside agent.py and Python 3.10")


def load_control() -> ModuleType:
    """The part of this program that makes load. Raises Malformed."""
    return beside("load.zip", "conformance.performance.load.control", "no load here: need load.zip beside agent.py")


# --- HTTP/1.1 messages -----------------------------------------------------------------------------------------------


class Malformed(Exception):  # noqa: N818 - named for what was found
    """What was sent is not HTTP, or too large; carries the status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Body:
    """Takes a body from the front of a buffer as it arrives: of a known length, or chunked (length None)."""

    def __init__(self, length: int | None, limit: int = BODY_LIMIT, *, keep: bool = False) -> None:
        self.limit, self.keep = limit, keep
        self.size = 0
        self.kept = bytearray()
        self.left = 0
        self.state = "size"  # then data, end (of the chunk), and in the last place trailer
        if length is not None:
            self.state = "plain"
            self.grow(length)

    def grow(self, size: int) -> None:
        self.left = size
        self.size += size
        if self.size > self.limit:
            raise Malformed(413, "body too large")

    def take(self, buffer: bytearray) -> bool:
        """Take what there is; true when the body is complete, and what is left belongs to the next message."""
        while True:
            if self.state in ("plain", "data"):
                taken = min(self.left, len(buffer))
                if self.keep:
                    self.kept += buffer[:taken]
                del buffer[:taken]
                self.left -= taken
                if self.left or self.state == "plain":
                    return not self.left
                self.state = "end"
            end = buffer.find(b"\r\n", 0, 4098)
            if end < 0:
                if len(buffer) > 4096:
                    raise Malformed(400, "chunk line too long")
                return False
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            if self.next_state(line):
                return True

    def next_state(self, line: bytes) -> bool:
        """Go on after a line that is no data; true when it was the last."""
        if self.state == "trailer":
            return not line
        if self.state == "end":
            if line:
                raise Malformed(400, "malformed chunk")
            self.state = "size"
            return False
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise Malformed(400, "malformed chunk size")
        self.grow(int(digits, 16))
        self.state = "data" if self.left else "trailer"
        return False


# --- HTTP/1.1 server -------------------------------------------------------------------------------------------------


class Request:
    """A request as far as it has arrived."""

    def __init__(self, method: str, target: str, version: str) -> None:
        self.method, self.target, self.version = method, target, version
        self.headers: list[tuple[str, str]] = []
        self.host = ""
        self.sample: str | None = None
        self.length: int | None = None
        self.chunked = self.expects = False
        self.close = version == "1.0"
        self.body = Body(0)

    def header(self, name: str, value: str) -> None:
        """Take note of a header that means something here."""
        if name == "content-length":
            # A second, different length is how requests are smuggled past a proxy.
            if not (value.isascii() and value.isdigit()) or self.length not in (None, int(value[:20])):
                raise Malformed(400, "malformed Content-Length")
            self.length = int(value[:20])
        elif name == "transfer-encoding":
            if value.lower() != "chunked" or self.chunked:
                raise Malformed(501, "the only transfer encoding served is chunked")
            self.chunked = True
        elif name == "connection":
            tokens = {token.strip() for token in value.lower().split(",")}
            self.close = "close" in tokens or (self.close and "keep-alive" not in tokens)
        elif name == "expect":
            self.expects = value.lower() == "100-continue"
        elif name == "x-sample":
            self.sample = value
        elif name == "host":
            self.host = value


def render(
    request: Request | None, status: int, body: bytes, *, agent: bytes = b"", content_type: bytes = b"application/json"
) -> bytes:
    """One whole response in one piece: two writes would meet Nagle's algorithm and delayed ACKs."""
    try:
        phrase = HTTPStatus(status).phrase.encode()
    except ValueError:
        phrase = b"Unknown"
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, phrase)]
    if agent:
        lines.append(b"x-agent: %s\r\n" % agent)
    if status not in (204, 304):
        lines.append(b"content-type: %s\r\ncontent-length: %d\r\n" % (content_type, len(body)))
    if request is None or request.close:
        lines.append(b"connection: close\r\n")
    elif request.version == "1.0":
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if status not in (204, 304) and not (request is not None and request.method == "HEAD"):
        lines.append(body)
    return b"".join(lines)


def parse_head(head: bytes) -> Request:
    """The request of a head without its last empty line. Raises Malformed."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[0].isalpha() or not words[1]:
        raise Malformed(400, "not an HTTP/1.1 request line")
    request = Request(words[0], words[1], words[2][5:])
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or any(character in line for character in "\r\n\0"):
            raise Malformed(400, "malformed header line")
        value = value.strip(" \t")
        request.headers.append((name, value))
        request.header(name.lower(), value)
    if request.chunked and request.length is not None:
        raise Malformed(400, "both Content-Length and Transfer-Encoding")
    return request


class Port:
    """One listening port."""

    def __init__(self, number: int, identity: Identity) -> None:
        self.number = number
        self.agent = identity.line(number)
        self.connections: set[HttpServer | TcpEcho | agent_h2.Server] = set()


class HttpServer(asyncio.Protocol):
    """One server connection; requests are answered one at a time, in order, however they are pipelined."""

    transport: asyncio.Transport

    def __init__(
        self,
        port: Port,
        respond: Respond,
        *,
        limit: int = BODY_LIMIT,
        keep_body: bool = False,
        http2: Callable[[HttpServer], agent_h2.Server] | None = None,
    ) -> None:
        self.port, self.respond = port, respond
        self.http2 = http2  # until the first request: HTTP/2 begins with the connection or not at all
        self.limit, self.keep_body = limit, keep_body
        self.buffer = bytearray()
        self.request: Request | None = None  # the one that is arriving
        self.answering: Request | None = None  # the one that is being answered
        self.paused = self.ended = False
        self.since = 0.0  # when the arriving request began, 0 when none is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer = plain_host(transport.get_extra_info("peername"))
        self.port.connections.add(self)
        if len(self.port.connections) > CONNECTION_LIMIT:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.port.connections.discard(self)
        self.ended = True
        self.buffer.clear()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if not self.ended:
            self.transport.resume_reading()
            self.advance()

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        if not self.since:
            self.since = time.monotonic()
        self.buffer += data
        self.advance()
        if len(self.buffer) > 2 * HEAD_LIMIT and not self.ended:
            # Only while an answer is under way: otherwise advance() has taken all it can.
            self.transport.pause_reading()

    def advance(self) -> None:
        try:
            while not (self.answering or self.paused or self.ended) and (self.request or self.read_head()):
                request = self.request
                if request is None or not request.body.take(self.buffer):
                    return
                self.request, self.answering = None, request
                self.since = time.monotonic() if self.buffer else 0.0
                answer = self.respond(self, request)
                if answer is not None:
                    self.reply(answer)
        except Malformed as error:
            body = json.dumps({"error": str(error)}).encode()
            self.finish(render(None, error.status, body))

    def reply(self, answer: bytes) -> None:
        """Send the whole answer to the request that is being answered."""
        request, self.answering = self.answering, None
        if self.ended or request is None:
            return
        if request.close:
            self.finish(answer)
        else:
            self.transport.write(answer)

    def later(self, answer: bytes) -> None:
        """Send an answer that took time, and go on with what has arrived meanwhile."""
        self.reply(answer)
        if not self.ended:
            self.transport.resume_reading()
            self.advance()

    def finish(self, answer: bytes) -> None:
        self.ended = True
        self.buffer.clear()
        self.transport.write(answer)
        self.transport.close()

    def read_head(self) -> bool:
        buffer = self.buffer
        while buffer[:2] == b"\r\n":  # RFC 9112 2.2: empty lines before a request are ignored
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT + 4)
        if end < 0:
            if len(buffer) > HEAD_LIMIT:
                raise Malformed(431, "request head too large")
            if not buffer:
                self.since = 0.0
            return False
        if self.http2 is not None:
            if buffer.startswith(b"PRI * HTTP/2.0\r\n\r\n"):
                self.become(self.http2(self))
                return False
            self.http2 = None
        request = self.request = parse_head(bytes(buffer[:end]))
        del buffer[: end + 4]
        length = None if request.chunked else (request.length or 0)
        request.body = Body(length, self.limit, keep=self.keep_body)
        if request.expects and length != 0 and not buffer:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True


    def become(self, successor: agent_h2.Server) -> None:
        """Leave the connection, and what has arrived on it, to another protocol."""
        data = bytes(self.buffer)
        self.connection_lost(None)
        self.transport.set_protocol(successor)
        successor.connection_made(self.transport)
        successor.data_received(data)

    def stalled(self, oldest: float) -> bool:
        """Whether a request has been arriving since before `oldest`."""
        return 0 < self.since < oldest and self.answering is None


class Echo(Port):
    """Answers and records on one HTTP port."""

    def __init__(self, number: int, identity: Identity, record: Record) -> None:
        super().__init__(number, identity)
        self.record = record

    def connect(self) -> HttpServer:
        return HttpServer(self, self.respond, http2=self.http2)

    def http2(self, connection: HttpServer) -> agent_h2.Server:
        peer = connection.peer
        server: agent_h2.Server = http2().Server(self.connections, lambda *request: self.respond_http2(peer, *request))
        return server

    def respond(self, connection: HttpServer, request: Request) -> bytes | None:
        status, delay, content_type, body = self.receive(connection.peer, request)
        answer = render(request, status, body, agent=self.agent, content_type=content_type)
        if not delay:
            return answer
        asyncio.get_running_loop().call_later(delay, connection.later, answer)
        return None

    def respond_http2(
        self, peer: str, headers: list[tuple[str, str]], size: int
    ) -> tuple[float, list[tuple[bytes, bytes]], bytes]:
        """(seconds of delay, headers, body) of the answer to an HTTP/2 request."""
        values = dict(headers)
        request = Request(values.get(":method", ""), values.get(":path", ""), "2")
        request.headers = [pair for pair in headers if not pair[0].startswith(":")]
        request.host = values.get(":authority", values.get("host", ""))
        request.sample = values.get("x-sample")
        request.body.size = size
        status, delay, content_type, body = self.receive(peer, request)
        fields = [(b":status", b"%d" % status), (b"x-agent", self.agent)]
        if status not in (204, 304):
            fields += [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        return delay, fields, b"" if status in (204, 304) or request.method == "HEAD" else body

    def receive(self, peer: str, request: Request) -> tuple[int, float, bytes, bytes]:
        """Record a request; (status, seconds of delay, content type, body) of its answer."""
        path = request.target.partition("?")[0]
        if request.sample is not None:
            kind = Kind("http", self.number, request.method, path, request.host, peer, request.version)
            self.record.add(request.sample, kind, request.headers)
        status, delay, size = self.wanted(path)
        if size is not None:
            return status, delay, b"application/octet-stream", b"x" * size
        seen = {
            "method": request.method,
            "path": request.target,
            "version": request.version,
            "headers": request.headers,
            "body_bytes": request.body.size,
        }
        body = self.agent[:-1] + b"," + json.dumps(seen, separators=(",", ":")).encode()[1:] + b"\n"
        return status, delay, b"application/json", body

    @staticmethod
    def wanted(path: str) -> tuple[int, float, int | None]:
        """(status, seconds of delay, bytes of the body or None for an echo) that a path asks for."""
        command, _, argument = path[1:].partition("/")
        try:
            if command == "status" and 200 <= int(argument) <= 599:
                return int(argument), 0.0, None
            if command == "delay" and 0.0 <= float(argument) <= 60.0:
                return 200, float(argument), None
            if command == "bytes" and 0 <= int(argument) <= BODY_LIMIT:
                return 200, 0.0, int(argument)
        except ValueError:
            pass  # as any other path
        return 200, 0.0, None


# --- TCP and UDP echo ------------------------------------------------------------------------------------------------


def sample_of(line: bytes) -> str | None:
    """The sample that the first line of a TCP or UDP payload names, or None."""
    name, _, value = line.partition(b":")
    return value.strip().decode("latin-1") if name == b"x-sample" else None


class Plain(Port):
    """One TCP or UDP port, and its record."""

    def __init__(self, protocol: str, number: int, identity: Identity, record: Record) -> None:
        super().__init__(number, identity)
        self.protocol, self.record = protocol, record

    def received(self, line: bytes, peer: Sequence[Any] | None) -> None:
        sample = sample_of(line)
        if sample is not None:
            self.record.add(sample, Kind(self.protocol, self.number, "", "", "", plain_host(peer), ""))


class TcpEcho(asyncio.Protocol):
    """Says who it is in one line, then echoes every byte."""

    transport: asyncio.Transport

    def __init__(self, port: Plain) -> None:
        self.port = port
        self.first: bytes | None = b""  # of the first line, until it is complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.port.connections.add(self)
        if len(self.port.connections) > CONNECTION_LIMIT:
            transport.abort()
        else:
            transport.write(self.port.agent + b"\n")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.port.connections.discard(self)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.first is not None:
            self.first += data[:512]
            line, end, _ = self.first.partition(b"\n")
            if end or len(self.first) >= 512:
                self.first = None
                self.port.received(line, self.transport.get_extra_info("peername"))
        self.transport.write(data)


class UdpEcho(asyncio.DatagramProtocol):
    """Answers each datagram with one: a line that says who it is, then the payload."""

    transport: asyncio.DatagramTransport

    def __init__(self, port: Plain) -> None:
        self.port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # until Python 3.12 it is no DatagramTransport by class

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.port.received(data.partition(b"\n")[0][:512], addr)
        self.transport.sendto(self.port.agent + b"\n" + data[:PLAIN_LIMIT], addr)


# --- client: one exchange --------------------------------------------------------------------------------------------


class Failed(Exception):  # noqa: N818 - a result, not an error
    """One request got no answer: `kind` is a word of the control protocol, `detail` says more."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


KINDS = (
    (socket.gaierror, "name-not-found"),
    (socket.timeout, "timeout"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
)
# EPERM and EACCES are how some network policies deny.
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EPERM, errno.EACCES)


def classify(error: Exception) -> Failed:
    """The failure that an error is. `local`: this pod is at its limits or at fault, and nothing was learnt."""
    if isinstance(error, Failed):
        return error
    if not isinstance(error, OSError):
        return Failed("local", f"{type(error).__name__}: {error}"[:200])
    otherwise = "unreachable" if error.errno in UNREACHABLE else "local"
    kind = next((kind for type_of_error, kind in KINDS if isinstance(error, type_of_error)), otherwise)
    detail = error.strerror or ("no answer in time" if kind == "timeout" else type(error).__name__)
    return Failed(kind, detail[:200])


class Plan:
    """One distinct request of a batch, parsed and rendered once. Raises Malformed."""

    def __init__(self, where: str, command: Any, sample: str, *, keep: bool) -> None:
        if not isinstance(command, dict):
            raise Malformed(400, f"{where} is not an object")
        self.url = text(command, "url", where)
        try:
            parts = urlsplit(self.url)
            self.host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Malformed(400, f"{where}: url {self.url!r}: {error}") from None
        self.protocol = text(command, "protocol", where, parts.scheme)
        if port is None and self.protocol in ("http", "h2c"):
            port = 80
        if self.protocol not in ("http", "h2c", "tcp", "udp") or not self.host or not port:
            raise Malformed(
                400, f"{where}: url {self.url!r}: need http:// or h2c://HOST[:PORT], tcp:// or udp://HOST:PORT"
            )
        if parts.scheme not in (self.protocol, "http" if self.protocol == "h2c" else ""):
            raise Malformed(400, f"{where}: url {self.url!r} is not of protocol {self.protocol}")
        self.port = port
        self.method = text(command, "method", where, "GET")
        try:
            body = self.body = text(command, "body", where, "").encode()
        except UnicodeEncodeError:
            raise Malformed(400, f"{where}: body is not Unicode") from None
        self.fields: list[tuple[bytes, bytes]] = []  # of HTTP/2
        if self.protocol in ("http", "h2c"):
            target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            if not self.method.isalpha() or not target.isascii() or not target.isprintable() or " " in target:
                raise Malformed(400, f"{where}: method and url must be ASCII, without spaces")
            self.payload = self.head(where, command, target, sample, keep=keep) + body
        else:
            self.payload = f"x-sample: {sample}\n".encode() + body
            if len(self.payload) > PLAIN_LIMIT:
                raise Malformed(400, f"{where}: {self.protocol} carries at most {PLAIN_LIMIT} bytes")

    def head(self, where: str, command: dict[str, Any], target: str, sample: str, *, keep: bool) -> bytes:
        """The head as HTTP/1.1 has it, which for HTTP/2 (made here as well) is only shown."""
        headers = command.get("headers") or {}
        try:
            given = [(str(name), str(value)) for name, value in getattr(headers, "items", lambda: headers)()]
        except (TypeError, ValueError):
            raise Malformed(400, f"{where}: headers must be an object or a list of pairs") from None
        names = {name.lower() for name, _ in given}
        host = urlsplit(self.url).netloc.rpartition("@")[2]
        defaults = (("user-agent", "agent/1"), ("accept", "*/*"))
        pairs = [pair for pair in defaults if pair[0] not in names] + given + [("x-sample", sample)]
        version = "HTTP/1.1" if self.protocol == "http" else "HTTP/2"
        lines = [f"{self.method} {target} {version}"]
        if "host" not in names:
            lines.append(f"host: {host}")
        lines += [f"{name}: {value}" for name, value in pairs]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body)}")
        if self.protocol == "http" and not keep:
            lines.append("connection: close")
        if any(character in line for line in lines for character in "\r\n\0"):
            raise Malformed(400, f"{where}: a header may not hold line ends")
        try:
            head = "\r\n".join([*lines, "", ""]).encode("latin-1")
            if self.protocol == "h2c":
                host = next((value for name, value in given if name.lower() == "host"), host)
                rest = [pair for pair in pairs if pair[0].lower() != "host"]
                self.fields = http2().fields(self.method, target, host, rest, len(self.body))
        except UnicodeEncodeError:
            raise Malformed(400, f"{where}: headers must be Latin-1") from None
        except ValueError as error:
            raise Malformed(400, f"{where}: {error}") from None
        return head


def transient(error: OSError) -> bool:
    """Whether a name server did not answer, which says nothing of the name."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN


def look_up(host: str, port: int, kind: int) -> list[Any]:
    """What `socket.getaddrinfo` returns and raises; a name server that does not answer is asked three times."""
    for pause in (0.05, 0.2):
        try:
            return socket.getaddrinfo(host, port, 0, kind)
        except OSError as error:
            if not transient(error):
                raise
        time.sleep(pause)
    return socket.getaddrinfo(host, port, 0, kind)


class Resolver:
    """Names of one batch, asked anew each second: a lookup per request would measure the cluster's DNS."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int, int], tuple[float, list[Any] | Failed, Any]] = {}

    def address(self, plan: Plan) -> tuple[int, Any]:
        """(family, address); the addresses of a name in turn. Raises Failed."""
        kind = socket.SOCK_DGRAM if plan.protocol == "udp" else socket.SOCK_STREAM
        key = (plan.host, plan.port, kind)
        now = time.monotonic()
        expires, found, turn = self.known.get(key, (0.0, [], None))
        if now >= expires:
            try:
                answers = look_up(plan.host, plan.port, kind)
                found = [(family, address) for family, _, _, _, address in answers if family == answers[0][0]]
            except OSError as error:
                found = classify(error)
                if transient(error):
                    raise found from None
            except UnicodeError:
                found = Failed("name-not-found", "not a host name")
            turn = itertools.count()
            self.known[key] = (now + 1.0, found, turn)
        if isinstance(found, Failed):
            raise Failed(found.kind, found.detail)
        return found[next(turn) % len(found)]  # type: ignore[no-any-return]


def left(end: float) -> float:
    """Seconds until `end`. Raises the socket module's timeout when there are none."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise socket.timeout
    return seconds


def receive(sock: socket.socket, end: float) -> bytes:
    sock.settimeout(left(end))
    data = sock.recv(65536)
    if not data:
        raise Failed("closed", "connection closed before the answer was complete")
    return data


def read_response(sock: socket.socket, end: float, method: str) -> tuple[int, bytes | None, bytes, bool]:
    """(status, x-agent, first bytes, whether the connection can be kept) of one HTTP/1.1 response.

    Raises Failed `garbage` for anything that is not one.
    """
    data = receive(sock, end)
    while True:
        while (split := data.find(b"\r\n\r\n", 0, HEAD_LIMIT)) < 0:
            if not data.startswith(b"HTTP/1."[: len(data)]):
                raise Failed("garbage", "the answer is not HTTP/1.1")
            if len(data) > HEAD_LIMIT:
                raise Failed("garbage", "response head too large")
            data += receive(sock, end)
        status, fields = parse_response_head(data[:split])
        if status >= 200:
            break
        if status == 101:
            raise Failed("garbage", "protocol switched unasked")
        data = data[split + 4 :] or receive(sock, end)  # an interim response; the final one follows
    keep = data.startswith(b"HTTP/1.1") and fields.get(b"connection", b"").lower() != b"close"
    rest = bytearray(data[split + 4 :])
    if method == "HEAD" or status in (204, 304):
        complete = True
    elif b"transfer-encoding" in fields or b"content-length" in fields:
        complete = True
        read_body(sock, end, rest, None if b"transfer-encoding" in fields else fields[b"content-length"])
    else:
        complete = False
        read_to_end(sock, end)
    return status, fields.get(b"x-agent"), data[:EXCERPT], keep and complete and not rest


def read_body(sock: socket.socket, end: float, buffer: bytearray, length: bytes | None) -> None:
    if length is not None and not (length.isdigit() and len(length) < 15):
        raise Failed("garbage", "malformed Content-Length")
    try:
        body = Body(None if length is None else int(length))
        while not body.take(buffer):
            buffer += receive(sock, end)
    except Malformed as error:
        raise Failed("garbage", str(error)) from None


def parse_response_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    lines = head.split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    code = rest.partition(b" ")[0]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or code < b"100":
        raise Failed("garbage", "malformed status line")
    fields = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name.strip():
            raise Failed("garbage", "malformed response header")
        fields[name.lower()] = value.strip()
    return int(code), fields


def read_to_end(sock: socket.socket, end: float) -> None:
    """Read a body that the end of the connection delimits."""
    size = 0
    try:
        while size <= BODY_LIMIT:
            size += len(receive(sock, end))
    except Failed:
        return  # closed
    raise Failed("garbage", "response body too large")


def still_open(sock: socket.socket) -> bool:
    """Whether a kept connection can carry another request: nothing to read, no end."""
    sock.settimeout(0)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def still_usable(sock: socket.socket, client: agent_h2.Client) -> bool:
    """Whether a kept HTTP/2 connection can carry another request, after what the server may have said since."""
    sock.settimeout(0)
    try:
        while data := sock.recv(65536):
            if reply := client.receive(data):
                sock.sendall(reply)
    except BlockingIOError:
        return client.usable()
    except Exception:  # noqa: BLE001 - whatever it said, another connection is made
        return False
    return False


class Worker(threading.Thread):
    """Sends requests of a batch one after the other. Blocking sockets are the fastest that Python has for this."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(daemon=True)
        self.batch = batch
        self.kept: dict[tuple[str, int], socket.socket] = {}
        self.clients: dict[tuple[str, int], tuple[socket.socket, agent_h2.Client]] = {}  # kept, of HTTP/2
        self.sock: socket.socket | None = None  # the one in use, for cancelling

    def run(self) -> None:
        batch, plans = self.batch, self.batch.plans
        key: Key
        try:
            while (index := batch.next()) is not None:
                begin = time.monotonic()
                raw = b""
                try:
                    status, who, raw = self.exchange(plans[index % len(plans)], min(begin + batch.timeout, batch.end))
                    key = (status, who)
                except Exception as error:  # noqa: BLE001 - a fault of this program must not pass for an answer
                    failed = classify(error)
                    key = (failed.kind, failed.detail)
                    if time.monotonic() >= batch.end or batch.cancelled:
                        key = CUT  # by the batch, not by anything on the way
                batch.report(index, key, time.monotonic() - begin, raw)
        finally:
            for sock in [*self.kept.values(), *[sock for sock, _ in self.clients.values()]]:
                sock.close()
            batch.worker_done()

    def exchange(self, plan: Plan, end: float) -> Answer:
        """Carry out one request. Raises OSError or Failed when there is no answer."""
        if plan.protocol == "http":
            return self.http(plan, end)
        if plan.protocol == "h2c":
            return self.http2(plan, end)
        sock = self.connect(plan, end)
        try:
            return self.udp(sock, plan, end) if plan.protocol == "udp" else self.tcp(sock, plan, end)
        finally:
            self.sock = None
            sock.close()

    def connect(self, plan: Plan, end: float) -> socket.socket:
        family, address = self.batch.resolver.address(plan)
        stream = plan.protocol != "udp"
        sock = self.sock = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        try:
            sock.settimeout(left(end))
            if stream:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def http(self, plan: Plan, end: float) -> Answer:
        key = (plan.host, plan.port)
        sock = self.kept.pop(key, None)
        # The server may close a kept connection at any time. One that shows it is not used; one that does not, and
        # then fails, is a failure: a request is never sent twice.
        if sock is not None and not still_open(sock):
            sock.close()
            sock = None
        sock = self.sock = sock or self.connect(plan, end)
        keep = False
        try:
            sock.settimeout(left(end))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # The server may have answered, and closed, before it read everything.
                sock.sendall(plan.payload)
            status, who, raw, keep = read_response(sock, end, plan.method)
        finally:
            self.sock = None
            if keep and self.batch.keep:
                self.kept[key] = sock
            else:
                sock.close()
        return status, who, raw

    def http2(self, plan: Plan, end: float) -> Answer:
        module = http2()
        key = (plan.host, plan.port)
        kept = self.clients.pop(key, None)
        if kept is not None and not still_usable(*kept):
            kept[0].close()
            kept = None
        sock, client = kept or (self.connect(plan, end), module.Client())
        self.sock = sock

        def send(data: bytes) -> None:
            sock.settimeout(left(end))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)

        try:
            answer: Answer = client.exchange(plan.fields, plan.body, send, lambda: receive(sock, end))
        except module.Broken as broken:
            raise Failed(broken.kind, broken.detail) from None
        else:
            return answer
        finally:
            self.sock = None
            if self.batch.keep and client.usable():
                self.clients[key] = sock, client
            else:
                sock.close()

    def tcp(self, sock: socket.socket, plan: Plan, end: float) -> Answer:
        sock.sendall(plan.payload)
        data = receive(sock, end)
        while b"\n" not in data:
            if len(data) > HEAD_LIMIT:
                raise Failed("garbage", "no line that says who answers")
            data += receive(sock, end)
        who, _, echo = data.partition(b"\n")
        while len(echo) < len(plan.payload):
            echo += receive(sock, end)
        if echo != plan.payload:
            raise Failed("garbage", "the echo differs from what was sent")
        return None, who, data[:EXCERPT]

    def udp(self, sock: socket.socket, plan: Plan, end: float) -> Answer:
        sock.send(plan.payload)
        while True:
            sock.settimeout(left(end))
            data = sock.recv(65536)
            who, _, echo = data.partition(b"\n")
            if echo == plan.payload:
                return None, who, data[:EXCERPT]


# --- client: a batch -------------------------------------------------------------------------------------------------


def text(command: dict[str, Any], key: str, where: str = "command", default: str | None = None) -> str:
    value = command.get(key, default)
    if not isinstance(value, str) or len(value) > 1024 * 1024:
        raise Malformed(400, f"{where}: {key} must be a string")
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Malformed(400, f"{name} must be a number from {low:g} to {high:g}, not {value!r:.50}")
    return value


def whole(value: Any, name: str, high: int) -> int:
    if isinstance(value, float):
        raise Malformed(400, f"{name} must be a whole number")
    return int(number(value, name, 1, high))


UNSENT: Key = ("unsent", "the batch ended before it was sent")
CUT: Key = ("timeout", "the batch ended before there was an answer")
TOO_MANY: Key = ("garbage", f"more than {MAX_OUTCOMES} different answers")


class Batch:
    """One command: `requests` in turn until `count` are sent, by `concurrency` threads.

    Command: sample (required), requests (required; each url, method, headers, body, protocol), count (default: each
    request once), concurrency (1), connections ("new" or "keep"; TCP and UDP are always new), timeout (seconds per
    request, 5), deadline (seconds for all, 60).

    Result: `answers` are the distinct outcomes, `sequence` their indices in the order of the requests (request i is
    requests[i % len(requests)]), `exchanges` the first exchange of each outcome. The failure `local` means that
    this pod is at its limits.
    """

    def __init__(self, command: Any, finished: Callable[[Batch], object]) -> None:
        if not isinstance(command, dict):
            raise Malformed(400, "the command is not a JSON object")
        self.id = os.urandom(8).hex()
        self.sample = text(command, "sample")
        if not 0 < len(self.sample) <= 200 or not self.sample.isascii() or not self.sample.isprintable():
            raise Malformed(400, "sample must be 1 to 200 printable ASCII characters")
        requests = command.get("requests")
        if not isinstance(requests, list) or not 1 <= len(requests) <= MAX_REQUESTS:
            raise Malformed(400, f"requests must be a list of 1 to {MAX_REQUESTS}")
        connections = command.get("connections", "new")
        if connections not in ("new", "keep"):
            raise Malformed(400, "connections must be new or keep")
        self.keep = connections == "keep"
        self.plans = [Plan(f"requests[{i}]", one, self.sample, keep=self.keep) for i, one in enumerate(requests)]
        self.count = whole(command.get("count", len(requests)), "count", MAX_COUNT)
        concurrency = whole(command.get("concurrency", 1), "concurrency", MAX_CONCURRENCY)
        self.timeout = number(command.get("timeout", 5.0), "timeout", 0.001, MAX_SECONDS)
        self.deadline = number(command.get("deadline", 60.0), "deadline", 0.001, MAX_SECONDS)
        self.finished = finished
        self.resolver = Resolver()
        self.lock = threading.Lock()
        self.sent = 0
        self.cancelled = False
        self.codes: dict[Key, int] = {UNSENT: 0, CUT: 1}
        self.sequence = array("H", bytes(2 * self.count))  # all unsent
        self.times = array("d")
        self.exchanges: list[tuple[int, int, float, bytes]] = []
        self.result: bytes | None = None
        self.waiters: list[Callable[[], None]] = []
        self.workers = [Worker(self) for _ in range(min(concurrency, self.count))]
        self.running = len(self.workers)

    def start(self) -> None:
        self.begin = time.monotonic()
        self.end = self.begin + self.deadline
        try:
            for worker in self.workers:
                worker.start()
        except RuntimeError as error:
            self.cancel()
            raise Malformed(503, f"cannot start {len(self.workers)} threads: {error}") from None

    def next(self) -> int | None:
        """The index of the next request to send, None when there is none."""
        if self.cancelled or time.monotonic() >= self.end:
            return None
        with self.lock:
            if self.sent == self.count:
                return None
            index = self.sent
            self.sent += 1
        self.sequence[index] = 1  # what it stays when it never returns
        return index

    def report(self, index: int, key: Key, seconds: float, raw: bytes) -> None:
        code = self.codes.get(key)
        if code is None:
            with self.lock:
                if len(self.codes) >= MAX_OUTCOMES:
                    key = TOO_MANY
                code = self.codes.setdefault(key, len(self.codes))
                if len(self.exchanges) < MAX_EXCHANGES:
                    self.exchanges.append((index, code, seconds, raw))
        self.sequence[index] = code
        self.times.append(seconds)

    def worker_done(self) -> None:
        with self.lock:
            self.running -= 1
            last = self.running == 0
        if last:
            self.finished(self)

    def cancel(self) -> None:
        self.cancelled = True
        for worker in self.workers:
            sock = worker.sock
            if sock is not None:
                with contextlib.suppress(OSError):  # closed in this moment
                    sock.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Render the result; called once, in the thread of the control port."""
        elapsed = time.monotonic() - self.begin
        sequence, times = self.sequence[:], sorted(self.times[:])
        keys = list(self.codes)
        position = {code: place for place, code in enumerate(sorted(set(sequence)))}

        def percentile(share: float) -> float | None:
            return round(times[min(len(times) - 1, int(share * len(times)))], 6) if times else None

        result = {
            "done": True,
            "id": self.id,
            "sample": self.sample,
            "answers": [outcome(keys[code]) for code in position],
            "sequence": [position[code] for code in sequence],
            "elapsed": round(elapsed, 6),
            "latency": {"p50": percentile(0.5), "p99": percentile(0.99), "max": percentile(1.0)},
            "exchanges": [self.exchange(*item, position) for item in self.exchanges if item[1] in position],
        }
        self.result = json.dumps(result, separators=(",", ":")).encode()
        self.workers, self.sequence, self.times = [], array("H"), array("d")

    def exchange(self, index: int, code: int, seconds: float, raw: bytes, position: dict[int, int]) -> dict[str, Any]:
        plan = self.plans[index % len(self.plans)]
        return {
            "index": index,
            "answer": position[code],
            "url": plan.url,
            "seconds": round(seconds, 6),
            "request": plan.payload[:EXCERPT].decode("latin-1"),
            "response": raw.decode("latin-1"),
        }


def outcome(key: Key) -> dict[str, Any]:
    """How an outcome reads in the result: the kind of failure, or who answered, as far as it is an agent."""
    status, who = key
    if isinstance(status, str):
        return {"failure": status, "detail": who}
    answer: dict[str, Any] = {"status": status, "pod": None, "namespace": None, "service_account": None, "port": None}
    try:
        said = json.loads(who or b"{}")
    except (ValueError, RecursionError):
        return answer
    if isinstance(said, dict):
        for name in ("pod", "namespace", "service_account"):
            if isinstance(said.get(name), str):
                answer[name] = said[name][:253]
        if type(said.get("port")) is int and 0 < said["port"] < 65536:
            answer["port"] = said["port"]
    return answer


# --- control port ----------------------------------------------------------------------------------------------------


class Control(Port):
    """The commands of the harness."""

    def __init__(self, number: int, identity: Identity, record: Record, ports: dict[str, Any]) -> None:
        super().__init__(number, identity)
        self.identity, self.record, self.ports = identity, record, ports
        self.batches: collections.OrderedDict[str, Batch] = collections.OrderedDict()
        self.loop = asyncio.get_running_loop()
        self.loads: Any = None

    def connect(self) -> HttpServer:
        return HttpServer(self, self.respond, limit=CONTROL_LIMIT, keep_body=True)

    def respond(self, connection: HttpServer, request: Request) -> bytes | None:
        try:
            status, said = self.route(connection, request)
        except Malformed as error:
            status, said = error.status, {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - the harness should learn of it, and the agent go on
            status, said = 500, {"error": f"fault of the agent: {type(error).__name__}: {error}"}
        return None if said is None else self.json(request, status, said)

    def json(self, request: Request, status: int, said: dict[str, Any] | bytes) -> bytes:
        body = said if isinstance(said, bytes) else json.dumps(said, separators=(",", ":")).encode()
        return render(request, status, body + b"\n")

    def route(self, connection: HttpServer, request: Request) -> tuple[int, dict[str, Any] | bytes | None]:
        """(status, answer) of a command; no answer when it comes later. Raises Malformed."""
        path, _, rest = request.target.partition("?")
        try:
            query = {name: values[-1] for name, values in parse_qs(rest, max_num_fields=20).items()}
        except ValueError:
            raise Malformed(400, "too many query parameters") from None
        what, _, name = path.strip("/").partition("/")
        command = ("GET" if request.method == "HEAD" else request.method, what, "ID" if name else "")
        if command == ("GET", "healthz", ""):
            return 200, {"ok": True}
        if command == ("GET", "whoami", ""):
            who = self.identity.fields(self.number)
            said = {"protocol": PROTOCOL, "python": sys.version.split()[0], "ports": self.ports, "now": time.time()}
            return 200, {**who, **said}
        if command == ("POST", "batch", ""):
            return self.start(connection, request)
        if command in (("GET", "batch", "ID"), ("DELETE", "batch", "ID")):
            return self.poll(connection, request, unquote(name), query)
        if what == "received" and not name and request.method in ("GET", "HEAD", "DELETE"):
            return 200, self.forget() if request.method == "DELETE" else self.received(query)
        if what in ("load", "target"):
            return self.load(connection, request, command[0], what, unquote(name), query)
        known = what in ("healthz", "whoami", "batch", "received")
        raise Malformed(405 if known else 404, "no such command; the head of agent.py lists them")

    def load(
        self, connection: HttpServer, request: Request, method: str, what: str, name: str, query: dict[str, str]
    ) -> tuple[int, dict[str, Any] | bytes | None]:
        module = load_control()
        if self.loads is None:
            who = self.identity.fields(0)
            self.loads = module.Loads(who, threads=lambda: any(b.running for b in self.batches.values()))

        def later(status: int, said: dict[str, Any] | bytes) -> None:
            connection.later(self.json(request, status, said))

        try:
            status, said = self.loads.route(method, what, name, query, bytes(request.body.kept), later)
        except module.Refused as refused:
            raise Malformed(refused.status, str(refused)) from None
        return status, said

    def forget(self) -> dict[str, Any]:
        self.record.clear()
        return {"ok": True}

    def received(self, query: dict[str, str]) -> dict[str, Any]:
        if "samples" in query:
            samples = query["samples"].split(",")
            return {"pod": self.identity.pod, "samples": [self.record.of(sample) for sample in samples]}
        if "sample" not in query:
            raise Malformed(400, "say which: ?sample=ID or ?samples=A,B")
        return {"pod": self.identity.pod, **self.record.of(query["sample"])}

    def start(self, connection: HttpServer, request: Request) -> tuple[int, bytes | None]:
        try:
            command = json.loads(request.body.kept)
        except (ValueError, RecursionError):
            raise Malformed(400, "the body is not JSON") from None
        batch = Batch(command, lambda done: self.loop.call_soon_threadsafe(self.finish, done))
        wait = number(command.get("wait", 20.0), "wait", 0.0, MAX_WAIT)
        done = [name for name, other in self.batches.items() if other.result is not None]
        if len(self.batches) - len(done) >= MAX_RUNNING:
            raise Malformed(429, f"{MAX_RUNNING} batches are running already; wait for one, or DELETE it")
        for name in done[: max(0, len(self.batches) + 1 - MAX_REMEMBERED)]:
            del self.batches[name]
        batch.start()
        self.batches[batch.id] = batch
        # A thread can hang in name resolution, where no timeout reaches: the batch then ends without it.
        self.loop.call_later(batch.deadline + 1.0, self.finish, batch)
        return self.wait_for(connection, request, batch, wait)

    def poll(
        self, connection: HttpServer, request: Request, name: str, query: dict[str, str]
    ) -> tuple[int, bytes | None]:
        batch = self.batches.get(name)
        if batch is None:
            raise Malformed(404, f"no batch {name:.40}: never started, or forgotten")
        if request.method == "DELETE":
            batch.cancel()
            return self.wait_for(connection, request, batch, 1.0)
        try:
            wait = float(query.get("wait", 0))
        except ValueError:
            raise Malformed(400, "wait must be a number") from None
        return self.wait_for(connection, request, batch, number(wait, "wait", 0.0, MAX_WAIT))

    def wait_for(self, connection: HttpServer, request: Request, batch: Batch, wait: float) -> tuple[int, bytes | None]:
        """Answer with the result as soon as there is one, or with 202 after `wait` seconds."""
        if batch.result is not None:
            return 200, batch.result

        def answer() -> None:
            timer.cancel()
            batch.waiters.remove(answer)
            pending = {"done": False, "id": batch.id, "sent": batch.sent, "count": batch.count}
            connection.later(self.json(request, 200 if batch.result else 202, batch.result or pending))

        timer = self.loop.call_later(wait, answer)
        batch.waiters.append(answer)
        return 202, None

    def finish(self, batch: Batch) -> None:
        if batch.result is None:
            batch.cancel()
            batch.finish()
            for answer in list(batch.waiters):
                answer()


# --- program ---------------------------------------------------------------------------------------------------------


def bound(family: int, kind: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it; asyncio sets it only on sockets that name their protocol, and these do not.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def every_address(kind: int, port: int) -> socket.socket:
    """A socket on every address of the pod: IPv6 and IPv4 where there is both."""
    try:
        try:
            return bound(socket.AF_INET6, kind, "::", port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            return bound(socket.AF_INET, kind, "0.0.0.0", port)  # noqa: S104 - what a pod is for
    except OSError as error:
        protocol = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
        raise SystemExit(f"agent: cannot listen on {protocol} port {port}: {error.strerror}") from None


async def sweep(ports: Sequence[Port]) -> None:
    """End connections whose request has been arriving for too long; idle ones are a proxy's pool and stay."""
    while True:
        await asyncio.sleep(STALLED / 4)
        oldest = time.monotonic() - STALLED
        for connection in [connection for port in ports for connection in port.connections]:
            if not isinstance(connection, TcpEcho) and connection.stalled(oldest):
                connection.transport.abort()


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number_of_signal, os._exit, 0)
    identity, record = Identity(os.environ), Record()
    for port in options.udp:
        plain = Plain("udp", port, identity, record)
        sock = every_address(socket.SOCK_DGRAM, port)
        await loop.create_datagram_endpoint(lambda plain=plain: UdpEcho(plain), sock=sock)  # type: ignore[misc]
    for port in options.tcp:
        plain = Plain("tcp", port, identity, record)
        sock = every_address(socket.SOCK_STREAM, port)
        await loop.create_server(lambda plain=plain: TcpEcho(plain), sock=sock, backlog=BACKLOG)  # type: ignore[misc]
    ports = {"control": options.control, "http": options.http, "tcp": options.tcp, "udp": options.udp}
    # The control port comes last: when it answers, every other port does.
    http: list[Echo | Control] = [Echo(port, identity, record) for port in options.http]
    http.append(Control(options.control, identity, record, ports))
    for server in http:
        await loop.create_server(server.connect, sock=every_address(socket.SOCK_STREAM, server.number), backlog=BACKLOG)
    print(f"agent: {identity.pod} listens: {json.dumps(ports)}", flush=True)
    await sweep(http)


def port_number(word: str) -> int:
    if not word.isdigit() or not 0 < int(word) < 65536:
        raise argparse.ArgumentTypeError(f"{word!r} is not a port")
    return int(word)


def port_numbers(words: str) -> list[int]:
    return [port_number(word) for word in words.split(",") if word]


def main() -> None:
    parser = argparse.ArgumentParser(prog="agent", description="echo server and batch client of mesh-conformance")
    parser.add_argument("--control", type=port_number, default=19000, metavar="PORT", help="for commands (19000)")
    for protocol in ("http", "tcp", "udp"):
        parser.add_argument(f"--{protocol}", type=port_numbers, default=[], metavar="PORTS", help="8080,8081,…")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
