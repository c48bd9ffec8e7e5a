"""The service table: what kube-proxy and the cluster's DNS know, as a file for the socket shim of every pod."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError, unavailable
from conformance.sandbox.apiserver.objects import JSON, labels_of, name_of, namespace_of
from conformance.sandbox.apiserver.resources import ENDPOINT_SLICES, SERVICES
from conformance.sandbox.controllers.base import Controller, Key, Keys
from conformance.sandbox.controllers.endpoints import SERVICE_LABEL
from conformance.sandbox.network import loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Event, Store

_TABLE: Final[Key] = ("", "services")
# The table is made whole: with a thousand services that takes 20 ms, and each service that is added would have it done.
_PAUSE: Final = 10  # times the processor time that making it took pass before it is made again


class ServiceTable(Controller):
    """Writes the table whenever a service or its endpoints change; the file is replaced, never changed in place."""

    def __init__(self, store: Store, file: Path) -> None:
        super().__init__(store)
        self._file = file
        self._written = ""
        self._rested = 0.0  # the monotonic time from which the table may be made again

    def sources(self) -> Mapping[Resource, Keys]:
        """Services and endpoint slices; all of them are one table."""
        return {SERVICES: _always, ENDPOINT_SLICES: _always}

    def reconcile(self, key: Key) -> float | None:
        """Write the table if it differs from what was written last; later when it has only just been made."""
        del key
        now, began = time.monotonic(), time.thread_time()
        if now < self._rested:
            return self._rested - now
        text = json.dumps({"services": table(self.store)})
        if text != self._written:
            new = self._file.with_suffix(".new")
            new.write_text(text)
            new.rename(self._file)
            self._written = text
        self._rested = time.monotonic() + _PAUSE * (time.thread_time() - began)
        return None

    def resolve(self, namespace: str, name: str, port: int | str) -> tuple[str, int]:
        """A ready endpoint of a service's port, by number or name, on the wire. Raises ApiError 404 or 503."""
        try:
            service = self.store.read(SERVICES, name, namespace)
        except ApiError as error:
            raise ApiError(error.code, error.reason, f'service "{name}" not found') from error  # so Kubernetes says it
        for entry in service["spec"].get("ports") or []:
            if str(port) in (str(entry["port"]), entry.get("name")):
                found = _endpoints(self._slices(namespace, name), entry)
                if found:
                    address, number = random.choice(found)  # noqa: S311 - spreading load is no secret
                    return loopback(address), number
        raise unavailable(f'no endpoints available for service "{name}"')

    def _slices(self, namespace: str, name: str) -> list[JSON]:
        return self.store.select(ENDPOINT_SLICES, namespace, labels=f"{SERVICE_LABEL}={name}")


def _always(_event: Event) -> Iterable[Key]:
    return [_TABLE]


def table(store: Store) -> list[JSON]:
    """All services with their ready endpoints, as the shim reads them."""
    slices: dict[tuple[str, str], list[JSON]] = {}
    for found in store.select(ENDPOINT_SLICES):
        slices.setdefault((namespace_of(found), labels_of(found).get(SERVICE_LABEL, "")), []).append(found)
    entries = []
    for service in store.select(SERVICES):
        spec, own = service["spec"], slices.get((namespace_of(service), name_of(service)), [])
        cluster_ip = spec.get("clusterIP")
        entries.append(
            {
                "name": name_of(service),
                "namespace": namespace_of(service),
                "cluster_ip": cluster_ip if cluster_ip and cluster_ip != "None" else None,
                "external_name": spec.get("externalName") if spec.get("type") == "ExternalName" else None,
                "ports": [
                    {
                        "port": port["port"],
                        "protocol": port.get("protocol", "TCP"),
                        "endpoints": _endpoints(own, port),
                    }
                    for port in spec.get("ports") or []
                ],
                "addresses": sorted({address for found in own for address in _ready(found)}),
            }
        )
    return entries


def _ready(endpoint_slice: JSON) -> list[str]:
    # An unknown readiness counts as ready, as the API says.
    return [
        address
        for endpoint in endpoint_slice.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint["addresses"]
    ]


def _endpoints(slices: list[JSON], port: JSON) -> list[tuple[str, int]]:
    return [
        (address, int(target["port"]))
        for found in slices
        for target in found.get("ports") or []
        if (target.get("name") or "") == (port.get("name") or "")
        and target.get("protocol", "TCP") == port.get("protocol", "TCP")
        for address in _ready(found)
    ]
