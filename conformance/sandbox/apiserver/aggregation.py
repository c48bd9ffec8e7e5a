"""Aggregated APIs: groups that an APIService hands to a service in the cluster."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from conformance.sandbox.apiserver.errors import ApiError, no_such_path, unavailable
from conformance.sandbox.apiserver.objects import JSON, dig, name_of, now
from conformance.sandbox.apiserver.proxy import Forwarder
from conformance.sandbox.apiserver.resources import API_SERVICES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.access import User
    from conformance.sandbox.apiserver.backends import ServiceResolver
    from conformance.sandbox.apiserver.discovery import Discovery
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""How long to wait before the next probe, the last for all that follow."""


@dataclass(slots=True)
class _Backend:
    forwarder: Forwarder
    probe: asyncio.Task[None]


class Aggregator:
    """Routes aggregated groups, probes their servers and sets the condition Available; an observer of the store.

    As on a cluster the server is spoken to over TLS, trusted by `caBundle` or `insecureSkipTLSVerify`.
    """

    def __init__(self, store: Store, discovery: Discovery, resolve: ServiceResolver | None) -> None:
        self._store = store
        self._discovery = discovery
        self._resolve = resolve
        self._backends: dict[str, _Backend] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        if change.resource.key != API_SERVICES.key:
            return
        name = name_of(change.object)
        if change.type != "DELETED" and change.previous and change.previous["spec"] == change.object["spec"]:
            return
        self._drop(name)
        if change.type == "DELETED":
            return
        if not dig(change.object, "spec.service"):
            self._set(name, "True", "Local", "Local APIServices are always available")
            return
        forwarder = Forwarder(_trust(change.object["spec"]))
        self._backends[name] = _Backend(forwarder, asyncio.get_running_loop().create_task(self._watch(name, forwarder)))

    def _drop(self, name: str) -> None:
        group, version = _parts(name)
        self._discovery.extra.pop((group, version), None)
        backend = self._backends.pop(name, None)
        if backend is not None:
            backend.probe.cancel()
            task = asyncio.get_running_loop().create_task(backend.forwarder.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all probes."""
        for name in list(self._backends):
            self._drop(name)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def serves(self, group: str, version: str) -> bool:
        """Whether requests for this group version go elsewhere."""
        return f"{version}.{group}" in self._backends

    async def forward(self, request: Request, group: str, version: str) -> Response:
        """Pass the request on. Raises ApiError 503 when the server behind the group is not there."""
        name = f"{version}.{group}"
        backend = self._backends.get(name)
        if backend is None:
            raise no_such_path()
        try:
            base = self._base(name)
        except ApiError as error:
            raise unavailable(f"the server is currently unable to handle the request: {error.message}") from error
        user: User = request.scope["user"]
        extra = {"x-remote-user": user.name, "x-remote-group": ",".join(user.groups)}
        path = request.scope["raw_path"].decode("latin-1")
        return await backend.forwarder.forward(request, base, path, extra=extra)

    def _base(self, name: str) -> str:
        spec = self._store.read(API_SERVICES, name)["spec"]
        service = spec["service"]
        if self._resolve is None:
            raise unavailable("this API server has no node: no service can be reached")
        host, port = self._resolve(service["namespace"], service["name"], int(service.get("port") or 443))
        return f"https://{host}:{port}"

    async def _watch(self, name: str, forwarder: Forwarder) -> None:
        """Probe until cancelled."""
        count = 0
        while True:
            try:
                await self._probe(name, forwarder)
            except ApiError as error:
                reason = "ServiceNotFound" if error.code == 404 else "MissingEndpoints"
                self._set(name, "False", reason, error.message)
            except (httpx.HTTPError, OSError, ValueError) as error:
                why = f"failing or missing response from {name}: {error or type(error).__name__}"
                self._set(name, "False", "FailedDiscoveryCheck", why)
            else:
                self._set(name, "True", "Passed", "all checks passed")
            await asyncio.sleep(_PROBE_SECONDS[min(count, len(_PROBE_SECONDS) - 1)])
            count += 1

    async def _probe(self, name: str, forwarder: Forwarder) -> None:
        group, version = _parts(name)
        answer = await forwarder.get(
            f"{self._base(name)}/apis/{group}/{version}",
            {"x-remote-user": "system:aggregator", "accept": "application/json"},
        )
        if answer.status_code != 200:
            raise ValueError(f"bad status from /apis/{group}/{version}: {answer.status_code}")
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("resources"), list):
            raise ValueError(  # noqa: TRY004 - the answer is wrong, not the program
                f"/apis/{group}/{version} did not answer with an APIResourceList"
            )
        self._discovery.extra[group, version] = found

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


def _trust(spec: JSON) -> ssl.SSLContext | bool:
    if spec.get("insecureSkipTLSVerify") or not spec.get("caBundle"):
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate names the service, the connection a loopback address
    try:
        context.load_verify_locations(cadata=base64.b64decode(spec["caBundle"]).decode())
    except (binascii.Error, ssl.SSLError, UnicodeDecodeError) as error:
        _LOG.warning("the caBundle of an APIService cannot be read, nothing is trusted: %s", error)
    return context
