"""The command that describes a load, as JSON from outside and as the engine wants it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conformance.performance.load.fields import CommandError, Fields, shown
from conformance.performance.load.schedule import SECOND, Schedule, read_schedule

BODY_LIMIT = 16 * 1024 * 1024  # bytes of a request's body
MOST_REQUESTS = 100_000_000  # of one open loop
MOST_CONNECTIONS = 20_000
MOST_SECONDS = 86_400.0
MOST_INTERVALS = 3600  # of the timeline
MOST_APART = 60.0  # seconds from or to an agreed start

_OURS = ("content-length", "transfer-encoding", "connection")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class Command:
    """One load. Times are in nanoseconds; `request` is what each exchange sends, byte for byte.

    `schedule` is None for a closed loop. `bodyless`: the answers have no body whatever their head says (HEAD).
    An answer is as expected when its status is in `statuses`, its body has `body_bytes` (None: any), and one of
    `agents` (empty: anyone) gave it. `start` is when its phases begin, by this machine's wall clock in nanoseconds
    since 1970, as several engines may have agreed; None is as soon as the connections are open.
    """

    scheme: str
    host: str
    port: int
    request: bytes
    bodyless: bool
    schedule: Schedule | None
    connections: int
    keep_alive: bool
    warmup: int
    duration: int
    timeout: int
    statuses: frozenset[int]
    body_bytes: int | None
    agents: frozenset[str]
    spin: bool
    interval: int
    raw: bool
    start: int | None = None


def read_command(data: Any) -> Command:
    """Check a command. Raises CommandError naming the first field that is not as it must be."""
    fields = Fields(data)
    open_loop = fields.choice("mode", ("open", "closed")) == "open"
    planned = fields.take("schedule", None)
    if open_loop == (planned is None):
        raise CommandError("schedule: an open loop needs one" if open_loop else "schedule: a closed loop has none")
    schedule = read_schedule(planned) if open_loop else None
    keep_alive = fields.flag("keep_alive", True)
    target = Fields(fields.take("target"), "target")
    scheme, host, port, path = _address(target)
    method, request = _request(target, scheme, host, port, path, keep_alive=keep_alive)
    target.done()
    warmup = fields.number("warmup", 0.0, MOST_SECONDS, 0.0)
    duration = fields.number("duration", 0.01, MOST_SECONDS)
    if schedule is not None and schedule.rate * (warmup + duration) > MOST_REQUESTS:
        raise CommandError(f"schedule.rate: {schedule.rate:g}/s for {warmup + duration:g} s are more than "
                           f"{MOST_REQUESTS} requests; lower it or the duration")
    statuses, body_bytes, agents = _expected(Fields(fields.take("expect", {}), "expect"))
    if scheme == "tcp" and body_bytes is not None:
        raise CommandError("expect.body_bytes: an echo over TCP is always as long as what was sent; leave it out")
    interval = fields.number("interval", 0.05, 3600.0, 0.5)
    command = Command(
        scheme=scheme, host=host, port=port, request=request, bodyless=method == "HEAD", schedule=schedule,
        connections=fields.whole("connections", 1, MOST_CONNECTIONS, 1), keep_alive=keep_alive,
        warmup=_nanoseconds(warmup), duration=_nanoseconds(duration),
        timeout=_nanoseconds(fields.number("timeout", 0.001, 600.0, 5.0)),
        statuses=statuses, body_bytes=body_bytes, agents=agents,
        spin=fields.choice("pacing", ("sleep", "spin"), "sleep") == "spin",
        interval=_nanoseconds(max(interval, duration / MOST_INTERVALS)), raw=fields.flag("raw", False),
        start=_start(fields),
    )
    fields.done()
    return command


def _start(fields: Fields) -> int | None:
    start = fields.take("start", None)
    if start is None:
        return None
    now = time.time()
    if isinstance(start, bool) or not isinstance(start, (int, float)) or not abs(start - now) <= MOST_APART:
        wanted = f"a time in seconds since 1970, within {MOST_APART:g} s of {now:.3f}, which it is by this clock"
        raise fields.fail("start", start, wanted)
    return _nanoseconds(start)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * SECOND)


def _address(target: Fields) -> tuple[str, str, int, str]:
    """(scheme, host, port, path with query) of the URL."""
    url = target.text("url", 8192)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise CommandError(f"target.url: {shown(url)}: {error}") from None
    if port is None and parts.scheme == "http":
        port = 80
    if parts.scheme not in ("http", "tcp") or not host or not port:
        raise target.fail("url", url, "http://HOST[:PORT]/PATH or tcp://HOST:PORT")
    if parts.username is not None or parts.fragment or (parts.scheme == "tcp" and (parts.path or parts.query)):
        raise target.fail("url", url, "nothing but host, port and, for HTTP, a path with a query")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise target.fail("url", url, "printable ASCII without spaces")
    return parts.scheme, host, port, path


def _request(
    target: Fields, scheme: str, host: str, port: int, path: str, *, keep_alive: bool
) -> tuple[str, bytes]:
    """(method, all bytes) of a request."""
    method = target.text("method", 32, "GET")
    if not method or not _TOKEN.issuperset(method):
        raise target.fail("method", method, "an HTTP method")
    headers = _headers(target)
    body = _body(target)
    if scheme == "tcp":
        if headers or method != "GET":
            raise CommandError("target.headers: TCP has neither headers nor a method; send a body")
        if body.startswith(b"{"):
            raise target.fail("body", body, "a body that does not begin with {, which is how an agent greets")
        return "", body or b"x" * 16
    name = f"[{host}]" if ":" in host else host
    lines = [f"{method} {path} HTTP/1.1"]
    if not any(header.lower() == "host" for header, _ in headers):
        lines.append(f"host: {name if port == 80 else f'{name}:{port}'}")
    lines += [f"{header}: {value}" for header, value in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(body)}")
    if not keep_alive:
        lines.append("connection: close")
    head = "\r\n".join([*lines, "", ""])
    if len(head) > 32 * 1024:
        raise CommandError("target.headers: all together take more than 32 KB")
    try:
        return method, head.encode("latin-1") + body
    except UnicodeEncodeError:
        raise CommandError("target.headers: only Latin-1 can be sent") from None


def _headers(target: Fields) -> list[tuple[str, str]]:
    headers = []
    for number, pair in enumerate(target.array("headers", 200, ())):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(word, str) for word in pair):
            raise target.fail(f"headers[{number}]", pair, "a pair of name and value")
        name, value = pair
        if not name or not _TOKEN.issuperset(name) or any(character in value for character in "\r\n\0"):
            raise target.fail(f"headers[{number}]", pair, "a header's name and a value without line ends")
        if name.lower() in _OURS:
            raise target.fail(f"headers[{number}]", name, "no header that follows from body and keep_alive")
        headers.append((name, value))
    return headers


def _body(target: Fields) -> bytes:
    text = target.take("body", None)
    size = target.whole("body_bytes", 0, BODY_LIMIT, 0)
    if text is None:
        return b"x" * size
    if size:
        raise CommandError("target.body_bytes: there is a body already; leave one of them out")
    try:
        body = text.encode() if isinstance(text, str) else None
    except UnicodeEncodeError:
        body = None
    if body is None or len(body) > BODY_LIMIT:
        raise target.fail("body", text, f"a string of at most {BODY_LIMIT} bytes")
    return body


def _expected(fields: Fields) -> tuple[frozenset[int], int | None, frozenset[str]]:
    statuses = fields.array("status", 100, [200])
    if not statuses or not all(type(status) is int and 200 <= status <= 999 for status in statuses):
        raise fields.fail("status", statuses, "a list of HTTP status codes from 200")
    size = fields.take("body_bytes", None)
    if size is not None and (type(size) is not int or size < 0):
        raise fields.fail("body_bytes", size, "a number of bytes or null")
    agents = fields.array("agents", 1000, ())
    if not all(isinstance(agent, str) for agent in agents):
        raise fields.fail("agents", agents, "a list of pod names")
    fields.done()
    return frozenset(statuses), size, frozenset(agents)
