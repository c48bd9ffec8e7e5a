"""EndpointSlices and Endpoints: which pods stand behind a service, and on which ports."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, labels_of, name_of, namespace_of, uid_of
from conformance.sandbox.apiserver.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, Resource
from conformance.sandbox.controllers.base import Controller, Key, Keys, controlled_by, own_key
from conformance.sandbox.controllers.pods import is_ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.sandbox.apiserver.store import Event, Store

SERVICE_LABEL: Final = "kubernetes.io/service-name"
_MANAGER: Final = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}


@dataclass(frozen=True)
class _Member:
    """A pod behind a service, with the ports that the service's ports mean in it: (name, protocol, number)."""

    pod: JSON
    ports: tuple[tuple[str, str, int, str], ...]

    @property
    def ready(self) -> bool:
        return is_ready(self.pod) and not self.pod["metadata"].get("deletionTimestamp")

    @property
    def reference(self) -> JSON:
        return {"kind": "Pod", "name": name_of(self.pod), "namespace": namespace_of(self.pod), "uid": uid_of(self.pod)}


class EndpointController(Controller):
    """Keeps the endpoints of services that have a selector."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        # What a pod's labels were decides which services it has left.
        self._labels: dict[str, dict[str, str]] = {}
        # The slices of each service: asking the store would mean to look at those of all, for each service anew.
        self._slices: dict[Key, frozenset[str]] = {}

    def sources(self) -> Mapping[Resource, Keys]:
        """Services, and pods with the services that select them now or did before."""
        return {SERVICES: own_key, PODS: self._services_of}

    def _services_of(self, event: Event) -> Iterable[Key]:
        pod = event.object
        versions = [labels_of(pod), self._labels.get(uid_of(pod), {})]
        if event.type == "DELETED":
            self._labels.pop(uid_of(pod), None)
        else:
            self._labels[uid_of(pod)] = versions[0]
        for service in self.store.select(SERVICES, namespace_of(pod)):
            selector = service["spec"].get("selector") or {}
            if selector and any(selector.items() <= labels.items() for labels in versions):
                yield namespace_of(pod), name_of(service)

    def reconcile(self, key: Key) -> float | None:
        """Write the slices and the Endpoints of one service."""
        namespace, name = key
        try:
            service = self.store.read(SERVICES, name, namespace)
        except ApiError:
            self._slices.pop(key, None)
            return None  # its endpoints go as its dependents
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            return None
        members = [
            _Member(pod, tuple(_ports(service, pod)))
            for pod in self.store.select(PODS, namespace)
            if selector.items() <= labels_of(pod).items() and _has_address(pod)
        ]
        self._write_slices(service, members)
        self._put(ENDPOINTS, {**_head(service, ENDPOINTS, name), "subsets": _subsets(service, members)})
        return None

    def _write_slices(self, service: JSON, members: list[_Member]) -> None:
        groups: dict[tuple[tuple[str, str, int, str], ...], list[_Member]] = {}
        for member in members:
            groups.setdefault(member.ports, []).append(member)
        groups = groups or {(): []}
        wanted = {_slice_name(service, ports): (ports, group) for ports, group in groups.items()}
        key = (namespace_of(service), name_of(service))
        for left in self._slices.get(key, frozenset()) - wanted.keys():
            with contextlib.suppress(ApiError):  # somebody else may have deleted it
                self.store.delete(ENDPOINT_SLICES, left, namespace_of(service))
        self._slices[key] = frozenset(wanted)
        for name, (ports, group) in wanted.items():
            head = _head(service, ENDPOINT_SLICES, name)
            head["metadata"]["labels"] |= {SERVICE_LABEL: name_of(service), **_MANAGER}
            endpoints = [_endpoint(service, member) for member in group]
            listed = [_port(*port) for port in ports]
            self._put(ENDPOINT_SLICES, {**head, "addressType": "IPv4", "endpoints": endpoints, "ports": listed})

    def _put(self, resource: Resource, wanted: JSON) -> None:
        """Create or change; the usual case, no difference, costs only a comparison."""
        name, namespace = name_of(wanted), namespace_of(wanted)
        try:
            found = self.store.read(resource, name, namespace)
        except ApiError:
            self.store.create(resource, wanted, namespace)
            return
        content = {field: value for field, value in wanted.items() if field != "metadata"}
        labels = wanted["metadata"].get("labels") or {}
        same = all((found.get(field) or None) == (value or None) for field, value in content.items())
        if same and labels_of(found) == labels:
            return

        def write(obj: JSON) -> None:
            obj.update(content)
            obj["metadata"]["labels"] = labels
            obj["metadata"]["ownerReferences"] = wanted["metadata"]["ownerReferences"]

        self.store.modify(resource, name, namespace, write)


def _head(service: JSON, resource: Resource, name: str) -> JSON:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace_of(service),
        "ownerReferences": [controlled_by(service)],
        "labels": dict(labels_of(service)),
    }
    if service["spec"].get("clusterIP") == "None":
        metadata["labels"]["service.kubernetes.io/headless"] = ""
    if resource == ENDPOINTS:
        metadata["labels"] |= {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _has_address(pod: JSON) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _ports(service: JSON, pod: JSON) -> Iterable[tuple[str, str, int, str]]:
    for port in service["spec"].get("ports") or []:
        protocol, target = port.get("protocol", "TCP"), port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named(pod, target, protocol)
        if number is not None:
            yield port.get("name", ""), protocol, number, port.get("appProtocol", "")


def _named(pod: JSON, name: str, protocol: str) -> int | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _port(name: str, protocol: str, number: int, app_protocol: str) -> JSON:
    found: JSON = {"name": name, "protocol": protocol, "port": number}
    if app_protocol:
        found["appProtocol"] = app_protocol
    return found


def _endpoint(service: JSON, member: _Member) -> JSON:
    leaving = bool(member.pod["metadata"].get("deletionTimestamp"))
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    return {
        "addresses": [member.pod["status"]["podIP"]],
        "conditions": {
            "ready": published or member.ready,
            "serving": is_ready(member.pod),
            "terminating": leaving,
        },
        "nodeName": member.pod["spec"].get("nodeName", ""),
        "targetRef": member.reference,
    }


def _subsets(service: JSON, members: list[_Member]) -> list[JSON]:
    groups: dict[tuple[tuple[str, str, int, str], ...], dict[str, list[JSON]]] = {}
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    for member in members:
        if member.pod["metadata"].get("deletionTimestamp"):
            continue
        field = "addresses" if member.ready or published else "notReadyAddresses"
        address = {
            "ip": member.pod["status"]["podIP"],
            "nodeName": member.pod["spec"].get("nodeName", ""),
            "targetRef": member.reference,
        }
        groups.setdefault(member.ports, {}).setdefault(field, []).append(address)
    subsets = []
    for ports, fields in groups.items():
        listed = [_port(*port) for port in ports]
        for port in listed:
            if not port["name"]:
                del port["name"]
        subsets.append({**fields, "ports": listed})
    return subsets


def _slice_name(service: JSON, ports: object) -> str:
    # Named after what it holds, so that the same ports always go to the same slice.
    digest = hashlib.sha256(json.dumps([uid_of(service), ports]).encode()).hexdigest()
    return f"{name_of(service)}-{digest[:5]}"
