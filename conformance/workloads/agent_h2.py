"""The agent's HTTP/2 with prior knowledge (h2c); travels beside `agent.py` in a ZIP with the library that it needs.

`Server` is one connection to an echo port, `Client` one connection of the batch client without its socket. Both keep
GOAWAY from the library, which would refuse the answers that may still follow one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import FrameTooLargeError, H2Error
from h2.settings import SettingCodes, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from h2.events import Event

    Fields = list[tuple[bytes, bytes]]
    # Headers and bytes of body of a request → seconds of delay, headers and body of the answer.
    Respond = Callable[[list[tuple[str, str]], int], tuple[float, Fields, bytes]]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAMS = 100  # requests that a client may have open at once
HEADERS_LIMIT = 32 * 1024  # bytes of a list of headers
BODY_LIMIT = 16 * 1024 * 1024  # bytes of a body
EXCERPT = 4096  # bytes kept of an answer
FRAME_HEAD, FRAME_LIMIT = 9, 16384
GOAWAY = 7
NO_ERROR = 0


class Broken(Exception):  # noqa: N818 - a result, not an error
    """The peer ended a request or does not speak HTTP/2: `kind` is a word of the control protocol."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Frames:
    """Cuts what arrives into frames; `first` bytes before them are passed on as they are."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.buffer = bytearray()

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(type, whole frame) of each frame that is complete. Raises FrameTooLargeError, as the library does late."""
        buffer = self.buffer
        buffer += data
        while len(buffer) >= (self.first or FRAME_HEAD):
            if self.first:
                size, kind, self.first = self.first, -1, 0
            else:
                size, kind = FRAME_HEAD + int.from_bytes(buffer[:3], "big"), buffer[3]
                if size > FRAME_HEAD + FRAME_LIMIT:
                    raise FrameTooLargeError(f"a frame of {size - FRAME_HEAD} bytes")
            if len(buffer) < size:
                return
            frame = bytes(buffer[:size])
            del buffer[:size]
            yield kind, frame


def code_name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error code {code}"


def connection(*, client: bool) -> H2Connection:
    made = H2Connection(H2Configuration(client_side=client, header_encoding=None))
    settings = {
        SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
        SettingCodes.MAX_HEADER_LIST_SIZE: HEADERS_LIMIT,
    }
    if client:
        settings[SettingCodes.ENABLE_PUSH] = 0
    made.local_settings = Settings(client=client, initial_values=settings)
    made.initiate_connection()
    return made


def send_body(h2: H2Connection, stream: int, body: memoryview) -> memoryview:
    """Send what the peer takes of a body, at most one frame; what is left of it."""
    size = min(len(body), h2.local_flow_control_window(stream), h2.max_outbound_frame_size)
    if size <= 0:
        return body
    h2.send_data(stream, body[:size], end_stream=size == len(body))
    return body[size:]


# --- server ----------------------------------------------------------------------------------------------------------


class Arriving:
    """A request that has not arrived completely."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = headers
        self.size = 0
        self.since = time.monotonic()


class Server(asyncio.Protocol):
    """One server connection; requests are answered as they complete. `connections` has it while it is open."""

    transport: asyncio.Transport

    def __init__(self, connections: set[Any], respond: Respond) -> None:
        self.connections, self.respond = connections, respond
        self.h2 = connection(client=False)
        self.frames = Frames(len(PREFACE))
        self.arriving: dict[int, Arriving] = {}
        self.sending: dict[int, memoryview] = {}
        self.paused = self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connections.add(self)
        transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.connections.discard(self)
        self.ended = True
        self.arriving.clear()
        self.sending.clear()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.send_bodies()

    def stalled(self, oldest: float) -> bool:
        """Whether a request has been arriving since before `oldest`."""
        return any(request.since < oldest for request in self.arriving.values())

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        try:
            for kind, frame in self.frames.take(data):
                if kind != GOAWAY:  # the client closes when it has its answers
                    for event in self.h2.receive_data(frame):
                        self.handle(event)
        except H2Error:
            self.ended = True
            self.transport.write(self.h2.data_to_send())  # often GOAWAY with the reason
            self.transport.close()
            return
        self.send_bodies()

    def handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
            self.arriving[event.stream_id] = Arriving(headers)
        elif isinstance(event, DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            request = self.arriving.get(event.stream_id)
            if request is not None:
                request.size += len(event.data)
                if request.size > BODY_LIMIT:
                    del self.arriving[event.stream_id]
                    self.h2.reset_stream(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        elif isinstance(event, StreamEnded):
            request = self.arriving.pop(event.stream_id, None)
            if request is not None:
                self.answer(event.stream_id, request)
        elif isinstance(event, StreamReset):
            self.arriving.pop(event.stream_id, None)
            self.sending.pop(event.stream_id, None)

    def answer(self, stream: int, request: Arriving) -> None:
        delay, headers, body = self.respond(request.headers, request.size)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.later, stream, headers, body)
        else:
            self.send(stream, headers, body)

    def later(self, stream: int, headers: Fields, body: bytes) -> None:
        if not self.ended:
            self.send(stream, headers, body)
            self.send_bodies()

    def send(self, stream: int, headers: Fields, body: bytes) -> None:
        try:
            self.h2.send_headers(stream, headers, end_stream=not body)
        except H2Error:
            return  # the client has reset the stream meanwhile
        if body:
            self.sending[stream] = memoryview(body)

    def send_bodies(self) -> None:
        """Send what the client and its socket take now, in one write when it is little."""
        for stream in list(self.sending):
            rest, before = self.sending[stream], -1
            while rest and len(rest) != before and not self.paused and not self.ended:
                before = len(rest)
                rest = send_body(self.h2, stream, rest)
                if rest:
                    self.transport.write(self.h2.data_to_send())
            if rest:
                self.sending[stream] = rest
            else:
                del self.sending[stream]
        if not self.ended and (data := self.h2.data_to_send()):
            self.transport.write(data)


# --- client ----------------------------------------------------------------------------------------------------------

OF_A_CONNECTION = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length")


def fields(method: str, target: str, authority: str, given: list[tuple[str, str]], size: int) -> Fields:
    """The headers of a request, for the library. Raises ValueError for one that HTTP/2 has not."""
    pairs = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", target)]
    for name, value in given:
        if name.lower() in OF_A_CONNECTION or name.startswith(":") or not name:
            raise ValueError(f"HTTP/2 requests have no header {name!r:.50}, or not from you")
        pairs.append((name.lower(), value.strip(" \t")))
    if size or method in ("POST", "PUT", "PATCH"):
        pairs.append(("content-length", str(size)))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


class Client:
    """One client connection without its socket, for one request at a time."""

    def __init__(self) -> None:
        self.h2 = connection(client=True)
        self.frames = Frames()
        self.leaving = False
        self.stream = 0
        self.rest = memoryview(b"")
        self.forget()

    def forget(self) -> None:
        self.status = 0
        self.headers: Fields = []
        self.start = bytearray()
        self.size = 0
        self.complete = False

    def exchange(
        self, headers: Fields, body: bytes, send: Callable[[bytes], object], receive: Callable[[], bytes]
    ) -> tuple[int, bytes | None, bytes]:
        """(status, x-agent, first bytes) of one answer. Raises Broken, and whatever `send` and `receive` raise."""
        data = self.request(headers, body)
        while True:
            if data:
                send(data)
            if self.complete:
                return self.status, dict(self.headers).get(b"x-agent"), self.excerpt()
            data = self.receive(receive())

    def usable(self) -> bool:
        """Whether the connection can carry another request."""
        return self.complete and not self.leaving and not self.rest

    def request(self, headers: Fields, body: bytes) -> bytes:
        """Begin a request; the bytes to send. Raises Broken."""
        self.forget()
        try:
            self.stream = self.h2.get_next_available_stream_id()
            self.h2.send_headers(self.stream, headers, end_stream=not body)
            self.rest = memoryview(body)
            return self.to_send()
        except H2Error as error:
            raise Broken("garbage", f"HTTP/2: {error}"[:200]) from None

    def receive(self, data: bytes) -> bytes:
        """Take what arrived, and return what to send; `complete` tells whether the answer is. Raises Broken."""
        try:
            for kind, frame in self.frames.take(data):
                if kind == GOAWAY:
                    self.goodbye(frame)
                else:
                    for event in self.h2.receive_data(frame):
                        self.handle(event)
            return self.to_send()
        except H2Error as error:
            raise Broken("garbage", f"the answer is not HTTP/2: {error}"[:200]) from None

    def to_send(self) -> bytes:
        before = -1
        while self.rest and len(self.rest) != before and not self.complete:
            before = len(self.rest)
            self.rest = send_body(self.h2, self.stream, self.rest)
        return bytes(self.h2.data_to_send())

    def goodbye(self, frame: bytes) -> None:
        self.leaving = True
        last, code = int.from_bytes(frame[9:13], "big") & 0x7FFFFFFF, int.from_bytes(frame[13:17], "big")
        if not self.complete and (code != NO_ERROR or last < self.stream):
            raise Broken("closed", f"the server says goodbye before the answer: {code_name(code)}")

    def handle(self, event: Event) -> None:
        if getattr(event, "stream_id", None) != self.stream:
            return
        if isinstance(event, ResponseReceived):
            self.headers = [(bytes(name), bytes(value)) for name, value in event.headers]
            status = dict(self.headers).get(b":status", b"")
            if len(status) != 3 or not status.isdigit():
                raise Broken("garbage", "malformed status")
            self.status = int(status)
        elif isinstance(event, DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.start += event.data[: EXCERPT - len(self.start)]
            self.size += len(event.data)
            if self.size > BODY_LIMIT:
                raise Broken("garbage", "response body too large")
        elif isinstance(event, StreamEnded):
            self.complete = True
        elif isinstance(event, StreamReset) and not self.complete:
            raise Broken("reset", f"stream reset: {code_name(event.error_code)}")

    def excerpt(self) -> bytes:
        """The beginning of the answer, for people."""
        lines = [b"HTTP/2 %d" % self.status]
        lines += [name + b": " + value for name, value in self.headers if not name.startswith(b":")]
        return (b"\r\n".join([*lines, b"", b""]) + self.start)[:EXCERPT]
