"""Aggregated APIs: groups that an APIService hands to a service in the cluster."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.access import MASTERS
from conformance.sandbox.apiserver.errors import ApiError, no_such_path, unavailable
from conformance.sandbox.apiserver.objects import JSON, labels_of, name_of, namespace_of, now
from conformance.sandbox.apiserver.proxy import Forwarder
from conformance.sandbox.apiserver.resources import API_SERVICES, ENDPOINT_SLICES, SERVICES
from conformance.sandbox.apiserver.upstream import ConnectError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.access import User
    from conformance.sandbox.apiserver.backends import ServiceResolver
    from conformance.sandbox.apiserver.discovery import Discovery
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""How long to wait before the next probe, the last for all that follow; anew when something moves or breaks."""
_SERVICE_LABEL: Final = "kubernetes.io/service-name"


@dataclass(slots=True)
class _Backend:
    """The server behind one APIService. `trouble` is why it is not available; empty when it is."""

    name: str
    service: JSON
    forwarder: Forwarder
    trouble: str = "it has not been asked yet"
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    probe: asyncio.Task[None] | None = None

    @property
    def parts(self) -> tuple[str, str]:
        return _parts(self.name)

    @property
    def place(self) -> str:
        return f"{self.service['namespace']}/{self.service['name']}"


class Aggregator:
    """Routes aggregated groups, probes their servers and sets the condition Available; an observer of the store.

    As on a cluster the server is spoken to over TLS, trusted by `caBundle` or `insecureSkipTLSVerify`, and a group is
    in discovery from its registration on, whether its server is there or not.
    """

    def __init__(self, store: Store, discovery: Discovery, resolve: ServiceResolver | None) -> None:
        self._store = store
        self._discovery = discovery
        self._resolve = resolve
        self._backends: dict[str, _Backend] = {}

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        if change.resource.key in (SERVICES.key, ENDPOINT_SLICES.key):
            self._moved(change)
        if change.resource.key != API_SERVICES.key:
            return
        name = name_of(change.object)
        if change.type != "DELETED" and change.previous and change.previous["spec"] == change.object["spec"]:
            return
        self._drop(name)
        if change.type == "DELETED":
            return
        spec = change.object["spec"]
        if not spec.get("service"):
            self._set(name, "True", "Local", "Local APIServices are always available")
            return
        host = f"{spec['service']['name']}.{spec['service']['namespace']}.svc"
        backend = self._backends[name] = _Backend(name, spec["service"], Forwarder(_trust(spec), host))
        self._discovery.extra[backend.parts] = None
        backend.probe = asyncio.get_running_loop().create_task(self._watch(backend))

    def _moved(self, change: Change) -> None:
        """Probe at once what the changed service, or its endpoints, may have made available or not."""
        obj = change.object
        service = labels_of(obj).get(_SERVICE_LABEL) if change.resource.key == ENDPOINT_SLICES.key else name_of(obj)
        for backend in self._backends.values():
            if backend.place == f"{namespace_of(obj)}/{service}":
                backend.moved.set()

    def _drop(self, name: str) -> None:
        self._discovery.extra.pop(_parts(name), None)
        backend = self._backends.pop(name, None)
        if backend is not None and backend.probe is not None:
            backend.probe.cancel()

    def close(self) -> None:
        """End all probes."""
        for name in list(self._backends):
            self._drop(name)

    def serves(self, group: str, version: str) -> bool:
        """Whether requests for this group version go elsewhere."""
        return f"{version}.{group}" in self._backends

    async def forward(self, request: Request, group: str, version: str) -> Response:
        """Pass the request on. Raises ApiError 503 when the server behind the group is not available."""
        backend = self._backends.get(f"{version}.{group}")
        if backend is None:
            raise no_such_path()
        if backend.trouble:
            raise unavailable(f"service unavailable: {backend.trouble}")
        try:
            base = self._base(backend)
        except ApiError as error:
            raise unavailable(f"service unavailable: {error.message}") from error
        user: User = request.scope["user"]
        identity = [("x-remote-user", user.name), *(("x-remote-group", group) for group in user.groups)]
        if user.uid:
            identity.append(("x-remote-uid", user.uid))
        path = request.scope["raw_path"].decode("latin-1")
        return await backend.forwarder.forward(request, base, path, extra=identity)

    def _base(self, backend: _Backend) -> str:
        if self._resolve is None:
            raise unavailable("this API server has no node: no service can be reached")
        service = backend.service
        host, port = self._resolve(service["namespace"], service["name"], int(service.get("port") or 443))
        return f"https://{host}:{port}"

    async def _watch(self, backend: _Backend) -> None:
        """Probe until cancelled."""
        count = 0
        while True:
            backend.moved.clear()
            reason, message = await self._state(backend)
            if reason != "Passed" and not backend.trouble:
                count = 0  # a first failure is made sure of soon, or one slow answer would cost seconds
            backend.trouble = "" if reason == "Passed" else message
            if backend.trouble:
                self._discovery.extra[backend.parts] = None
            self._set(backend.name, "True" if reason == "Passed" else "False", reason, message)
            try:
                async with asyncio.timeout(_PROBE_SECONDS[min(count, len(_PROBE_SECONDS) - 1)]):
                    await backend.moved.wait()
                count = 0
                await asyncio.sleep(_PROBE_SECONDS[0])  # several changes at once are one
            except TimeoutError:
                count += 1

    async def _state(self, backend: _Backend) -> tuple[str, str]:
        """Reason and message of the condition: whether the server can be reached and answers as it should."""
        service = backend.service
        try:
            self._store.read(SERVICES, service["name"], service["namespace"])
        except ApiError:
            return "ServiceNotFound", f'service/{service["name"]} in "{service["namespace"]}" is not present'
        try:
            base = self._base(backend)
        except ApiError as error:
            return "MissingEndpoints", error.message
        try:
            await self._probe(backend, base)
        except (ConnectError, OSError, ValueError) as error:
            group, version = backend.parts
            url = f"https://{service['name']}.{service['namespace']}.svc/apis/{group}/{version}"
            why = f"failing or missing response from {url}: {error or type(error).__name__}"
            return "FailedDiscoveryCheck", why
        return "Passed", "all checks passed"

    async def _probe(self, backend: _Backend, base: str) -> None:
        group, version = backend.parts
        status, body = await backend.forwarder.get(
            f"{base}/apis/{group}/{version}",
            [("x-remote-user", "system:kube-aggregator"), ("x-remote-group", MASTERS), ("accept", "application/json")],
        )
        if status != 200:
            raise ValueError(f"bad status from /apis/{group}/{version}: {status}")
        found = json.loads(body)
        if not isinstance(found, dict) or not isinstance(found.get("resources"), list):
            raise ValueError(  # noqa: TRY004 - the answer is wrong, not the program
                f"/apis/{group}/{version} did not answer with an APIResourceList"
            )
        self._discovery.extra[backend.parts] = found

    def _set(self, name: str, status: str, reason: str, message: str) -> None:
        def change(obj: JSON) -> None:
            conditions = obj.setdefault("status", {}).setdefault("conditions", [])
            before: JSON = next((item for item in conditions if item.get("type") == "Available"), {})
            same = before.get("status") == status
            condition = {
                "type": "Available",
                "status": status,
                "lastTransitionTime": before["lastTransitionTime"] if same else now(),
                "reason": reason,
                "message": message,
            }
            obj["status"]["conditions"] = [item for item in conditions if item.get("type") != "Available"] + [condition]

        try:
            self._store.modify(API_SERVICES, name, "", change, subresource="status")
        except ApiError as error:
            _LOG.debug("APIService %s: %s", name, error)


def _parts(name: str) -> tuple[str, str]:
    """Group and version in the name of an APIService, `v1alpha1.metrics.example.org`."""
    version, _, group = name.partition(".")
    return group, version


def _trust(spec: JSON) -> ssl.SSLContext | None:
    if spec.get("insecureSkipTLSVerify"):
        return None
    bundle = spec.get("caBundle")
    if not bundle:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=base64.b64decode(bundle).decode())
    except (binascii.Error, ssl.SSLError, UnicodeDecodeError) as error:
        _LOG.warning("the caBundle of an APIService cannot be read, nothing is trusted: %s", error)
    return context
