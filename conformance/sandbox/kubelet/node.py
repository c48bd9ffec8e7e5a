"""The kubelet: follows the pods of the API server, and tells it where they are and what they log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import ApiError, bad_request, not_found, unavailable
from conformance.sandbox.apiserver.objects import JSON, namespace_of, uid_of
from conformance.sandbox.apiserver.resources import CONFIG_MAPS, PODS, SECRETS, Resource
from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet import logs
from conformance.sandbox.kubelet.pod import Node, PodWorker
from conformance.sandbox.kubelet.state import Running, Terminated
from conformance.sandbox.network import loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LOG = logging.getLogger(__name__)


class Kubelet:
    """Scheduler and kubelet of the only node, and the PodBackend of the API server."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}

    async def run(self) -> None:
        """Follow pods until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._follow_volumes(CONFIG_MAPS))
            tasks.create_task(self._follow_volumes(SECRETS))

    async def stop(self) -> None:
        """Let go of all pods; their processes end with the container runtime."""
        await asyncio.gather(*(worker.abandon() for worker in self._workers.values()))
        self._workers.clear()

    async def _follow_pods(self) -> None:
        async for event in self._node.store.watch(PODS, copy=False):
            try:
                self._handle(event.type, event.object)
            except (ApiError, SandboxError) as error:
                self._node.recorder.record(event.object, "FailedCreatePodSandBox", str(error), type_="Warning")
            except Exception:  # noqa: BLE001 - the others must go on
                _LOG.exception("pod %s/%s", namespace_of(event.object), event.object["metadata"]["name"])

    async def _follow_volumes(self, resource: Resource) -> None:
        store = self._node.store
        async for event in store.watch(resource, since=store.revision, copy=False):
            if event.type == "MODIFIED":
                for worker in list(self._workers.values()):
                    if worker.namespace == namespace_of(event.object):
                        worker.refresh_volumes()

    def _handle(self, type_: str, pod: JSON) -> None:
        worker = self._workers.get(uid_of(pod))
        if worker is not None and worker.finished.is_set():
            del self._workers[worker.uid]
            return
        if type_ == "DELETED":
            if worker is not None:
                worker.terminate(0)
            return
        if pod["metadata"].get("deletionTimestamp"):
            if worker is not None:
                worker.terminate(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
            else:  # never started here, or assigned to a node that does not exist
                with contextlib.suppress(ApiError):
                    self._node.store.delete(PODS, pod["metadata"]["name"], namespace_of(pod), grace=0)
            return
        assigned = pod["spec"].get("nodeName")
        if not assigned:
            self._schedule(pod)
        elif assigned == self._node.name and worker is None:
            self._workers[uid_of(pod)] = PodWorker(self._node, pod)

    def _schedule(self, pod: JSON) -> None:
        name, namespace, node = pod["metadata"]["name"], namespace_of(pod), self._node.name

        def assign(found: JSON) -> None:
            found["spec"].setdefault("nodeName", node)

        # It may have been deleted since.
        with contextlib.suppress(ApiError):
            self._node.store.modify(PODS, name, namespace, assign)
            self._node.recorder.record(pod, "Scheduled", f"Successfully assigned {namespace}/{name} to {node}")

    # --- PodBackend

    def _worker(self, namespace: str, name: str) -> PodWorker:
        pod = self._node.store.read(PODS, name, namespace)
        worker = self._workers.get(uid_of(pod))
        if worker is None or worker.finished.is_set():
            raise not_found(PODS, name)
        return worker

    async def log(
        self,
        namespace: str,
        name: str,
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> AsyncIterator[bytes]:
        """The container's log in chunks. Raises ApiError 400 when it has not started, 404 for an unknown pod."""
        worker = self._worker(namespace, name)
        runner = worker.runner(container)
        if runner is None:
            raise bad_request(f"container {container} is not valid for pod {name}")
        attempt = runner.attempts - 1
        if previous:
            attempt -= isinstance(runner.record.state, Running)
        builtin = runner.attempts == 0 and isinstance(runner.record.state, Terminated)
        if builtin:
            attempt = 0
        if attempt < 0:
            if previous:
                raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
            waiting = runner.record.state.to_json().get("waiting", {}).get("reason", "ContainerCreating")
            raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {waiting}')

        def running() -> bool:
            return (
                runner.attempts == attempt + 1
                and isinstance(runner.record.state, Running)
                and not worker.finished.is_set()
            )

        path = worker.log(container, attempt)
        async for chunk in logs.read(path, tail_lines=tail_lines, follow=running if follow else None):
            yield chunk

    def endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """The loopback address of a pod's port: its sidecar's, if that has taken it, as on a real node."""
        try:
            worker = self._worker(namespace, name)
        except ApiError:
            self._node.store.read(PODS, name, namespace)  # 404 for a pod that is not there at all
            raise unavailable(f"pod {namespace}/{name} has no address yet") from None
        return loopback(worker.ip), port
