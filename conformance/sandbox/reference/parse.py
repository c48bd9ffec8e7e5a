"""From Kubernetes objects to the mesh's model.

Objects of users can be anything that their schema lets through. What cannot be read raises Malformed, is told
by an event and otherwise ignored: one bad object must not take the mesh from all others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from conformance.sandbox.reference.model import (
    Backend,
    Endpoint,
    HeaderMatch,
    Key,
    Match,
    Pod,
    RouteGroup,
    Service,
    ServicePort,
    Split,
)
from conformance.sandbox.reference.weights import number, quantity

Json = Mapping[str, Any]

PROXY_LABEL: Final = "reference-mesh/proxy"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_DIRECTORY: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9.]{0,252}", re.ASCII)
_WEIGHTS: Final[Mapping[str, Callable[[Any], Fraction]]] = {"v1alpha1": quantity}
_SPLITS_WITH_MATCHES: Final = frozenset({"v1alpha3", "v1alpha4"})
_GROUPS_WITH_SPEC: Final = frozenset({"v1alpha3", "v1alpha4"})


class Malformed(Exception):  # noqa: N818 - what it says of an object
    """An object that cannot be understood; the text says which field and why."""


def key_of(obj: Json) -> Key:
    """Return namespace and name of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def service(obj: Json) -> Service:
    """Read a Service; UDP and SCTP ports are not the mesh's business."""
    metadata, spec = obj["metadata"], obj.get("spec", {})
    cluster_ip = spec.get("clusterIP") or ""
    ports = tuple(
        ServicePort(port.get("name") or "", port["port"], is_http(port.get("name"), port.get("appProtocol")))
        for port in spec.get("ports") or () if port.get("protocol", "TCP") == "TCP"
    )
    return Service(
        metadata["namespace"], metadata["name"], spec.get("type", "ClusterIP"),
        "" if cluster_ip == "None" else cluster_ip, spec.get("externalName") or "", ports,
        metadata.get("creationTimestamp") or "",
    )


def is_http(name: str | None, app_protocol: str | None) -> bool:
    """Tell whether a port carries HTTP: all do unless declared as TCP by appProtocol or by their name."""
    if app_protocol:
        return app_protocol.lower() != "tcp"
    return name != "tcp" and not (name or "").startswith("tcp-")


def slice_endpoints(obj: Json) -> tuple[Key, tuple[Endpoint, ...]] | None:
    """Return the Service that an EndpointSlice belongs to and its ready endpoints; None if it belongs to none."""
    metadata = obj["metadata"]
    owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
    if not owner or obj.get("addressType", "IPv4") != "IPv4":
        return None
    ports = tuple(
        (port.get("name") or "", port["port"]) for port in obj.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP" and port.get("port")
    )
    ready = (
        entry for entry in obj.get("endpoints") or ()
        if (entry.get("conditions") or {}).get("ready") is not False
        and not (entry.get("conditions") or {}).get("terminating")
    )
    return (metadata["namespace"], owner), tuple(
        Endpoint(address, ports) for entry in ready for address in entry.get("addresses") or ()
    )


def pod(obj: Json) -> Pod | None:
    """Return a pod that has an address of its own and has not ended, else None.

    Raises Malformed for a namespace or uid that could not be the name of a directory.
    """
    metadata, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status") or {}
    address = status.get("podIP") or ""
    if spec.get("hostNetwork") or not _is_ipv4(address) or status.get("phase") in ("Succeeded", "Failed"):
        return None
    for part in (metadata["namespace"], metadata["uid"]):
        if not _DIRECTORY.fullmatch(part):
            raise Malformed(f"metadata: namespace or uid {part!r} is unusable")
    ports = tuple(
        (port["containerPort"], is_http(port.get("name"), None))
        for container in spec.get("containers") or () for port in container.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP"
    )
    return Pod(
        metadata["namespace"], metadata["name"], metadata["uid"], address,
        spec.get("serviceAccountName") or "default", ports,
        (metadata.get("labels") or {}).get(PROXY_LABEL) == "enabled",
        "deletionTimestamp" in metadata, metadata.get("creationTimestamp") or "",
    )


def split(obj: Json) -> Split:
    """Read a TrafficSplit of any version. Raises Malformed."""
    metadata, spec = obj["metadata"], _mapping(obj.get("spec"), "spec")
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    weight = _WEIGHTS.get(version, number)
    backends = tuple(
        _backend(entry, f"spec.backends[{index}]", weight)
        for index, entry in enumerate(_sequence(spec.get("backends"), "spec.backends"))
    )
    groups = None
    if version in _SPLITS_WITH_MATCHES and spec.get("matches"):
        groups = tuple(
            _group_name(entry, f"spec.matches[{index}]")
            for index, entry in enumerate(_sequence(spec["matches"], "spec.matches"))
        )
    return Split(
        metadata["namespace"], metadata["name"], _name(spec.get("service"), "spec.service"), backends, groups,
        metadata.get("uid", ""), metadata.get("generation", 1), metadata.get("creationTimestamp") or "",
        str(obj.get("apiVersion", "")),
    )


def route_group(obj: Json) -> RouteGroup:
    """Read an HTTPRouteGroup of any version. Raises Malformed."""
    metadata = obj["metadata"]
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    if version in _GROUPS_WITH_SPEC:
        where, holder = "spec.matches", _mapping(obj.get("spec"), "spec")
    else:
        where, holder = "matches", obj
    return RouteGroup(metadata["namespace"], metadata["name"], tuple(
        _match(entry, f"{where}[{index}]") for index, entry in enumerate(_sequence(holder.get("matches"), where))
    ))


def _backend(entry: Any, where: str, weight: Callable[[Any], Fraction]) -> Backend:
    entry = _mapping(entry, where)
    try:
        value = weight(entry.get("weight"))
    except ValueError as error:
        raise Malformed(f"{where}.weight: {error}") from None
    if value < 0:
        raise Malformed(f"{where}.weight: {entry['weight']} is negative")
    return Backend(_name(entry.get("service"), f"{where}.service"), value)


def _group_name(entry: Any, where: str) -> str:
    entry = _mapping(entry, where)
    if entry.get("kind", "HTTPRouteGroup") != "HTTPRouteGroup":
        raise Malformed(f"{where}.kind: {entry['kind']!r} is not HTTPRouteGroup")
    return _name(entry.get("name"), f"{where}.name")


def _match(entry: Any, where: str) -> Match:
    entry = _mapping(entry, where)
    headers = entry.get("headers") or {}
    # The specification's text has a map, the project's CRDs a list of maps (smi-spec#233): both are in use.
    maps: Iterable[Any] = [headers] if isinstance(headers, Mapping) else _sequence(headers, f"{where}.headers")
    return Match(
        str(entry.get("name", "")),
        tuple(
            HeaderMatch(_text(name, f"{where}.headers"), _text(regex, f"{where}.headers.{name}"))
            for one in maps for name, regex in _mapping(one, f"{where}.headers").items()
        ),
        _text(entry.get("pathRegex") or "", f"{where}.pathRegex"),
        tuple(_text(method, f"{where}.methods") for method in _sequence(entry.get("methods"), f"{where}.methods")),
    )


def _mapping(value: Any, where: str) -> Json:
    if not isinstance(value, Mapping):
        raise Malformed(f"{where}: it is {_kind(value)}, not an object")
    return value


def _sequence(value: Any, where: str) -> Iterable[Any]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise Malformed(f"{where}: it is {_kind(value)}, not a list")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{where}: it is {_kind(value)}, not a string")
    return value


def _name(value: Any, where: str) -> str:
    text = _text(value, where)
    if not _NAME.fullmatch(text):
        raise Malformed(f"{where}: {text[:60]!r} is not the name of an object")
    return text


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


def _is_ipv4(address: str) -> bool:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return True
