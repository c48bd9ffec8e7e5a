"""The fast server: answers GET and POST on any path (`/bytes/N`: N bytes), or echoes TCP, with known faults on order.

It answers about as fast as one core of Python can. What it is told to do wrong it does exactly, so that a load engine
can be held to it: a delay, a cap of its rate, a stall as of a stopped process.
"""

from __future__ import annotations

import json
import os
import select
import socket
from collections import deque
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from conformance.performance.load.fields import Fields
from conformance.performance.load.machine import allow_many_files, precise_timers
from conformance.performance.load.serving import Answers, Malformed, Requests

NEVER = 1 << 62
SPIN = 150_000  # nanoseconds before an answer is due that are waited out busily: a wake-up takes half as long
CHUNK = 65536  # bytes to read at once
BACKLOG = 4096  # connections that wait to be accepted
IN, OUT = select.EPOLLIN, select.EPOLLOUT


@dataclass(frozen=True)
class Target:
    """What to serve. `delay` (nanoseconds) comes before each answer; at most `rate` answers go out per second.

    From `stall_after` nanoseconds after the first request on, nothing is read or answered for `stall_for`.
    """

    port: int
    protocol: str = "http"
    delay: int = 0
    rate: float | None = None
    stall_after: int = 0
    stall_for: int = 0


def read_target(data: Any) -> Target:
    """Check a command. Raises CommandError."""
    fields = Fields(data)
    rate = fields.take("rate", None)
    if rate is not None and (type(rate) not in (int, float) or not 0.001 <= rate <= 10_000_000):
        raise fields.fail("rate", rate, "a number of answers per second, or null")
    stall = fields.take("stall", None)
    after = length = 0.0
    if stall is not None:
        within = Fields(stall, "stall")
        after, length = within.number("after", 0.0, 86_400.0), within.number("for", 0.0, 3600.0)
        within.done()
    target = Target(
        port=fields.whole("port", 0, 65_535), protocol=fields.choice("protocol", ("http", "tcp"), "http"),
        delay=round(fields.number("delay", 0.0, 60.0, 0.0) * 1e9), rate=rate,
        stall_after=round(after * 1e9), stall_for=round(length * 1e9),
    )
    fields.done()
    return target


class Connection:
    """One accepted connection."""

    __slots__ = ("fd", "last", "out", "recv", "requests", "send", "sock", "whole")

    def __init__(self, sock: socket.socket, requests: Requests | None) -> None:
        self.sock, self.fd, self.recv, self.send = sock, sock.fileno(), sock.recv, sock.send
        self.requests = requests  # None: an echo
        self.out = b""  # what could not be sent yet
        self.last = False  # to be closed when all is sent
        self.whole = requests is not None  # no request has arrived in part


class Server:
    """The fast server on one port. Raises OSError when it cannot listen."""

    def __init__(self, target: Target, identity: Any, address: str | None = None) -> None:
        self.target = target
        self.listener = _listener(address, target.port)
        self.port = int(self.listener.getsockname()[1])
        self.served = self.accepted = 0
        self.answers = Answers(json.dumps({**identity, "port": self.port}, separators=(",", ":")).encode())
        self.connections: dict[int, Connection] = {}
        self.epoll = select.epoll()
        self._due: deque[tuple[int, Connection, bytes]] = deque()  # all wait equally long: first come, first due
        self._step = round(1e9 / target.rate) if target.rate else 0
        self._turn = 0  # when the next answer may go out
        self._stall = NEVER if target.stall_for else 0  # when the stall begins; 0: there is none, or no more

    def run(self, commands: int, answers: int) -> None:
        """Serve until the file descriptor `commands` ends; for each line on it write {"served", "connections"}."""
        precise_timers()
        allow_many_files()
        listener, connections = self.listener.fileno(), self.connections
        for fd in (listener, commands):
            self.epoll.register(fd, IN)
        # Faults on order need to know of every request; without them one that was seen before needs no reading.
        known = {} if self._step or self.target.delay or self._stall else self.answers.known
        while True:
            for fd, mask in self._wait(commands):
                connection = connections.get(fd)
                if connection is None:
                    if fd == listener:
                        self._accept()
                    elif fd == commands and not self._command(commands, answers):
                        return
                elif mask != IN:
                    self._flush(connection, mask)
                else:
                    self._read(connection, known)

    def _wait(self, commands: int) -> list[tuple[int, int]]:
        """Send what is due, stall when it is time, and return what there is to do."""
        if self._due:
            now = perf_counter_ns()
            while self._due and self._due[0][0] <= now:
                _, connection, answer = self._due.popleft()
                self._answer(connection, answer)
        if not self._due and not self._stall:
            return self.epoll.poll()
        now = perf_counter_ns()
        if self._stall and now >= self._stall:
            left = self._stall + self.target.stall_for - now
            if left > 0:
                ready = select.select([commands], (), (), left / 1e9)[0]
                return [(commands, IN)] if ready else []
            self._stall = 0
        wake = min(self._due[0][0] - SPIN if self._due else NEVER, self._stall or NEVER)
        if wake > now:
            timeout = None if wake == NEVER else (wake - now) / 1e9
            select.select([self.epoll.fileno()], (), (), timeout)
        return self.epoll.poll(0)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            requests = Requests(self.answers) if self.target.protocol == "http" else None
            self.connections[sock.fileno()] = Connection(sock, requests)
            self.epoll.register(sock.fileno(), IN)
            self.accepted += 1

    def _read(self, connection: Connection, known: dict[bytes, bytes]) -> None:
        try:
            data = connection.recv(CHUNK)
            answer = known.get(data) if connection.whole else None
            if answer is not None:
                self._answer(connection, answer)
            elif data:
                self._received(connection, data)
            else:
                self._close(connection)
        except BlockingIOError:
            pass
        except (OSError, Malformed):
            self._close(connection)

    def _received(self, connection: Connection, data: bytes) -> None:
        now = perf_counter_ns()  # reading the request is part of the delay, or that would be longer than it says
        found = [data] if connection.requests is None else connection.requests.feed(data)
        connection.whole = connection.requests is not None and connection.requests.whole
        for answer in found:
            if self._stall == NEVER:
                self._stall = now + self.target.stall_after
            if not self._step and not self.target.delay:
                self._answer(connection, answer)
                continue
            due = now + self.target.delay
            if self._step:
                due = self._turn = max(due, self._turn + self._step)
            self._due.append((due, connection, answer))

    def _answer(self, connection: Connection, answer: bytes) -> None:
        if connection.fd not in self.connections:
            return
        self.served += 1
        connection.last = connection.requests is not None and connection.requests.close
        if connection.out:
            connection.out += answer
            return
        try:
            sent = connection.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent < len(answer):
            self._later(connection, answer[sent:])
        elif connection.last:
            self._close(connection)

    def _later(self, connection: Connection, rest: bytes) -> None:
        """Keep what could not be sent, and read no more requests until it is."""
        connection.out = rest
        self.epoll.modify(connection.fd, OUT)

    def _flush(self, connection: Connection, mask: int) -> None:
        if not mask & OUT:
            self._close(connection)
            return
        try:
            connection.out = connection.out[connection.send(connection.out) :]
        except BlockingIOError:
            return
        except OSError:
            connection.out, connection.last = b"", True
        if not connection.out:
            if connection.last:
                self._close(connection)
            else:
                self.epoll.modify(connection.fd, IN)

    def _close(self, connection: Connection) -> None:
        if self.connections.pop(connection.fd, None) is not None:
            self.epoll.unregister(connection.fd)
            connection.sock.close()

    def _command(self, commands: int, answers: int) -> bool:
        """Answer each line of the one who started this; false when he is gone."""
        try:
            lines = os.read(commands, 4096)
            said = json.dumps({"served": self.served, "connections": self.accepted}).encode() + b"\n"
            os.write(answers, said * lines.count(b"\n"))
        except OSError:
            return False
        return bool(lines)


def _listener(address: str | None, port: int) -> socket.socket:
    """Listen on an address, or on every one: IPv6 and IPv4 where there is both."""
    if address is not None:
        return _bound(socket.AF_INET, address, port)
    try:
        return _bound(socket.AF_INET6, "::", port)
    except OSError:
        return _bound(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - what a pod is for


def _bound(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
