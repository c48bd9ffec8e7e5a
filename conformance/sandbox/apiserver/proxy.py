"""`pods/proxy` and `services/proxy`: requests passed on to a port of a pod or service, and the answers back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx

from conformance.sandbox.apiserver.errors import ApiError, bad_request, no_such_path, unavailable
from conformance.sandbox.apiserver.objects import JSON, dig
from conformance.sandbox.apiserver.resources import PODS
from conformance.sandbox.apiserver.wire import Stream

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.backends import PodBackend, ServiceResolver
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
_IDENTITY = ("x-remote-", "impersonate-")
_CONNECT_SECONDS = 5.0


class Forwarder:
    """Passes requests on. Connections are not kept: an idle one that the other side has just closed would make a
    request fail that had nothing to do with it. A server's certificate is checked when `verify` is given, for the name
    `host`, since the address says nothing.
    """

    def __init__(self, verify: ssl.SSLContext | bool = False, host: str = "") -> None:
        self._extensions = {"sni_hostname": host} if host else {}
        self._client = httpx.AsyncClient(
            verify=verify,
            trust_env=False,  # a proxy of the user's environment must not see the sandbox's traffic
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """A plain GET with a deadline, for probes."""
        return await self._client.get(url, headers=headers, timeout=_CONNECT_SECONDS, extensions=self._extensions)

    async def forward(
        self, request: Request, base: str, path: str, *, extra: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """Send `request` to `base` + `path`, method, query, headers and body unchanged, and stream the answer back.

        The Authorization header stays behind: it is the API server's; so do X-Remote-… headers, for only `extra` may
        say who asks. Raises ApiError 503 when nobody answers.
        """
        named = {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
        dropped = _HOP_BY_HOP | named | {"host", "authorization"}
        headers = [(name, value) for name, value in request.headers.items()
                   if name not in dropped and not name.startswith(_IDENTITY)]  # fmt: skip
        client = request.client.host if request.client else ""
        headers += [("x-forwarded-for", client), ("x-forwarded-proto", "https"), *extra]
        query = request.scope["query_string"]
        url = httpx.URL(base + path, query=query) if query else httpx.URL(base + path)
        sized = "content-length" in request.headers or "transfer-encoding" in request.headers
        outgoing = self._client.build_request(
            request.method, url, headers=headers, content=await request.body() if sized else None,
            extensions=self._extensions,
        )  # fmt: skip
        try:
            answer = await self._client.send(outgoing, stream=True)
        except httpx.ConnectTimeout as error:
            raise unavailable(f"error trying to reach service: dial tcp {_address(url)}: i/o timeout") from error
        except httpx.ConnectError as error:
            raise unavailable(f"error trying to reach service: dial tcp {_address(url)}: {_why(error)}") from error
        except httpx.TransportError as error:
            raise unavailable(f"error trying to reach service: {error or type(error).__name__}") from error
        response = Stream(_pieces(answer), answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode("latin-1") not in _HOP_BY_HOP
        ]
        return response


def _address(url: httpx.URL) -> str:
    return f"{url.host}:{url.port}"


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return f"connect: {os.strerror(cause.errno).lower()}"
        cause = cause.__cause__ or cause.__context__
    return f"connect: {error}" if "connection attempts failed" not in str(error) else "connect: connection refused"


async def _pieces(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


class ProxyHandler:
    """Serves the proxy subresources."""

    def __init__(
        self,
        store: Store,
        forwarder: Forwarder,
        pods: PodBackend | None,
        services: ServiceResolver | None,
    ) -> None:
        self._store = store
        self._forwarder = forwarder
        self._pods = pods
        self._services = services

    async def serve(self, request: Request, target: Target) -> Response:
        """Any method on `.../proxy` and what follows it."""
        scheme, name, port = split_target(target.name)
        if target.resource.key == PODS.key:
            host, number = self._pod(target, name, port)
        elif target.resource.plural == "services":
            host, number = self._service(target, name, port)
        else:
            raise no_such_path()
        raw = request.scope.get("raw_path", b"").decode("latin-1")
        _, found, rest = raw.partition("/proxy/")
        path = "/" + (rest if found else "")
        return await self._forwarder.forward(request, f"{scheme}://{host}:{number}", path)

    def _pod(self, target: Target, name: str, port: str) -> tuple[str, int]:
        pod = self._store.read(PODS, name, target.namespace)
        if self._pods is None:
            raise unavailable("this API server has no node: there is nothing to proxy to")
        if not dig(pod, "status.podIP"):
            raise ApiError(500, "InternalError", f"address not allowed: pod {name} has no IP yet")
        return self._pods.endpoint(target.namespace, name, _pod_port(pod, port))

    def _service(self, target: Target, name: str, port: str) -> tuple[str, int]:
        service = self._store.read(target.resource, name, target.namespace)
        if self._services is None:
            raise unavailable("this API server has no node: there is nothing to proxy to")
        ports = dig(service, "spec.ports") or []
        if not port:
            if len(ports) != 1:
                raise unavailable(f'no endpoints available for service "{name}": say which port, as {name}:PORT')
            port = str(ports[0]["port"])
        return self._services(target.namespace, name, int(port) if port.isdigit() else port)


def split_target(name: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` in its parts. Raises ApiError 400 for anything else."""
    parts = name.split(":")
    if len(parts) == 3:
        scheme, name, port = parts
    elif len(parts) == 2:
        scheme, (name, port) = "", parts
    else:
        scheme, port = "", ""
    if scheme not in ("", "http", "https") or not name:
        raise bad_request(f'invalid proxy target "{":".join(parts)}": expected [http|https:]NAME[:PORT]')
    return scheme or "http", name, port


def _pod_port(pod: JSON, port: str) -> int:
    declared = [item for container in pod["spec"]["containers"] for item in container.get("ports") or []]
    if not port:
        return int(declared[0]["containerPort"]) if declared else 80
    if port.isdigit():
        return int(port)
    for item in declared:
        if item.get("name") == port:
            return int(item["containerPort"])
    raise bad_request(f'pod {pod["metadata"]["name"]} has no port named "{port}"')
