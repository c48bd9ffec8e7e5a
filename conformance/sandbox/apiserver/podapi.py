"""What pods offer besides being read and written: logs, eviction, binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.errors import (
    ApiError,
    bad_request,
    invalid_options,
    invalid_value,
    method_not_allowed,
    unavailable,
)
from conformance.sandbox.apiserver.objects import JSON
from conformance.sandbox.apiserver.options import dry_run, flag, number
from conformance.sandbox.apiserver.resources import PODS
from conformance.sandbox.apiserver.wire import Stream, respond

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.backends import PodBackend
    from conformance.sandbox.apiserver.errors import Cause
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class PodHandler:
    """Serves `log`, `eviction` and `binding` of pods."""

    def __init__(self, store: Store, pods: PodBackend | None) -> None:
        self._store = store
        self._pods = pods

    async def log(self, request: Request, target: Target) -> Response:
        """A container's log. The sandbox does not know when a line was written: who asks for times is refused."""
        if request.method != "GET":
            raise method_not_allowed()
        pod = self._store.read(PODS, target.name, target.namespace)
        tail, limit = _log_numbers(request, target.name)
        container = _container(pod, request.query_params.get("container", ""))
        if self._pods is None:
            raise unavailable("this API server has no node: there are no logs")
        source = self._pods.log(
            target.namespace,
            target.name,
            container,
            follow=flag(request, "follow"),
            tail_lines=tail,
            previous=flag(request, "previous"),
        )
        # the first piece decides whether this is an answer or an error
        first = await anext(source, None)
        return Stream(_joined(first, source, limit), headers={"content-type": "text/plain"})

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


def _log_numbers(request: Request, pod: str) -> tuple[int | None, int | None]:
    """How many lines from the end, and how many bytes of them. Raises ApiError 400, 422, and 501 for times."""
    found: dict[str, int | None] = {}
    causes: list[Cause] = []
    for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        value = found[name] = number(request, name)
        if value is not None and value < least:
            why = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
            causes.append(invalid_value(name, value, why))
    if causes:
        raise invalid_options("PodLogOptions", causes, group="", name=pod)
    asked = [name for name in ("sinceSeconds", "sinceTime") if request.query_params.get(name)]
    if flag(request, "timestamps"):
        asked.append("timestamps")
    if asked:
        why = f"the sandbox does not know when a line of a log was written: leave out {', '.join(asked)}"
        raise ApiError(501, "NotImplemented", why)
    return found["tailLines"], found["limitBytes"]


async def _joined(
    first: bytes | None, rest: AsyncIterator[bytes], limit: int | None
) -> AsyncGenerator[bytes, None]:
    """The pieces in one stream, which ends after `limit` bytes."""
    if first is None:
        return
    left = limit
    async for piece in _chained(first, rest):
        yield piece if left is None else piece[:left]
        if left is not None:
            left -= min(left, len(piece))
            if not left:
                return


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece
