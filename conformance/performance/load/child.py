"""Processes forked from the agent, each with an interpreter lock of its own, that talk to it in lines.

The agent's process serves echoes and commands; a load in it would measure that as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import traceback
from typing import TYPE_CHECKING, Any

from conformance.performance.load.machine import die_with

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

LINE_LIMIT = 64 * 1024 * 1024  # bytes; a result with raw samples has about ten million


class Child:
    """A forked process that does `work`, given the file descriptor of its end of the talk, and then ends.

    `line` is called with each line it says; `ended` once, with what became of it ("exit status 0", "SIGKILL"), after
    its last line. Raises OSError when there can be no further process.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[int], object],
        line: Callable[[bytes], object], ended: Callable[[str], object],
    ) -> None:
        self._loop, self._line, self._ended = loop, line, ended
        self._buffer = bytearray()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                parent, self.pid = os.getpid(), os.fork()
            except BaseException:
                ours.close()
                raise
            if self.pid == 0:
                _live(parent, theirs.fileno(), work)
        self.running = True
        self._socket = ours
        ours.setblocking(False)
        loop.add_reader(ours.fileno(), self._readable)

    def say(self, line: bytes) -> None:
        """Send a line; it is lost when the child does not listen."""
        with contextlib.suppress(OSError):
            self._socket.send(line + b"\n")

    def hang_up(self) -> None:
        """Say that there will be nothing more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, while the process is there."""
        if self.running:
            os.kill(self.pid, number)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._reap()
            return
        start = len(self._buffer)
        self._buffer += data
        end = self._buffer.find(b"\n", start)
        while end >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._line(line)
            end = self._buffer.find(b"\n")
        if len(self._buffer) > LINE_LIMIT:
            self.signal(signal.SIGKILL)

    def _reap(self) -> None:
        """Collect the exit status; the process closes its end just before it has one."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            self._loop.call_later(0.01, self._reap)
            return
        self.running = False
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
        self._ended(how)


def _live(parent: int, talk: int, work: Callable[[int], object]) -> None:
    """Be the child, and nothing of the parent's: neither its signals nor its sockets. Never returns."""
    status = 1
    try:
        die_with(parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _close_files(talk)
        work(talk)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's code must not run on here
        traceback.print_exc()
    finally:
        os._exit(status)


def _close_files(keep: int) -> None:
    """Close what was inherited. The objects that own the descriptors stay, and are never collected here."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - only names are wanted
        if int(name) > 2 and int(name) != keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def write_line(talk: int, line: bytes) -> None:
    """Say a line, however long, to the parent. Raises OSError when it is gone."""
    rest: Any = memoryview(line + b"\n")
    while rest:
        rest = rest[os.write(talk, rest) :]
