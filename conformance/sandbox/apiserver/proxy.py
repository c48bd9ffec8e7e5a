"""`pods/proxy` and `services/proxy`: requests passed on to a port of a pod or service, and the answers back."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import Response

from conformance.sandbox.apiserver import upstream
from conformance.sandbox.apiserver.errors import ApiError, bad_request, no_such_path, not_found, unavailable
from conformance.sandbox.apiserver.objects import JSON, dig
from conformance.sandbox.apiserver.resources import ENDPOINTS, PODS
from conformance.sandbox.apiserver.wire import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request

    from conformance.sandbox.apiserver.backends import PodBackend, ServiceResolver
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
_IDENTITY = ("x-remote-", "impersonate-")
_PROBE_SECONDS = 5.0


class Forwarder:
    """Passes requests on. Connections are not kept: an idle one that the other side has just closed would make a
    request fail that had nothing to do with it. A server's certificate is checked when `verify` is given, for the name
    `host`, since the address says nothing.
    """

    def __init__(self, verify: ssl.SSLContext | None = None, host: str = "") -> None:
        self._host = host
        self._context = verify or _trusting()

    async def get(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> tuple[int, bytes]:
        """Status and body of a plain GET with a deadline, for probes. Raises OSError and ConnectError."""
        async with asyncio.timeout(_PROBE_SECONDS):
            answer = await self._ask("GET", url, headers)
            return answer.status, b"".join([piece async for piece in answer.pieces()])

    async def forward(
        self, request: Request, base: str, path: str, *, extra: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """Send `request` to `base` + `path`, method, query, headers and body unchanged, and stream the answer back.

        The Authorization header stays behind: it is the API server's; so do X-Remote-… headers, for only `extra` may
        say who asks. Raises ApiError 503 when nobody answers.
        """
        named = {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
        dropped = _HOP_BY_HOP | named | {"host", "authorization", "content-length"}
        headers = [(name, value) for name, value in request.headers.items()
                   if name not in dropped and not name.startswith(_IDENTITY)]  # fmt: skip
        client = request.client.host if request.client else ""
        headers += [("x-forwarded-for", client), ("x-forwarded-proto", "https"), *extra]
        query = request.scope["query_string"].decode("latin-1")
        sized = "content-length" in request.headers or "transfer-encoding" in request.headers
        try:
            answer = await self._ask(request.method, f"{base}{path}{query and '?'}{query}", headers,
                                     await request.body() if sized else None)  # fmt: skip
        except upstream.ConnectError as error:
            raise unavailable(f"error trying to reach service: dial tcp {urlsplit(base).netloc}: {error}") from error
        except OSError as error:
            raise unavailable(f"error trying to reach service: {error}") from error
        # Small answers are there at once, and cheaper to send in one piece.
        response = Response(answer.body(), answer.status) if answer.complete else Stream(answer.pieces(), answer.status)
        response.raw_headers = [
            (name, value) for name, value in answer.headers if name.decode("latin-1") not in _HOP_BY_HOP
        ]
        return response

    async def _ask(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None = None
    ) -> upstream.Answer:
        scheme, _, rest = url.partition("://")
        place, slash, target = rest.partition("/")
        host, _, port = place.rpartition(":")
        return await upstream.ask(host, int(port), method, slash + target, headers, body,
                                  context=self._context if scheme == "https" else None, name=self._host)  # fmt: skip


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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
        scheme, name, port = split_target(target.name, target.resource.singular)
        if target.resource.key == PODS.key:
            host, number = self._pod(target, name, port)
        elif target.resource.plural == "services":
            host, number = self._service(target, name, port)
        else:
            raise no_such_path()
        raw = request.scope.get("raw_path", b"").decode("latin-1")
        _, found, rest = raw.partition("/proxy/")
        if not found:
            query = request.scope["query_string"].decode("latin-1")
            return Response(status_code=301, headers={"location": f"{raw}/{query and '?'}{query}"})
        path = f"/{rest}"
        return await self._forwarder.forward(request, f"{scheme}://{host}:{number}", path)

    def _pod(self, target: Target, name: str, port: str) -> tuple[str, int]:
        pod = self._store.read(PODS, name, target.namespace)
        if self._pods is None:
            raise unavailable("this API server has no node: there is nothing to proxy to")
        if not dig(pod, "status.podIP"):
            raise ApiError(500, "InternalError", f"address not allowed: pod {name} has no IP yet")
        return self._pods.endpoint(target.namespace, name, _pod_port(pod, port))

    def _service(self, target: Target, name: str, port: str) -> tuple[str, int]:
        """Where a service's port leads: by its number or its name; without either only if it has no name."""
        service = self._store.read(target.resource, name, target.namespace)
        if self._services is None:
            raise unavailable("this API server has no node: there is nothing to proxy to")
        ports = dig(service, "spec.ports") or []
        if port.isdigit() and not any(item["port"] == int(port) for item in ports):
            raise unavailable(f'no service port {port} found for service "{name}"')
        try:
            self._store.read(ENDPOINTS, name, target.namespace)
        except ApiError:
            raise not_found(target.resource, name) from None
        key = "port" if port.isdigit() else "name"
        for item in ports:
            if str(item.get(key, "")) == port:
                return self._services(target.namespace, name, int(item["port"]))
        raise unavailable(f'no endpoints available for service "{target.name}"')


def split_target(name: str, what: str = "proxy") -> tuple[str, str, str]:
    """`[scheme:]name[:port]` in its parts. Raises ApiError 400 for anything else."""
    parts = name.split(":")
    if len(parts) == 3:
        scheme, name, port = parts
    elif len(parts) == 2:
        scheme, (name, port) = "", parts
    else:
        scheme, port = "", ""
    if len(parts) > 3 or scheme not in ("", "http", "https") or not name:
        raise bad_request(f'invalid {what} request "{":".join(parts)}"')
    return scheme or "http", name, port


def _pod_port(pod: JSON, port: str) -> int:
    declared = [item for container in pod["spec"]["containers"] for item in container.get("ports") or []]
    if not port:
        return int(declared[0]["containerPort"]) if declared else 80
    if port.isdigit():
        return int(port)
    # Kubernetes looks such a name up among the well-known services, and then drops the connection.
    raise bad_request(f'pods are reached by the number of a port, and "{port}" is none')
