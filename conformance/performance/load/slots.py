"""The connections of a load. Each is a slot that carries one request at a time, and is opened anew when it broke."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from itertools import cycle
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from conformance.performance.load.arrival import ROOM, SO_TIMESTAMPNS, arrived
from conformance.performance.load.command import Command
from conformance.performance.load.exchange import Answer, Echo, Garbage, HttpReply, Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Done = Callable[["Slot", "Answer | None", str, int], None]
    """The end of a request: its slot, the answer if there was a whole one, what was wrong ("": nothing), and when."""

EMPTY, OPENING, CONNECTING, IDLE, BUSY, PARTLY = range(6)
"""Without a connection; opening one ahead of any request; opening one for a request; open and free; waiting for an
answer, all being sent and nothing received; a request sent, or an answer received, in part."""

CHUNK = 65536  # bytes to read at once
IN, OUT = select.EPOLLIN, select.EPOLLOUT

KINDS = ("timeout", "reset", "refused", "closed", "garbage", "status", "body", "agent", "name-not-found",
         "unreachable", "local", "unfinished")
"""Why a request is none of the completed. `local`: the fault is on this side, and nothing was learnt."""

# EPERM and EACCES are how some network policies deny.
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EPERM, errno.EACCES)
_OF_ERRNO = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout", errno.ECONNRESET: "reset",
             errno.EPIPE: "reset", errno.ECONNABORTED: "reset"} | dict.fromkeys(_UNREACHABLE, "unreachable")


def kind_of(error: OSError) -> str:
    """Return the kind of failure that an error is."""
    if isinstance(error, socket.gaierror):
        return "name-not-found"
    return _OF_ERRNO.get(error.errno or 0, "local")


class Slot:
    """One connection, and the request on it: when it was meant to be sent and when it was.

    `freed` is when the request before it had ended: what is sent later than both that and its time, the engine delayed.
    """

    __slots__ = (
        "fd", "freed", "greeting", "intended", "known", "opened", "out", "recv", "reply", "send", "sent", "sock",
        "state",
    )

    sock: socket.socket
    recv: Callable[[int], bytes]
    send: Callable[[Any], int]

    def __init__(self) -> None:
        self.state = EMPTY
        self.fd = -1
        self.intended = self.sent = self.opened = self.freed = 0
        self.out: memoryview | None = None  # what is left to be sent
        self.reply: HttpReply | Echo | None = None  # what has arrived in part
        self.greeting: bytes | None = b""
        self.known: dict[bytes, Answer] = {}


class Slots:
    """All connections of a load and what happens on them.

    `done` is told the end of each request, when its slot is free again; `connected` how long connecting took, in ns.
    """

    def __init__(self, command: Command, judge: Judge, done: Done, connected: Callable[[Slot, int], None]) -> None:
        self.request, self.echo = command.request, command.scheme == "tcp"
        self.judge, self.done, self.connected = judge, done, connected
        self.epoll = select.epoll()
        self.by_fd: dict[int, Slot] = {}
        self.all = [Slot() for _ in range(command.connections)]
        self.bytes_sent = self.bytes_received = 0
        self.stamped = 0  # answers, or pieces of them, of which the kernel said when they arrived
        self._stamps = command.schedule is not None  # a closed loop would pay for them with its rate
        self._addresses: Any = cycle(())
        self._unresolved: OSError | None = None

    def resolve(self, host: str, port: int) -> None:
        """Look the target up, once and before anything is measured; its addresses are used in turn."""
        try:
            found: Sequence[Any] = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except UnicodeError:
            self._unresolved = socket.gaierror(socket.EAI_NONAME, "not a host name")
        except OSError as error:
            self._unresolved = error
        else:
            self._addresses = cycle([(family, address) for family, _, _, _, address in found if family == found[0][0]])

    def begin(self, slot: Slot, intended: int) -> None:
        """Send a request on a free slot, over a new connection if it has none."""
        slot.intended, slot.sent = intended, perf_counter_ns()
        if slot.state == IDLE:
            self.transmit(slot)
        else:
            self.open(slot, CONNECTING)

    def open(self, slot: Slot, state: int) -> None:
        """Begin to connect: OPENING or CONNECTING."""
        slot.opened, slot.state = perf_counter_ns(), state
        try:
            if self._unresolved is not None:
                raise self._unresolved
            family, address = next(self._addresses)
            sock = slot.sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self.broken(slot, kind_of(error))
            return
        slot.fd, slot.recv, slot.send = sock.fileno(), sock.recv, sock.send
        slot.reply, slot.out, slot.greeting = Echo(self.request) if self.echo else None, None, b""
        slot.known = self.judge.known()
        self.by_fd[slot.fd] = slot
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._stamps:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.connect(address)
        except BlockingIOError:
            self.epoll.register(slot.fd, OUT)
        except OSError as error:
            self.epoll.register(slot.fd, 0)
            self.broken(slot, kind_of(error))
        else:
            self.epoll.register(slot.fd, IN)
            self._opened(slot)

    def event(self, slot: Slot, mask: int) -> None:
        """Go on with a slot of which epoll has news."""
        state = slot.state
        if state >= BUSY:
            if slot.out is not None and mask & OUT:
                self._flush(slot)
            if mask & ~OUT:
                self._read(slot)
        elif state == IDLE:
            self._unasked(slot)
        elif state in (OPENING, CONNECTING):
            number = slot.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self.broken(slot, kind_of(OSError(number, "")))
            elif mask & OUT:
                self.epoll.modify(slot.fd, IN)
                self._opened(slot)

    def close(self, slot: Slot) -> None:
        """Give up a slot's connection, whatever its state."""
        slot.state = EMPTY
        slot.reply = slot.out = None
        if slot.fd >= 0:
            del self.by_fd[slot.fd]
            self.epoll.unregister(slot.fd)
            slot.fd = -1
            slot.sock.close()

    def expire(self, now: int, timeout: int, kind: str = "timeout") -> None:
        """End every request, and every attempt to connect, that has taken longer than `timeout` nanoseconds."""
        for slot in self.all:
            if slot.state in (CONNECTING, BUSY, PARTLY) and now - slot.sent > timeout:
                self.broken(slot, kind)
            elif slot.state == OPENING and now - slot.opened > timeout:
                self.close(slot)

    def finish(self) -> None:
        """Close everything."""
        for slot in self.all:
            self.close(slot)
        self.epoll.close()

    # --- one request ---

    def _opened(self, slot: Slot) -> None:
        self.connected(slot, perf_counter_ns() - slot.opened)
        if slot.state == CONNECTING:
            self.transmit(slot)
        else:
            slot.state = IDLE

    def transmit(self, slot: Slot) -> None:
        """Send the request over the slot's open connection."""
        slot.state = BUSY if slot.reply is None else PARTLY
        try:
            sent = slot.send(self.request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.broken(slot, kind_of(error))
            return
        self.bytes_sent += sent
        if sent < len(self.request):
            self.keep_rest(slot, sent)

    def keep_rest(self, slot: Slot, sent: int) -> None:
        """Send what is left of the request when there is room."""
        slot.state, slot.out = PARTLY, memoryview(self.request)[sent:]
        self.epoll.modify(slot.fd, IN | OUT)

    def _flush(self, slot: Slot) -> None:
        assert slot.out is not None
        try:
            sent = slot.send(slot.out)
        except BlockingIOError:
            return
        except OSError:
            # The server may have answered, and closed, before it read everything: what it said counts.
            sent = len(slot.out)
        self.bytes_sent += sent
        slot.out = slot.out[sent:] or None
        if slot.out is None:
            self.epoll.modify(slot.fd, IN)

    def _read(self, slot: Slot) -> None:
        while slot.state >= BUSY:
            try:
                if self._stamps:
                    data, ancillary, _, _ = slot.sock.recvmsg(CHUNK, ROOM)
                    now, stamped = arrived(ancillary, slot.sent)
                    self.stamped += stamped
                else:
                    data, now = slot.recv(CHUNK), perf_counter_ns()
            except BlockingIOError:
                return
            except OSError as error:
                self.broken(slot, kind_of(error))
                return
            self.received(slot, data, now)
            if len(data) < CHUNK:
                return

    def received(self, slot: Slot, data: bytes, now: int) -> None:
        """Take what a busy slot received at `now`; nothing is the end of the connection."""
        self.bytes_received += len(data)
        answer = slot.known.get(data) if slot.reply is None else None
        if answer is None:
            try:
                answer = self._feed(slot, data)
            except Garbage:
                self.broken(slot, "garbage", now)
                return
        if answer is not None:
            self._answered(slot, answer, now)
        elif not data:
            self.broken(slot, "closed", now)

    def _feed(self, slot: Slot, data: bytes) -> Answer | None:
        """Return the answer when `data` (nothing: the connection has ended) completes it. Raises Garbage."""
        reply = slot.reply
        if reply is None:
            reply = slot.reply = Echo(self.request, slot.greeting) if self.echo else self.judge.reply()
        slot.state = PARTLY
        if not (reply.feed(data) if data else reply.ended()):
            return None
        if self.echo and slot.greeting == b"":
            slot.greeting = reply.agent
            slot.known = self.judge.known(reply.agent)
        return self.judge.judge(reply, data, slot.known)

    def _answered(self, slot: Slot, answer: Answer, now: int) -> None:
        """Free the slot of a request that was answered."""
        slot.reply = None
        slot.state = IDLE
        if not answer.keep or slot.out is not None:
            self.close(slot)
        self.done(slot, answer, answer.error, now)

    def _unasked(self, slot: Slot) -> None:
        """Take what comes while nothing was asked: the end of the connection, or an agent's greeting over TCP."""
        try:
            data = slot.recv(CHUNK)
            if data and isinstance(slot.reply, Echo):
                self.bytes_received += len(data)
                if not slot.reply.feed(data) and not slot.reply.body:
                    return
        except BlockingIOError:
            return
        except (OSError, Garbage):
            pass
        self.close(slot)

    def broken(self, slot: Slot, kind: str, now: int = 0) -> None:
        """Give up the connection, and the request on it if there is one."""
        lost = slot.state in (CONNECTING, BUSY, PARTLY)
        self.close(slot)
        if lost:
            self.done(slot, None, kind, now or perf_counter_ns())
