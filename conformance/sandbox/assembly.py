"""Puts the sandbox together, in one event loop: network, container runtime, API server, controllers, kubelet."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.sandbox.accounting import machine
from conformance.sandbox.apiserver import ApiServer, PortTakenError
from conformance.sandbox.apiserver.errors import ApiError, unavailable
from conformance.sandbox.apiserver.resources import CRDS, PODS
from conformance.sandbox.apiserver.summary import Summarizer
from conformance.sandbox.containers import RuntimeClient
from conformance.sandbox.controllers import (
    NODE,
    DeploymentController,
    EndpointController,
    JobController,
    NamespaceController,
    ReplicaSetController,
    ServiceTable,
    populate,
    service_account_admission,
    set_node_status,
)
from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet import Credentials, Kubelet, Node, Programs
from conformance.sandbox.network import Network
from conformance.sandbox.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.store import Store

_LOG = logging.getLogger(__name__)


class Assembly:
    """The parts of one sandbox. What is named by an attribute exists from `start()` on.

    It is also PodBackend and NodeBackend of the API server, which must exist before the kubelet that answers can.
    """

    network: Network
    runtime: RuntimeClient
    api: ApiServer
    kubelet: Kubelet
    services: ServiceTable
    version: str

    def __init__(
        self, *, crds: Iterable[Mapping[str, Any]] = (), port: int = 0, parent: Path | None = None
    ) -> None:
        self._crds = tuple(crds)
        self._port = port
        self._parent = parent
        self._tasks: list[asyncio.Task[None]] = []
        self._summarizer = Summarizer(NODE)

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self.runtime.directory

    async def start(self) -> None:
        """Start everything; the cluster is complete when it returns. Raises SandboxError; call `stop()` then too."""
        self.network = Network.claim()
        # The runtime keeps the claim until the last process that uses the network is gone.
        self.runtime = await RuntimeClient.start(self._parent, keep_open=[self.network.fileno])
        try:
            await self._start_api()
            self._populate()
        except PortTakenError as error:
            raise SandboxError(error.strerror or str(error)) from error
        except OSError as error:
            raise SandboxError(f"the sandbox cannot start in {self.directory}: {error}") from error

    async def _start_api(self) -> None:
        self.api = ApiServer(
            self.directory,
            port=self._port,
            pods=self,
            resolve_service=self._resolve,
            nodes=self,
        )
        store = self.api.store
        store.allocate, store.release = self.network.services.allocate, self.network.services.release
        store.admit.append(service_account_admission(store))
        await self.api.start()

    def _populate(self) -> None:
        store, directory = self.api.store, self.directory
        self.version = self.api.version
        address = urlsplit(self.api.url)
        host, port = address.hostname or "127.0.0.1", address.port or 443
        programs = Programs(directory / "bin")
        programs.install()
        credentials = Credentials(host, port, self.api.ca.read_text(), self.api.service_account_token)
        table = directory / "services.json"
        self.services = ServiceTable(store, table)
        self.services.reconcile(("", ""))
        node = Node(
            name=NODE,
            store=store,
            runtime=self.runtime,
            network=self.network,
            programs=programs,
            credentials=credentials,
            recorder=Recorder(store, "kubelet", NODE),
            directory=directory,
            services=table,
        )
        self.kubelet = Kubelet(node)
        populate(store, host=host, port=port, version=self.version)
        namespaces = NamespaceController(store, credentials.ca)
        for name in ("default", "kube-system"):
            namespaces.reconcile(("", name))  # at once, for who looks as soon as the sandbox has started
        for crd in self._crds:
            try:
                store.create(CRDS, dict(crd))
            except ApiError as error:
                raise SandboxError(f"the API server does not take a CustomResourceDefinition: {error}") from error
        recorder = Recorder(store, "sandbox-controller-manager")
        for controller in (
            namespaces,
            self.services,
            EndpointController(store),
            ReplicaSetController(store, recorder),
            DeploymentController(store, recorder),
            JobController(store, recorder),
        ):
            self._spawn(controller.run(), type(controller).__name__)
        self._spawn(self.kubelet.run(), "kubelet")
        self._spawn(self._watch_runtime(store), "runtime watch")

    async def _watch_runtime(self, store: Store) -> None:
        await self.runtime.lost.wait()
        message = "the container runtime has ended, and all pods with it; start a new sandbox"
        _LOG.error("%s", message)
        set_node_status(store, ready=False, version=self.version, message=message)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End everything, in the reverse order; whatever has been started, and however far."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if hasattr(self, "kubelet"):
            await self.kubelet.stop()
        try:
            if hasattr(self, "api"):
                await self.api.stop()
        finally:
            if hasattr(self, "runtime"):
                await self.runtime.close()
            if hasattr(self, "network"):
                self.network.release()

    def remove_remains(self) -> None:
        """What `stop()` does for processes and files, when the event loop cannot do it any more."""
        if hasattr(self, "runtime"):
            self.runtime.remove_remains()
        if hasattr(self, "network"):
            self.network.release()

    def _resolve(self, namespace: str, name: str, port: int | str) -> tuple[str, int]:
        return self.services.resolve(namespace, name, port)

    # --- PodBackend

    def log(
        self,
        namespace: str,
        name: str,
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> AsyncIterator[bytes]:
        """A container's log, from the kubelet."""
        return self.kubelet.log(
            namespace, name, container, follow=follow, tail_lines=tail_lines, previous=previous
        )

    def endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Where a pod's port is, from the kubelet."""
        return self.kubelet.endpoint(namespace, name, port)

    # --- NodeBackend

    async def summary(self, node: str) -> JSON:
        """What the node and its pods have used; there is one node that can tell."""
        if node != NODE:
            raise unavailable(f"node {node} is only an object: there is no kubelet behind it")
        usage = {f"process://{pid}": used for pid, used in (await self.runtime.usage()).items()}
        pods = [pod for pod in self.api.store.select(PODS) if pod["spec"].get("nodeName") == NODE]
        return self._summarizer.summary(await asyncio.to_thread(machine), pods, usage)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("%s of the sandbox has ended", task.get_name(), exc_info=error)
