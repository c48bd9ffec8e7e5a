"""The sandbox for callers that know nothing of event loops: a context manager that never leaves anything behind."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final, Self, TypeVar

from conformance.sandbox.assembly import Assembly
from conformance.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from conformance.sandbox.apiserver import ApiServer

    T = TypeVar("T")

_START_TIMEOUT: Final = 60.0
_STOP_TIMEOUT: Final = 30.0


async def _cancel_rest() -> None:
    """End what was started and not awaited: a task that dies with its loop complains on standard error."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class Sandbox:
    """A cluster in this process, from `start()` to `stop()`.

    Everything of a run lives in one directory, made in `directory` (default: the temporary directory) and removed at
    the end. Whatever ends this process, even SIGKILL, also ends all pods and removes the directory: see `runtime`.
    `crds` are served from the start, `port` is the API server's (0: any free one).
    """

    def __init__(
        self, *, crds: Iterable[Mapping[str, Any]] = (), port: int = 0, directory: Path | None = None
    ) -> None:
        self._crds = tuple(crds)
        self._port = port
        self._parent = directory
        self._assembly: Assembly | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, if it has not been. Raises SandboxError; nothing is left then."""
        if self._thread is not None:
            return
        self._loop = asyncio.new_event_loop()
        # A daemon, so that a program that forgets to stop the sandbox can still end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()
        self._assembly = Assembly(crds=self._crds, port=self._port, parent=self._parent)
        try:
            self._call(self._assembly.start(), _START_TIMEOUT)
        except BaseException as error:
            self.stop()
            if isinstance(error, TimeoutError):
                raise SandboxError(
                    f"the sandbox has not started within {_START_TIMEOUT:.0f} s; is the machine overloaded?"
                ) from error
            raise

    def stop(self) -> None:
        """End every pod, the API server and the thread, and remove the directory. May be called again."""
        loop, thread, assembly = self._loop, self._thread, self._assembly
        if loop is None or thread is None:
            return
        try:
            if assembly is not None and thread.is_alive():
                with contextlib.suppress(TimeoutError):
                    self._call(assembly.stop(), _STOP_TIMEOUT)
                with contextlib.suppress(TimeoutError):
                    self._call(_cancel_rest(), _STOP_TIMEOUT)
        finally:
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_TIMEOUT)
            if not thread.is_alive():
                loop.close()
            if assembly is not None:
                assembly.remove_remains()

    def _call(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def _running(self) -> Assembly:
        if self._thread is None or self._assembly is None:
            raise SandboxError("the sandbox is not running; call start() or use it in a with statement")
        return self._assembly

    @property
    def api(self) -> ApiServer:
        """The API server, whose store belongs to the sandbox's own thread; faults may be made from any."""
        return self._running().api

    @property
    def url(self) -> str:
        """The API server's URL."""
        return self.api.url

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig file for the whole cluster, readable by its owner only."""
        return self.api.kubeconfig

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self._running().directory

    @property
    def network(self) -> int:
        """The number n of the addresses 10.n.* of this sandbox."""
        return self._running().network.number

    @property
    def version(self) -> str:
        """The Kubernetes version that the API server says it is."""
        return self._running().version

    @property
    def runtime_pid(self) -> int:
        """The process that owns the pods."""
        return self._running().runtime.pid
