"""What pods offer besides being read and written: logs, eviction, binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.errors import bad_request, method_not_allowed, unavailable
from conformance.sandbox.apiserver.objects import JSON
from conformance.sandbox.apiserver.reading import flag, number
from conformance.sandbox.apiserver.resources import PODS
from conformance.sandbox.apiserver.wire import Stream, respond
from conformance.sandbox.apiserver.writing import dry_run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.backends import PodBackend
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class PodHandler:
    """Serves `log`, `eviction` and `binding` of pods."""

    def __init__(self, store: Store, pods: PodBackend | None) -> None:
        self._store = store
        self._pods = pods

    async def log(self, request: Request, target: Target) -> Response:
        """A container's log; of `sinceSeconds`, `timestamps` and `limitBytes` nothing is honoured."""
        if request.method != "GET":
            raise method_not_allowed()
        pod = self._store.read(PODS, target.name, target.namespace)
        container = _container(pod, request.query_params.get("container", ""))
        if self._pods is None:
            raise unavailable("this API server has no node: there are no logs")
        source = self._pods.log(
            target.namespace,
            target.name,
            container,
            follow=flag(request, "follow"),
            tail_lines=number(request, "tailLines"),
            previous=flag(request, "previous"),
        )
        # the first piece decides whether this is an answer or an error
        first = await anext(source, None)
        return Stream(_joined(first, source), headers={"content-type": "text/plain; charset=utf-8"})

    async def evict(self, request: Request, target: Target) -> Response:
        """Deletion by another name: there are no disruption budgets here."""
        if request.method != "POST":
            raise method_not_allowed()
        options = (await wire.body(request)).get("deleteOptions") or {}
        self._store.delete(
            PODS,
            target.name,
            target.namespace,
            grace=options.get("gracePeriodSeconds"),
            dry_run=dry_run(request),
        )
        return respond(_CREATED, status=201)

    async def bind(self, request: Request, target: Target) -> Response:
        """Assign a pod to a node."""
        if request.method != "POST":
            raise method_not_allowed()
        node: Any = ((await wire.body(request)).get("target") or {}).get("name")
        if not node:
            raise bad_request("target.name of a Binding must name a node")
        self._store.modify(PODS, target.name, target.namespace, lambda pod: pod["spec"].update(nodeName=node))
        return respond(_CREATED, status=201)


def _container(pod: JSON, wanted: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [item["name"] for item in spec["containers"]]
    every = names + [item["name"] for item in spec.get("initContainers") or []]
    if wanted:
        if wanted not in every:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(every)}]")
    return str(names[0])


async def _joined(first: bytes | None, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if first is None:
        return
    yield first
    async for piece in rest:
        yield piece
