"""The sandbox API server: TLS on loopback, in the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from conformance.sandbox.apiserver.access import Tokens
from conformance.sandbox.apiserver.application import VERSION, Routes
from conformance.sandbox.apiserver.certificates import make_certificate, write_kubeconfig
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.faults import Fault, Faults
from conformance.sandbox.apiserver.gate import Gate
from conformance.sandbox.apiserver.handlers import Handlers
from conformance.sandbox.apiserver.objects import uid_of
from conformance.sandbox.apiserver.resources import SERVICE_ACCOUNTS
from conformance.sandbox.apiserver.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.sandbox.apiserver.backends import NodeBackend, PodBackend, ServiceResolver

_HOST = "127.0.0.1"
_ANSWER_SECONDS = 0.15
_GRACE_SECONDS = 1


class PortTakenError(OSError):
    """The port that the API server was told to listen on is in use."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the business of whoever owns the event loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def await_listening(self, serving: asyncio.Task[None]) -> None:
        """Return when it listens. Raises what `serving`, the task that serves, raised instead."""
        listening = asyncio.ensure_future(self.listening.wait())
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if serving.done():
            serving.result()
            raise RuntimeError("the API server ended while it started")

    def cut(self) -> None:
        """Cut the connections that are still open."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class ApiServer:
    """A Kubernetes-style API server on loopback.

    `directory` takes its certificate, key and kubeconfig (mode 0600). `port` 0 takes any free one. `pods` gives logs
    and addresses of pods, `resolve_service` an address behind a service, `nodes` what the nodes consume; without them
    logs and proxies are answered with 503. Authentication is by bearer token, authorisation by RBAC; the administrator
    of the kubeconfig may do all.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        pods: PodBackend | None = None,
        resolve_service: ServiceResolver | None = None,
        nodes: NodeBackend | None = None,
        store: Store | None = None,
    ) -> None:
        self.store = store or Store()
        self.kubeconfig = directory / "kubeconfig"
        self.ca = directory / "apiserver.crt"
        self._directory = directory
        self._wanted_port = port
        self._pods = pods
        self._resolve_service = resolve_service
        self._nodes = nodes
        self._tokens = Tokens(self._account_exists)
        self._faults = Faults()
        self._url = ""
        self._server: _Server | None = None
        self._handlers: Handlers | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Such as `https://127.0.0.1:41234`; empty before the start."""
        return self._url

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return self._tokens.admin

    @property
    def version(self) -> str:
        """What it calls itself: `v1.34.0+sandbox`."""
        return VERSION["gitVersion"]

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token that stands for a service account, the same each time, good until the account is deleted."""
        return self._tokens.keep(namespace, name, self._account_uid(namespace, name))

    def _account_uid(self, namespace: str, name: str) -> str:
        try:
            return uid_of(self.store.read(SERVICE_ACCOUNTS, name, namespace))
        except ApiError:
            return ""

    def _account_exists(self, namespace: str, name: str, uid: str) -> bool:
        return self._account_uid(namespace, name) == uid

    def fault(
        self,
        path: str,
        *,
        method: str = ".*",
        status: int | None = None,
        hang: float = 0.0,
        retry_after: int | None = None,
        times: int = 1,
    ) -> Fault:
        """Make the next `times` requests whose method and path match (whole, regular expressions) go wrong.

        They wait `hang` seconds (at most 600) and are then answered with `status`, or as usual without one;
        `retry_after` in seconds goes into a Retry-After header. Raises ValueError for a fault without effect.
        """
        return self._faults.add(Fault(path, method, status, hang, retry_after, times))

    def clear_faults(self) -> None:
        self._faults.clear()

    async def start(self) -> None:
        """Listen. Raises PortTakenError, or OSError when `directory` cannot be written."""
        listener = self._listen()
        try:
            certificate, key = make_certificate(self._directory)
            self._url = f"https://{_HOST}:{listener.getsockname()[1]}"
            write_kubeconfig(self.kubeconfig, self._url, certificate, self.token)
            self._handlers = Handlers(self.store, self._tokens, self._pods, self._resolve_service, self._nodes)
            app = Gate(Routes(self._handlers).application(), self._tokens, self._faults, self._handlers.authorizer)
            config = uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,  # a proxied answer brings its own
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_keep_alive=120,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            self._server = _Server(config)
            self._serving = asyncio.get_running_loop().create_task(self._server.serve([listener]))
            await self._server.await_listening(self._serving)
        except BaseException:
            listener.close()
            raise

    def _listen(self) -> socket.socket:
        # With the protocol named, asyncio turns Nagle's algorithm off: else each answer of two TLS records takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, self._wanted_port))
            listener.listen(512)
        except OSError as error:
            listener.close()
            raise PortTakenError(
                error.errno,
                f"the API server cannot listen on {_HOST}:{self._wanted_port}: {error.strerror}; "
                f"choose another port, or 0 for any free one",
            ) from error
        listener.setblocking(False)
        return listener

    async def stop(self) -> None:
        """End all watches and requests, and stop listening. May be called more than once."""
        serving, self._serving = self._serving, None
        if self._server is None or self._handlers is None or serving is None:
            return
        self.store.close()
        self._server.should_exit = True
        await asyncio.wait((serving,), timeout=_ANSWER_SECONDS)
        # A client that holds an idle connection never answers the end of TLS; nobody is owed more than a cut now.
        self._server.cut()
        await asyncio.wait((serving,))
        await self._handlers.close()
