"""What servers may answer to a request that is passed on, and what is no answer."""

from __future__ import annotations

import asyncio

import pytest

from conformance.sandbox.apiserver import upstream


def ask(answers, method="GET", body=None, **options):
    """What comes of asking a server that answers with these pieces: status, headers, body, whether it was at once."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n") + (await reader.readexactly(len(body)) if body else b""))
        for piece in answers:
            writer.write(piece)
            await asyncio.sleep(0.02)
        writer.close()

    async def exchange():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            found = await upstream.ask("127.0.0.1", port, method, "/x?y=1", [("a", "b")], body, **options)
            at_once = found.complete
            pieces = [piece async for piece in found.pieces()]
            return found.status, dict(found.headers), b"".join(pieces), at_once, port

    *found, port = asyncio.run(exchange())
    return *found, asked[0].replace(str(port).encode(), b"PORT")


@pytest.mark.parametrize(("answers", "body", "at_once"), [
    ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"], b"hi", True),
    ([b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhi", b"ho"], b"hiho", False),
    ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"], b"hi", True),
    ([b"HTTP/1.1 200 OK\r\n\r\nhi", b"ho"], b"hiho", False),
    ([b"HTTP/1.1 100 Continue\r\nearly: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], b"", True),
    ([b"HTTP/1.1 2", b"00 OK\r\ncontent-le", b"ngth: 2\r\n\r\nhi"], b"hi", True),
])
def test_an_answer(answers, body, at_once):
    status, headers, found, complete, _ = ask(answers)
    assert (status, found, complete) == (200, body, at_once)
    assert b"early" not in headers


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body(method, status):
    found = ask([b"HTTP/1.1 %d X\r\ncontent-length: 7\r\n\r\n" % status], method)
    assert (found[0], found[1][b"content-length"], found[2], found[3]) == (status, b"7", b"", True)


@pytest.mark.parametrize(("answers", "why"), [
    ([], "closed the connection"),
    ([b"HTTP/1.1 200 OK\r\n"], "closed the connection"),
    ([b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhi"], "closed the connection"),
    ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"], "closed the connection"),
    ([b"SSH-2.0-x\r\n\r\n"], "malformed HTTP answer"),
])
def test_no_answer(answers, why):
    with pytest.raises(OSError, match=why):
        ask(answers)


def test_what_is_sent():
    *_, asked = ask([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], "POST", b"body")
    assert asked == (b"POST /x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nconnection: close\r\ncontent-length: 4\r\n"
                     b"a: b\r\n\r\nbody")


def test_nobody_there():
    with pytest.raises(upstream.ConnectError, match="connect: connection refused"):
        asyncio.run(upstream.ask("127.0.0.1", 1, "GET", "/", []))
