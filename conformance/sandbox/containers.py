"""The client of the container runtime: containers as objects that can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox import runtime
from conformance.sandbox.accounting import Account, ContainerUsage
from conformance.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_START_TIMEOUT: Final = 20.0
_STOP_TIMEOUT: Final = 10.0
# In the environment of every container: tells the processes of a run from everyone else's, such as the shell of
# someone who has put the run's kubeconfig into a variable.
_MARK: Final = "MESH_CONFORMANCE_RUN"


class ContainerError(Exception):
    """A container could not be created; the message is for the pod's author."""


@dataclass(frozen=True)
class Program:
    """What a container runs: nothing is looked up or expanded any more, except argv[0] in the PATH of `env`."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path


@dataclass(frozen=True)
class Exit:
    """How a container ended. The code is as a shell and Kubernetes show it: 137 for signal 9."""

    code: int
    signal: int | None = None


@dataclass(frozen=True)
class Container:
    """A started container."""

    id: str
    pid: int
    started_at: float = field(default_factory=time.time)
    ended: asyncio.Future[Exit] = field(default_factory=asyncio.Future, repr=False)

    async def wait(self) -> Exit:
        """How it ended; any number of tasks may wait for it."""
        return await asyncio.shield(self.ended)


class RuntimeClient:
    """One runtime process and the containers in it. All methods belong to the event loop that started it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._starting: dict[str, asyncio.Future[Container]] = {}
        self._containers: dict[str, Container] = {}
        self._reading: asyncio.Task[None] | None = None
        self._account = Account()
        self.directory = Path()
        self.lost = asyncio.Event()
        """Set when the runtime has ended, for whatever reason; every container has ended with it."""

    @property
    def pid(self) -> int:
        """The runtime's process."""
        return self._process.pid

    @classmethod
    async def start(cls, parent: Path | None = None, *, keep_open: Iterable[int] = ()) -> RuntimeClient:
        """Start a runtime, which makes the run's directory in `parent` (default: the temporary directory).

        The descriptors in `keep_open` stay open until the runtime has removed everything. Raises SandboxError.
        """
        try:
            parent = parent or Path(tempfile.gettempdir())
        except OSError as error:
            raise SandboxError(f"no temporary directory can be written: {error}; set TMPDIR to one") from error
        argv = [sys.executable, "-S", "-E", runtime.__file__, "--owner", str(os.getpid()), "--parent", str(parent)]
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - milliseconds, and `remove_remains` needs it without a loop
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                pass_fds=tuple(keep_open),
                start_new_session=True,  # a terminal's Ctrl-C is the owner's business
            )
        except OSError as error:
            raise SandboxError(f"cannot start the sandbox's container runtime ({' '.join(argv)}): {error}") from error
        client = cls(process)
        try:
            await client._connect()
        except BaseException:
            await client.close()
            raise
        return client

    async def _connect(self) -> None:
        reader = asyncio.StreamReader(limit=2**20)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            line = await asyncio.wait_for(reader.readline(), _START_TIMEOUT)
        except TimeoutError:
            raise SandboxError(
                f"the container runtime did not answer within {_START_TIMEOUT:.0f} s; is the machine overloaded?"
            ) from None
        answer = json.loads(line) if line else {"error": "it ended without a word; see its standard error above"}
        if "ready" not in answer:
            raise SandboxError(
                f"the container runtime could not start: {answer['error']}. "
                "Set TMPDIR to a directory that exists, is writable and has space"
            )
        self.directory = Path(answer["ready"])
        self._reading = asyncio.create_task(self._read(reader), name="container runtime")

    async def run(self, program: Program) -> Container:
        """Start a container. Raises ContainerError when its program cannot be executed or the runtime is gone."""
        name = str(next(self._numbers))
        starting: asyncio.Future[Container] = asyncio.get_running_loop().create_future()
        self._starting[name] = starting
        try:
            self._send(
                start=name,
                argv=list(program.argv),
                env={**program.env, _MARK: str(self.directory)},
                cwd=str(program.cwd),
                log=str(program.log),
            )
            return await starting  # by now it may have ended, and be known to nobody else
        finally:
            self._starting.pop(name, None)

    async def usage(self) -> dict[int, ContainerUsage]:
        """What each running container has used so far, by the process number of its main process."""
        leaders = {name: container.pid for name, container in self._containers.items()}
        return await asyncio.to_thread(self._account.read, leaders)

    def signal(self, container: Container, number: int) -> None:
        """Send a signal to the main process; SIGKILL goes to the whole container. No error when it has ended."""
        with contextlib.suppress(ContainerError):
            self._send(signal=container.id, number=int(number))

    def kill(self, container: Container) -> None:
        """End the container and all its processes at once."""
        self.signal(container, signal.SIGKILL)

    def _send(self, **command: Any) -> None:
        line = (json.dumps(command) + "\n").encode()
        try:
            if self.lost.is_set() or self._process.stdin is None:
                raise BrokenPipeError("it has ended")
            # A partial write would garble every later command, and means that the runtime hangs.
            if os.write(self._process.stdin.fileno(), line) != len(line):
                raise BlockingIOError("it does not read its commands")
        except (OSError, ValueError) as error:
            raise ContainerError(f"the container runtime is down: {error}") from error

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._handle(json.loads(line))
        finally:
            self.lost.set()
            for starting in self._starting.values():
                if not starting.done():
                    starting.set_exception(ContainerError("the container runtime ended"))
            for container in self._containers.values():
                container.ended.set_result(Exit(137, signal.SIGKILL))
            self._containers.clear()

    def _handle(self, event: dict[str, Any]) -> None:
        if "started" in event:
            name = event["started"]
            self._containers[name] = Container(name, event["pid"])
            starting = self._starting.get(name)
            if starting is None or starting.done():  # whoever asked was cancelled meanwhile
                self.kill(self._containers[name])
            else:
                starting.set_result(self._containers[name])
        elif "failed" in event:
            starting = self._starting.get(event["failed"])
            if starting is not None and not starting.done():
                starting.set_exception(ContainerError(event["message"]))
        elif "orphan" in event:
            self._account.add(event["orphan"], event["cpu"])
        else:
            name = event["exited"]
            self._containers.pop(name).ended.set_result(Exit(event["code"], event["signal"]))
            self._account.close(name)

    async def close(self) -> None:
        """End the runtime with all that it runs; returns when nothing is left. Never raises."""
        self._process.stdin.close() if self._process.stdin else None
        try:
            await asyncio.wait_for(asyncio.to_thread(self._process.wait), _STOP_TIMEOUT)
        except TimeoutError:
            self._process.kill()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=1)
        self.remove_remains()

    def remove_remains(self) -> None:
        """Do what a runtime does at its end, for one that was killed. Works without an event loop."""
        with contextlib.suppress(OSError):
            self._process.stdin.close() if self._process.stdin else None
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.directory == Path() or not self.directory.exists():
            return
        deadline = time.monotonic() + _STOP_TIMEOUT
        # Direct children die with the runtime; what these had started is known by the directory in its environment.
        while (remains := _processes_of(self.directory)) and time.monotonic() < deadline:
            for pid in remains:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        shutil.rmtree(self.directory, ignore_errors=True)


def _processes_of(directory: Path) -> list[int]:
    """Processes of this user that were started as, or by, containers of the run."""
    found = []
    mark = f"{_MARK}={directory}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
