"""What comes back: HTTP/1.1 responses (RFC 9112) and TCP echoes, in pieces of any size, and whether they are right.

Under load nearly all answers are the same bytes as one before. The engine therefore remembers what whole answers
meant (`Judge.known`; only what was right) and comes here for those it has not seen, or that arrive in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.performance.load.chunked import BadChunk, Chunks
from conformance.performance.load.command import Command

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_LIMIT = 32 * 1024  # bytes
GREETING_LIMIT = 4096  # bytes
KNOWN_LIMIT, KNOWN_BYTES = 256, 8192  # answers to remember, and how long the longest may be
INTERIM_LIMIT = 16  # 1xx responses before the final one
AGENTS_LIMIT = 200  # distinct agents; a wrong server could name itself anew each time
GREETING = b'{"pod"'


class Garbage(Exception):  # noqa: N818 - named for what was found
    """What was received is no answer."""


class Answer:
    """What one answer means: all that is known of it and what is wrong with it, "" if nothing.

    `count` is for the fast path of the closed loop, which counts here instead of looking status and agent up again.
    """

    __slots__ = ("agent", "count", "error", "keep", "size", "status")

    def __init__(self, status: int | None, agent: str | None, error: str, size: int, *, keep: bool) -> None:
        self.status, self.agent, self.error, self.size, self.keep = status, agent, error, size, keep
        self.count = 0


class Judge:
    """Says what answers mean, and remembers it.

    `counted` is told how often the fast path has met an answer, before that is forgotten.
    """

    def __init__(self, command: Command, counted: Callable[[Answer, int], object]) -> None:
        self.command, self._counted = command, counted
        self._known: dict[bytes | None, dict[bytes, Answer]] = {}
        self._names: dict[bytes | None, str | None] = {None: None}

    def known(self, greeting: bytes | None = None) -> dict[bytes, Answer]:
        """Return the answers known on connections with this greeting: whole, as received, and what they mean."""
        if len(self._known) > AGENTS_LIMIT:
            self.flush()
            self._known.clear()
        return self._known.setdefault(greeting, {})

    def reply(self) -> HttpReply:
        """Return what takes an HTTP response that is not known."""
        return HttpReply(bodyless=self.command.bodyless)

    def judge(self, reply: HttpReply | Echo, data: bytes, known: dict[bytes, Answer]) -> Answer:
        """Return what a complete reply means; known from then on if `data`, the piece it ended with, is all of it."""
        command = self.command
        agent = self.name(reply.agent)
        error = ""
        if reply.status is not None and reply.status not in command.statuses:
            error = "status"
        elif command.body_bytes is not None and reply.body != command.body_bytes:
            error = "body"
        elif command.agents and agent not in command.agents:
            error = "agent"
        answer = Answer(reply.status, agent, error, reply.size, keep=reply.keep and command.keep_alive)
        if reply.size == len(data) <= KNOWN_BYTES and answer.keep and not error:
            if len(known) >= KNOWN_LIMIT:
                self.flush()
                known.clear()
            known[data] = answer
        return answer

    def flush(self) -> None:
        """Tell what the fast path has counted since the last time."""
        for known in self._known.values():
            for answer in known.values():
                if answer.count:
                    self._counted(answer, answer.count)
                    answer.count = 0

    def name(self, line: bytes | None) -> str | None:
        """Return the pod of an agent's identity, "other" when there were too many, None when nobody said."""
        if line not in self._names:
            if len(self._names) > 4 * AGENTS_LIMIT:
                return "other"
            self._names[line] = _pod(line or b"")
        return self._names[line]


def _pod(line: bytes) -> str:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    name = said.get("pod") if isinstance(said, Mapping) else None
    return name[:253] if isinstance(name, str) else "other"


class HttpReply:
    """One HTTP response as it arrives."""

    def __init__(self, *, bodyless: bool) -> None:
        self.status: int | None = None
        self.agent: bytes | None = None
        self.body = 0  # bytes of it
        self.size = 0  # bytes of everything
        self.keep = True
        self._bodyless = bodyless
        self._interim = 0
        self._buffer = b""  # of a head or a line that is not complete
        self._chunks = Chunks()
        self._state = "head"  # then one of: length, until close, chunks
        self._left = 0

    def feed(self, data: bytes) -> bool:
        """Take what was received; true when the response is complete. Raises Garbage."""
        self.size += len(data)
        start = 0
        if self._state == "head":
            self._buffer = data = self._buffer + data if self._buffer else data
            start = self._heads(data)
            if start < 0:
                return False
            self._buffer = b""
        rest = len(data) - start
        if self._state == "length":
            if rest > self._left:
                raise Garbage(f"{rest - self._left} bytes after the end of the response")
            self._left -= rest
            return not self._left
        if self._state == "until close":
            self.body += rest
            return False
        return self._chunked(data, start)

    def ended(self) -> bool:
        """Whether the end of the connection completes the response."""
        return self._state == "until close"

    def _chunked(self, data: bytes, start: int) -> bool:
        try:
            end = self._chunks.feed(data, start)
        except BadChunk as error:
            raise Garbage(str(error)) from None
        self.body = self._chunks.size
        if 0 <= end < len(data):
            raise Garbage(f"{len(data) - end} bytes after the end of the response")
        return end >= 0

    def _heads(self, data: bytes) -> int:
        """Read the head, and interim ones before it; return where the body begins, -1 when there is more to come."""
        start = 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end < 0 or end - start > HEAD_LIMIT:
                if not data.startswith(b"HTTP/1."[: len(data) - start], start):
                    raise Garbage("not HTTP/1.1")
                if len(data) - start > HEAD_LIMIT:
                    raise Garbage("the head is too long")
                self._buffer = data[start:]
                return -1
            status, fields, persistent = _head(data[start:end])
            start = end + 4
            if status >= 200:
                break
            self._interim += 1
            if status == 101 or self._interim > INTERIM_LIMIT:
                raise Garbage("a switch of protocols that nobody asked for" if status == 101 else "1xx without end")
        self.status, self.agent = status, fields.get(b"x-agent")
        self._begin_body(fields, persistent=persistent)
        return start

    def _begin_body(self, fields: Mapping[bytes, bytes], *, persistent: bool) -> None:
        tokens = fields.get(b"connection", b"").lower()
        self.keep = b"close" not in tokens if persistent else b"keep-alive" in tokens
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        if self._bodyless or self.status in (204, 304):
            self._state = "length"
        elif coding is not None:
            if coding.lower() != b"chunked":
                raise Garbage(f"transfer encoding {coding[:40]!r}")
            self._state = "chunks"
        elif length is not None:
            if not length.isdigit() or len(length) > 15:
                raise Garbage(f"content-length {length[:40]!r}")
            self._state, self.body = "length", int(length)
            self._left = self.body
        else:
            self._state, self.keep = "until close", False


def _head(head: bytes) -> tuple[int, dict[bytes, bytes], bool]:
    """(status, fields by name in lower case, whether its version keeps connections) of a response's head."""
    lines = head.split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    code = rest[:3]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not code.isdigit() or code < b"100" or rest[3:4].strip():
        raise Garbage("a malformed status line")
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[-1:].isspace():
            raise Garbage("a malformed header")
        name, value = name.lower(), value.strip()
        if name == b"content-length" and fields.get(name, value) != value:
            raise Garbage("two lengths")
        fields[name] = value
    return int(code), fields, version == b"HTTP/1.1"


class Echo:
    """What was sent, coming back over TCP; the first one of a connection after the line with which an agent may greet.

    `greeting`: that of the connection, "" when it is not known yet whether it has one.
    """

    status: int | None = None
    keep = True

    def __init__(self, sent: bytes, greeting: bytes | None = b"") -> None:
        self.agent = greeting or None
        self.body = self.size = 0
        self._sent = sent
        self._start = b""
        self._greeted = greeting != b""

    def feed(self, data: bytes) -> bool:
        """Take what was received; true when the echo is complete. Raises Garbage."""
        self.size += len(data)
        if not self._greeted:
            data = self._start = self._start + data
            if GREETING.startswith(data[: len(GREETING)]):
                line, end, data = data.partition(b"\n")
                if len(line) > GREETING_LIMIT:
                    raise Garbage("a greeting without end")
                if not end:
                    return False
                self.agent = line
            self._greeted = True
        end_of_body = self.body + len(data)
        if self._sent[self.body : end_of_body] != data:
            raise Garbage("the echo differs from what was sent")
        self.body = end_of_body
        return end_of_body == len(self._sent)

    def ended(self) -> bool:
        """Whether the end of the connection completes the echo: never."""
        return False
