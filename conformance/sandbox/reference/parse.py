"""From Kubernetes objects to the mesh's model.

Objects of users can be anything that their schema lets through. What cannot be read raises Malformed, is told
by an event and otherwise ignored: one bad object must not take the mesh from all others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from conformance.sandbox.reference.fields import Json, Malformed, mapping, name, sequence, text, version
from conformance.sandbox.reference.model import (
    Backend,
    Endpoint,
    HeaderMatch,
    Key,
    Match,
    Pod,
    Probe,
    RouteGroup,
    Service,
    ServicePort,
    Split,
)
from conformance.sandbox.reference.weights import number, quantity

PROXY_LABEL: Final = "reference-mesh/proxy"
MTLS_LABEL: Final = "reference-mesh/mtls"
_NOT_HTTP: Final = frozenset({"tcp", "tls", "https", "dns"})
_DIRECTORY: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9.]{0,252}", re.ASCII)
_WEIGHTS: Final[Mapping[str, Callable[[Any], Fraction]]] = {"v1alpha1": quantity}
_SPLITS_WITH_MATCHES: Final = frozenset({"v1alpha3", "v1alpha4"})
_GROUPS_WITH_SPEC: Final = frozenset({"v1alpha3", "v1alpha4"})


def key_of(obj: Json) -> Key:
    """Return namespace and name of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def service(obj: Json) -> Service:
    """Read a Service and its TCP ports; those of UDP are known by its endpoints."""
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
    """Tell whether a port carries HTTP: all do unless declared as something else by appProtocol or by their name.

    A name declares by its first word, as in `tcp-echo`. What a proxy cannot read, such as `https`, is TCP to it.
    """
    declared = app_protocol or (name or "").partition("-")[0]
    return declared.lower() not in _NOT_HTTP


def service_range(obj: Json) -> tuple[str, ...]:
    """Read a ServiceCIDR: the networks of IPv4 that Services have their cluster IPs from. Raises Malformed."""
    cidrs = sequence(mapping(obj.get("spec"), "spec").get("cidrs"), "spec.cidrs")
    try:
        networks = [ipaddress.ip_network(text(cidr, "spec.cidrs")) for cidr in cidrs]
    except ValueError as error:
        raise Malformed(f"spec.cidrs: {error}") from None
    return tuple(str(network) for network in networks if network.version == 4)


def slice_endpoints(obj: Json) -> tuple[Key, tuple[Endpoint, ...]] | None:
    """Return the Service that an EndpointSlice belongs to and its endpoints; None if it belongs to none."""
    metadata = obj["metadata"]
    owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
    if not owner or obj.get("addressType", "IPv4") != "IPv4":
        return None
    ports = tuple(
        (port.get("name") or "", port["port"]) for port in obj.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP" and port.get("port")
    )
    udp_ports = tuple(
        port["port"] for port in obj.get("ports") or () if port.get("protocol") == "UDP" and port.get("port")
    )
    return (metadata["namespace"], owner), tuple(
        Endpoint(address, ports, udp_ports, _is_ready(entry.get("conditions") or {}))
        for entry in obj.get("endpoints") or () for address in entry.get("addresses") or ()
    )


def _is_ready(conditions: Json) -> bool:
    return conditions.get("ready") is not False and not conditions.get("terminating")


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
    containers = spec.get("containers") or ()
    declared = [port for container in containers for port in container.get("ports") or ()]
    labels = metadata.get("labels") or {}
    return Pod(
        metadata["namespace"], metadata["name"], metadata["uid"], address, spec.get("serviceAccountName") or "default",
        tuple((port["containerPort"], is_http(port.get("name"), None)) for port in declared
              if port.get("protocol", "TCP") == "TCP"),
        tuple(port["containerPort"] for port in declared if port.get("protocol") == "UDP"),
        tuple(sorted(labels.items())), tuple(probe for container in containers for probe in _probes(container)),
        labels.get(PROXY_LABEL) == "enabled", labels.get(MTLS_LABEL) == "disabled", "deletionTimestamp" in metadata,
        metadata.get("creationTimestamp") or "",
    )


def _probes(container: Json) -> Iterator[Probe]:
    """Yield what the node asks of a container over HTTP."""
    named = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = (container.get(kind) or {}).get("httpGet")
        if asked and (number := named.get(asked["port"], asked["port"])) and isinstance(number, int):
            yield Probe(number, (asked.get("path") or "/").partition("?")[0])


def split(obj: Json) -> Split:
    """Read a TrafficSplit of any version. Raises Malformed."""
    metadata, spec = obj["metadata"], mapping(obj.get("spec"), "spec")
    weight = _WEIGHTS.get(version(obj), number)
    backends = tuple(
        _backend(entry, f"spec.backends[{index}]", weight)
        for index, entry in enumerate(sequence(spec.get("backends"), "spec.backends"))
    )
    groups = None
    if version(obj) in _SPLITS_WITH_MATCHES and spec.get("matches"):
        groups = tuple(
            _group_name(entry, f"spec.matches[{index}]")
            for index, entry in enumerate(sequence(spec["matches"], "spec.matches"))
        )
    return Split(
        metadata["namespace"], metadata["name"], name(spec.get("service"), "spec.service"), backends, groups,
        metadata.get("uid", ""), metadata.get("generation", 1), metadata.get("creationTimestamp") or "",
        str(obj.get("apiVersion", "")),
    )


def route_group(obj: Json) -> RouteGroup:
    """Read an HTTPRouteGroup of any version. Raises Malformed."""
    metadata = obj["metadata"]
    if version(obj) in _GROUPS_WITH_SPEC:
        where, holder = "spec.matches", mapping(obj.get("spec"), "spec")
    else:
        where, holder = "matches", obj
    return RouteGroup(metadata["namespace"], metadata["name"], tuple(
        _match(entry, f"{where}[{index}]") for index, entry in enumerate(sequence(holder.get("matches"), where))
    ))


def _backend(entry: Any, where: str, weight: Callable[[Any], Fraction]) -> Backend:
    entry = mapping(entry, where)
    try:
        value = weight(entry.get("weight"))
    except ValueError as error:
        raise Malformed(f"{where}.weight: {error}") from None
    if value < 0:
        raise Malformed(f"{where}.weight: {entry['weight']} is negative")
    return Backend(name(entry.get("service"), f"{where}.service"), value)


def _group_name(entry: Any, where: str) -> str:
    entry = mapping(entry, where)
    if entry.get("kind", "HTTPRouteGroup") != "HTTPRouteGroup":
        raise Malformed(f"{where}.kind: {entry['kind']!r} is not HTTPRouteGroup")
    return name(entry.get("name"), f"{where}.name")


def _match(entry: Any, where: str) -> Match:
    entry = mapping(entry, where)
    headers = entry.get("headers") or {}
    # The specification's text has a map, the project's CRDs a list of maps (smi-spec#233): both are in use.
    maps: Iterable[Any] = [headers] if isinstance(headers, Mapping) else sequence(headers, f"{where}.headers")
    return Match(
        str(entry.get("name", "")),
        tuple(
            HeaderMatch(text(header, f"{where}.headers"), text(regex, f"{where}.headers.{header}"))
            for one in maps for header, regex in mapping(one, f"{where}.headers").items()
        ),
        text(entry.get("pathRegex") or "", f"{where}.pathRegex"),
        tuple(text(method, f"{where}.methods") for method in sequence(entry.get("methods"), f"{where}.methods")),
    )


def _is_ipv4(address: str) -> bool:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return True
