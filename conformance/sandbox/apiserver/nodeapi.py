"""`nodes/proxy`: what a node's kubelet offers of itself, through the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from conformance.sandbox.apiserver.errors import method_not_allowed, unavailable
from conformance.sandbox.apiserver.proxy import split_target
from conformance.sandbox.apiserver.summary import cadvisor
from conformance.sandbox.apiserver.wire import respond

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.backends import NodeBackend
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target


class NodeHandler:
    """Serves `proxy` of nodes: `stats/summary`, `metrics/cadvisor`, `healthz`; of a kubelet there is no more."""

    def __init__(self, store: Store, nodes: NodeBackend | None) -> None:
        self._store = store
        self._nodes = nodes

    async def serve(self, request: Request, target: Target) -> Response:
        """A request to a node. Raises ApiError 404 for a node that is not there, 503 without any node at all."""
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        _, name, _ = split_target(target.name)
        self._store.read(target.resource, name)
        if self._nodes is None:
            raise unavailable("this API server has no node: there is nothing to proxy to")
        match target.rest.strip("/"):
            case "stats/summary":
                return respond(await self._nodes.summary(name))
            case "metrics/cadvisor":
                return PlainTextResponse(
                    cadvisor(await self._nodes.summary(name)), media_type="text/plain; version=0.0.4; charset=utf-8"
                )
            case "healthz":
                return PlainTextResponse("ok")
        return PlainTextResponse("404 page not found\n", 404)
