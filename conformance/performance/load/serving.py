"""What the fast server says: requests as far as they have arrived, and the bytes of their answers."""

from __future__ import annotations

from http import HTTPStatus

from conformance.performance.load.chunked import BadChunk, Chunks

HEAD_LIMIT = 32 * 1024  # bytes
BODY_LIMIT = 16 * 1024 * 1024  # bytes, of an answer; those of requests are read and dropped
DEFAULT_BODY = 16  # bytes
KNOWN_LIMIT, KNOWN_BYTES = 256, 4096  # requests to remember, and how long the longest may be


class Malformed(Exception):  # noqa: N818 - named for what was found
    """What was received is no HTTP/1.1 request."""


class Answers:
    """Renders answers. `identity` is what the header x-agent says."""

    def __init__(self, identity: bytes) -> None:
        self._identity = identity
        self.known: dict[bytes, bytes] = {}
        """Whole requests as received, and their answers, of those that leave the connection open."""

    def remember(self, request: bytes, answer: bytes) -> None:
        """Answer these bytes in the same way next time, without reading them."""
        if len(request) <= KNOWN_BYTES and len(answer) <= 16 * KNOWN_BYTES:
            if len(self.known) >= KNOWN_LIMIT:
                self.known.clear()
            self.known[request] = answer

    def render(self, status: int, size: int, *, bodyless: bool = False, close: bool = False) -> bytes:
        """Return one whole answer with a body of `size` bytes."""
        head = (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain\r\n"
                f"content-length: {size}\r\n{'connection: close' if close else 'connection: keep-alive'}\r\n")
        body = b"" if bodyless else b"x" * size
        return head.encode() + b"x-agent: " + self._identity + b"\r\n\r\n" + body


class Requests:
    """The requests of one connection."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._buffer = b""  # of a head that is not complete
        self._answer = b""  # to the request whose body is arriving
        self._body: int | Chunks = 0  # what is still to come of it: so many bytes, or chunks
        self._last = False
        self.close = False  # after the last answer

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was received; return the answers to all requests that it completes. Raises Malformed."""
        found: list[bytes] = []
        fresh = self.whole
        buffer = self._buffer + data if self._buffer else data
        while buffer and not self.close:
            if not self._answer:
                end = buffer.find(b"\r\n\r\n")
                if end < 0:
                    if len(buffer) > HEAD_LIMIT:
                        raise Malformed("the head is too long")
                    break
                self._answer = self._read(buffer[:end].decode("latin-1"))
                buffer = buffer[end + 4 :]
            buffer = self._skip(buffer)
            if self._body == 0:
                found.append(self._answer)
                self._answer, self.close = b"", self._last
        self._buffer = buffer
        if fresh and len(found) == 1 and self.whole and not self.close:
            self._answers.remember(data, found[0])
        return found

    @property
    def whole(self) -> bool:
        """Whether no request has arrived in part."""
        return not (self._buffer or self._answer)

    def _skip(self, buffer: bytes) -> bytes:
        """Drop what belongs to the body; return what follows it."""
        if isinstance(self._body, int):
            taken = min(self._body, len(buffer))
            self._body -= taken
            return buffer[taken:]
        try:
            end = self._body.feed(buffer)
        except BadChunk as error:
            raise Malformed(str(error)) from None
        if end < 0:
            return b""
        self._body = 0
        return buffer[end:]

    def _read(self, head: str) -> bytes:
        lines = head.split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise Malformed("not an HTTP/1.1 request line")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        tokens = fields.get("connection", "").lower()
        self._last = "close" in tokens or (words[2] == "HTTP/1.0" and "keep-alive" not in tokens)
        self._body = Chunks()
        if fields.get("transfer-encoding", "").lower() != "chunked":
            length = fields.get("content-length", "0")
            if not length.isdigit() or len(length) > 15:
                raise Malformed("a malformed content-length")
            self._body = int(length)
        status, size = 200, DEFAULT_BODY
        if words[1].startswith("/bytes/"):
            digits = words[1][7:].partition("?")[0]
            if not digits.isdigit() or len(digits) > 9 or int(digits) > BODY_LIMIT:
                status = 400
            else:
                size = int(digits)
        return self._answers.render(status, size, bodyless=words[0] == "HEAD", close=self._last)
