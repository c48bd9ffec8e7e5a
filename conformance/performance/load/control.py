"""The agent's commands `/load` and `/target`: one load at a time and some fast servers, each in a forked process.

- POST /load: start a load (`command.py`); 202 {"done": false, "id", …}
- GET /load/ID?wait=20: the result (200), or its progress after `wait` seconds (202)
- DELETE /load/ID: end it early; its result is of the time so far
- POST /target: start a fast server (`target.py`); 200 {"port"}
- GET /target/PORT: {"served", "connections"}
- DELETE /target/PORT: end it; answered when the port is free again
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from conformance.performance.load.child import Child, write_line
from conformance.performance.load.command import Command, read_command
from conformance.performance.load.engine import Load, supported
from conformance.performance.load.fields import CommandError
from conformance.performance.load.target import Server, Target, read_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Said = Mapping[str, Any] | bytes  # an object, or JSON as it is
    Answer = Callable[[int, Said], object]

MAX_WAIT, MAX_TARGETS, MAX_REMEMBERED = 60.0, 4, 4
PATIENCE = 5.0  # seconds that a child may take to answer, and a load longer than its phases


class Refused(Exception):  # noqa: N818 - named for what was done
    """A command is not carried out; carries the status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Waiters:
    """Those who wait for an answer; each gets one, at the latest when his time is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: collections.deque[tuple[asyncio.TimerHandle, Answer]] = collections.deque()

    def add(self, answer: Answer, wait: float, otherwise: Callable[[], tuple[int, Said]]) -> None:
        """Let someone wait for up to `wait` seconds, after which he is told what `otherwise` returns."""

        def late() -> None:
            self._waiting.remove(entry)
            answer(*otherwise())

        entry = (self._loop.call_later(wait, late), answer)
        self._waiting.append(entry)

    def tell(self, status: int, said: Said, *, most: int = 1 << 30) -> None:
        """Answer those who have waited longest."""
        while self._waiting and most > 0:
            timer, answer = self._waiting.popleft()
            timer.cancel()
            answer(status, said)
            most -= 1


class RunningLoad:
    """One load, from its start until it is forgotten."""

    def __init__(self, loop: asyncio.AbstractEventLoop, command: Command) -> None:
        self.id = os.urandom(8).hex()
        self.waiters = Waiters(loop)
        self.result: tuple[int, Said] | None = None
        seconds = (command.warmup + command.duration) / 1e9
        self.progress: Said = {"done": False, "id": self.id, "phase": "warmup", "elapsed": 0.0, "left": seconds,
                               "sent": 0, "completed": 0, "errors": 0, "rate": 0.0}
        self.child = Child(loop, lambda talk: _carry_out(command, self.id, talk), self._line, self._ended)
        # Connections are opened before the phases and answers awaited after them, each for at most the timeout.
        limit = seconds + 2 * command.timeout / 1e9 + 4 * PATIENCE
        limit += max(0.0, command.start / 1e9 - time.time()) if command.start is not None else 0.0
        self._limit = loop.call_later(limit, self.child.signal, signal.SIGKILL)

    def now(self) -> tuple[int, Said]:
        """Return the result, or how far it has got."""
        return self.result or (202, self.progress)

    def _line(self, line: bytes) -> None:
        if line.startswith(b'{"done":true'):
            self.result = 200, line
        else:
            self.progress = line

    def _ended(self, how: str) -> None:
        self._limit.cancel()
        if self.result is None:
            message = f"the process of load {self.id} ended without a result: {how}; see the pod's log"
            self.result = 500, {"done": True, "id": self.id, "error": message}
        self.waiters.tell(*self.result)


class RunningTarget:
    """One fast server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, target: Target, identity: Mapping[str, Any], ended: Callable[[], object]
    ) -> None:
        self.waiters, self.enders = Waiters(loop), Waiters(loop)
        self.failed: dict[str, str] | None = None
        self._tell_ended = ended
        self.child = Child(loop, lambda talk: _serve(target, identity, talk), self._line, self._ended)

    def _line(self, line: bytes) -> None:
        said = json.loads(line)
        if "error" in said:
            self.failed = said
        self.waiters.tell(409 if self.failed else 200, said, most=1)

    def _ended(self, how: str) -> None:
        self._tell_ended()
        self.waiters.tell(500, self.failed or {"error": f"the server's process ended: {how}; see the pod's log"})
        self.enders.tell(200, {"ok": True})


class Loads:
    """What the agent has running of both. `identity` is what the fast server says of itself."""

    def __init__(self, identity: Mapping[str, Any], *, threads: Callable[[], bool]) -> None:
        self._identity, self._threads = identity, threads
        self._loop = asyncio.get_running_loop()
        self._loads: collections.OrderedDict[str, RunningLoad] = collections.OrderedDict()
        self._targets: dict[int, RunningTarget] = {}

    def route(
        self, method: str, what: str, name: str, query: Mapping[str, str], body: bytes, later: Answer
    ) -> tuple[int, Said | None]:
        """(status, answer) of a command; no answer when `later` is called with it. Raises Refused."""
        try:
            if method == "POST" and not name:
                return self._start_load(body) if what == "load" else self._start_target(body, later)
            if method in ("GET", "DELETE") and name:
                return (self._ask_load if what == "load" else self._ask_target)(method, name, query, later)
        except CommandError as error:
            raise Refused(400, str(error)) from None
        except OSError as error:
            raise Refused(503, f"cannot start another process: {error}") from None
        raise Refused(405, f"/{what} takes POST; /{what}/{'ID' if what == 'load' else 'PORT'} takes GET and DELETE")

    def _start_load(self, body: bytes) -> tuple[int, Said]:
        command = read_command(_json(body))
        self._may_fork()
        if any(load.result is None for load in self._loads.values()):
            raise Refused(429, "a load is running already; wait for it, or DELETE it")
        load = RunningLoad(self._loop, command)
        self._loads[load.id] = load
        while len(self._loads) > MAX_REMEMBERED:
            self._loads.popitem(last=False)
        return load.now()

    def _ask_load(
        self, method: str, name: str, query: Mapping[str, str], later: Answer
    ) -> tuple[int, Said | None]:
        load = self._loads.get(name)
        if load is None:
            raise Refused(404, f"no load {name:.40}: never started, or forgotten")
        try:
            wait = float(query.get("wait", 0)) if method == "GET" else PATIENCE
        except ValueError:
            wait = -1.0
        if not 0 <= wait <= MAX_WAIT:
            raise Refused(400, f"wait must be a number of seconds from 0 to {MAX_WAIT:g}")
        if method == "DELETE":
            load.child.signal(signal.SIGTERM)
        if load.result is not None or not wait:
            return load.now()
        load.waiters.add(later, wait, load.now)
        return 202, None

    def _start_target(self, body: bytes, later: Answer) -> tuple[int, Said | None]:
        target = read_target(_json(body))
        if not target.port:
            raise Refused(400, "port: need a number from 1 to 65535, not 0")
        self._may_fork()
        if target.port in self._targets:
            raise Refused(409, f"port {target.port} is being served already; DELETE it first")
        if len(self._targets) >= MAX_TARGETS:
            raise Refused(429, f"{MAX_TARGETS} servers are running already; DELETE one first")
        running = RunningTarget(self._loop, target, self._identity, lambda: self._targets.pop(target.port))
        self._targets[target.port] = running
        running.waiters.add(later, PATIENCE, lambda: (503, {"error": "the server did not start in time"}))
        return 200, None

    def _ask_target(
        self, method: str, name: str, _: Mapping[str, str], later: Answer
    ) -> tuple[int, Said | None]:
        running = self._targets.get(int(name)) if name.isdigit() and len(name) < 6 else None
        if running is None:
            raise Refused(404, f"no server on port {name:.40}: never started, or ended")
        if method == "GET":
            running.child.say(b"")
            running.waiters.add(later, PATIENCE, lambda: (503, {"error": "the server's process does not answer"}))
        else:
            running.child.hang_up()
            running.enders.add(later, PATIENCE, lambda: (503, {"error": "the server's process does not end"}))
        return 200, None

    def _may_fork(self) -> None:
        if not supported():
            raise Refused(501, "loads need Linux, for epoll")
        if self._threads():
            raise Refused(429, "a batch is running, and its threads do not go with a new process; wait for its end")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise CommandError("the body is not JSON") from None


def _carry_out(command: Command, load_id: str, talk: int) -> None:
    """Be the process of a load."""
    load = Load(command, load_id, lambda progress: write_line(talk, json.dumps(progress).encode()))
    signal.signal(signal.SIGTERM, lambda *_: load.stop())
    write_line(talk, json.dumps(load.run(), separators=(",", ":")).encode())


def _serve(target: Target, identity: Mapping[str, Any], talk: int) -> None:
    """Be the process of a fast server."""
    try:
        server = Server(target, identity)
    except OSError as error:
        said = {"error": f"cannot listen on TCP port {target.port}: {error.strerror}"}
        write_line(talk, json.dumps(said).encode())
        return
    write_line(talk, json.dumps({"port": server.port}).encode())
    server.run(talk, talk)
