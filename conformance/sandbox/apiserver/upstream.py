"""One HTTP/1.1 request to another server, over a connection of its own, and the answer as it comes.

A suite makes thousands of them, a sample asks every agent. A general client, with its pools, redirects and cookies,
takes several times as long over each.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

Headers = list[tuple[bytes, bytes]]

CONNECT_SECONDS: Final = 5.0
_PIECE: Final = 65536
_SIZES: Final = (b"content-length", b"transfer-encoding")
_WITHOUT_BODY: Final = (204, 304)


class ConnectError(Exception):
    """There is no connection; says why, in the words of a dialer."""


class Answer:
    """What a server answers. `complete` says whether all of it is there; the on_… methods are for the parser.

    Methods that read raise OSError when the answer is malformed or ends too soon.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, bodiless: bool = False) -> None:
        self.status = 0
        self.headers: Headers = []
        self.complete = False
        self._reader, self._writer = reader, writer
        self._bodiless = bodiless
        self._begun = False
        self._body: deque[bytes] = deque()
        self._parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the status."""
        self.status = self._parser.get_status_code()
        self._begun = self.status >= 200  # what comes before is about an answer to come
        self.complete = self._begun and (self._bodiless or self.status in _WITHOUT_BODY)

    def on_body(self, data: bytes) -> None:
        """Take a piece, without the marks of chunks."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Tell an answer from what comes before it."""
        self.complete = self._begun
        if not self._begun:
            self.headers.clear()

    async def begin(self) -> None:
        """Wait for status and headers."""
        while not self._begun:
            await self._read()

    def body(self) -> bytes:
        """Return the body of an answer that is complete."""
        self.close()
        return b"".join(self._body)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes."""
        try:
            while True:
                while self._body:
                    yield self._body.popleft()
                if self.complete:
                    return
                await self._read()
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        data = await self._reader.read(_PIECE)
        if data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                raise OSError(f"malformed HTTP answer: {error}") from error
        elif self._begun and not any(name in _SIZES for name, _ in self.headers):
            self.complete = True  # its end is that of the connection
        else:
            raise OSError("the server closed the connection before its answer was complete")


async def ask(
    host: str, port: int, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None = None, *,
    context: ssl.SSLContext | None = None, name: str = "",
) -> Answer:
    """Send a request and wait until its answer begins. Headers of the connection and the body's length are added.

    With `context` it goes over TLS, to a server of that `name`. Raises ConnectError, and OSError as Answer does.
    """
    own = [("host", f"{host}:{port}"), ("connection", "close")]
    own += [("content-length", str(len(body)))] if body is not None else []
    lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in (*own, *headers)), "", ""]
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(host, port, ssl=context, server_hostname=(name or host) if context else None),
            CONNECT_SECONDS,
        )
    except TimeoutError as error:
        raise ConnectError("i/o timeout") from error
    except ssl.SSLError as error:
        raise ConnectError(str(error)) from error
    except OSError as error:
        raise ConnectError(f"connect: {os.strerror(error.errno).lower() if error.errno else error}") from error
    answer = Answer(reader, writer, bodiless=method == "HEAD")
    try:
        writer.write("\r\n".join(lines).encode("latin-1") + (body or b""))
        await writer.drain()
        await answer.begin()
    except BaseException:
        answer.close()
        raise
    return answer
