"""The API server as an ASGI application: which path is answered by whom."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from conformance.sandbox.apiserver.discovery import AGGREGATED
from conformance.sandbox.apiserver.errors import ApiError, NoPageError, method_not_allowed
from conformance.sandbox.apiserver.options import flag
from conformance.sandbox.apiserver.resources import NODES
from conformance.sandbox.apiserver.reviews import review_of
from conformance.sandbox.apiserver.targets import locate
from conformance.sandbox.apiserver.wire import negotiate, refuse, respond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conformance.sandbox.apiserver.handlers import Handlers
    from conformance.sandbox.apiserver.targets import Target

_LOG = logging.getLogger(__name__)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


class Routes:
    """The paths of the API server."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def application(self) -> Starlette:
        get = ["GET"]
        routes = [
            *(Route(path, self._healthy, methods=get) for path in ("/healthz", "/livez", "/readyz")),
            *(Route(path, self._version, methods=get) for path in ("/version", "/version/")),
            Route("/openapi/v3", self._openapi_index, methods=get),
            Route("/openapi/v3/{path:path}", self._openapi, methods=get),
            Route("/api", self._core, methods=get),
            Route("/api/", self._core, methods=get),
            Route("/apis", self._groups, methods=get),
            Route("/apis/", self._groups, methods=get),
            Route("/api/{version}", self._resources, methods=get),
            Route("/api/{version}/", self._resources, methods=get),
            Route("/apis/{group}", self._group, methods=get),
            Route("/apis/{group}/", self._group, methods=get),
            Route("/apis/{group}/{version}", self._resources, methods=_METHODS),
            Route("/apis/{group}/{version}/", self._resources, methods=_METHODS),
            Route("/api/{version}/{path:path}", self._objects, methods=_METHODS),
            Route("/apis/{group}/{version}/{path:path}", self._objects, methods=_METHODS),
        ]
        handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
            ApiError: self._refused,
            HTTPException: self._unrouted,
            Exception: self._broken,
        }
        return Starlette(routes=routes, exception_handlers=handlers)

    # --- errors

    async def _refused(self, request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, ApiError)
        return refuse(error)

    async def _unrouted(self, request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, HTTPException)
        return refuse(method_not_allowed() if error.status_code == 405 else NoPageError())

    async def _broken(self, request: Request, error: Exception) -> Response:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        what = f"the sandbox's API server failed: {type(error).__name__}: {error}"
        return refuse(ApiError(500, "InternalError", f"Internal error occurred: {what}"))

    # --- what is no object

    async def _healthy(self, request: Request) -> Response:
        del request
        return PlainTextResponse("ok")

    async def _version(self, request: Request) -> Response:
        del request
        return respond(VERSION)

    async def _openapi_index(self, request: Request) -> Response:
        del request
        index = respond(self._handlers.openapi.index())
        index.headers["content-type"] = "text/plain; charset=utf-8"  # JSON, but so it is called in Kubernetes
        return index

    async def _openapi(self, request: Request) -> Response:
        document = self._handlers.openapi.document(request.path_params["path"])
        return Response(status_code=404) if document is None else respond(document)

    async def _core(self, request: Request) -> Response:
        accepted = negotiate(request.headers.get("accept", ""), AGGREGATED)
        if accepted.transform:
            return respond(self._handlers.discovery.aggregated(core=True), accepted)
        return respond({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})

    async def _groups(self, request: Request) -> Response:
        accepted = negotiate(request.headers.get("accept", ""), AGGREGATED)
        if accepted.transform:
            return respond(self._handlers.discovery.aggregated(core=False), accepted)
        return respond(self._handlers.discovery.groups(), accepted)

    async def _group(self, request: Request) -> Response:
        return respond(self._handlers.discovery.group(request.path_params["group"]))

    async def _resources(self, request: Request) -> Response:
        group, version = request.path_params.get("group", ""), request.path_params["version"]
        if self._handlers.aggregator.serves(group, version):
            return await self._handlers.aggregator.forward(request, group, version)
        if request.method != "GET":
            raise method_not_allowed()
        return respond(self._handlers.discovery.resources(group, version))

    # --- objects

    async def _objects(self, request: Request) -> Response:
        group, version = request.path_params.get("group", ""), request.path_params["version"]
        path = request.path_params["path"]
        handlers = self._handlers
        if handlers.aggregator.serves(group, version):
            return await handlers.aggregator.forward(request, group, version)
        review = review_of(group, path.rstrip("/")) if version == "v1" else None
        if review is not None:
            return await handlers.reviews.review(request, *review)
        target = locate(handlers.store.registry, group, version, path)
        if target.subresource not in ("", "status", "finalize"):
            return await self._subresource(request, target)
        return await (self._object(request, target) if target.name else self._collection(request, target))

    async def _collection(self, request: Request, target: Target) -> Response:
        handlers = self._handlers
        _check_head(request, target)
        match request.method:
            case "GET" | "HEAD":
                if flag(request, "watch"):
                    return handlers.reader.watch(request, target)
                return await handlers.reader.list(request, target)
            case "POST" if bool(target.namespace) is target.resource.namespaced:
                return await handlers.editor.create(request, target)
            case "DELETE":
                return await handlers.deleter.delete_collection(request, target)
        raise method_not_allowed()

    async def _object(self, request: Request, target: Target) -> Response:
        handlers = self._handlers
        _check_head(request, target)
        match request.method:
            case "GET" | "HEAD" if target.subresource != "finalize":
                if flag(request, "watch"):
                    return handlers.reader.watch(request, target)
                return await handlers.reader.get(request, target)
            case "PUT":
                return await handlers.editor.replace(request, target)
            case "PATCH" if target.subresource != "finalize":
                return await handlers.editor.patch(request, target)
            case "DELETE" if not target.subresource:
                return await handlers.deleter.delete(request, target)
        raise method_not_allowed()

    async def _subresource(self, request: Request, target: Target) -> Response:
        handlers = self._handlers
        match target.subresource:
            case "proxy":
                of_node = target.resource.key == NODES.key
                return await (handlers.nodes if of_node else handlers.proxy).serve(request, target)
            case "log":
                return await handlers.pods.log(request, target)
            case "scale":
                return await handlers.scaler.serve(request, target)
            case "token":
                return await handlers.tokens.serve(request, target)
            case "eviction":
                return await handlers.pods.evict(request, target)
            case "binding":
                return await handlers.pods.bind(request, target)
        what = f"the sandbox does not offer {target.subresource} of {target.resource.plural}"
        raise ApiError(501, "NotImplemented", what)


def _check_head(request: Request, target: Target) -> None:
    """HEAD is there for custom resources only, as it happens."""
    if request.method == "HEAD" and not target.resource.custom:
        raise method_not_allowed()
