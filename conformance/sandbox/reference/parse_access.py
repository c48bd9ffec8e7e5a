"""From TrafficTargets, their routes and namespaces to the mesh's model; what cannot be read raises Malformed."""

from __future__ import annotations

from typing import Any, Final, get_args

from conformance.sandbox.reference.fields import Json, Malformed, mapping, name, port, sequence, text, version
from conformance.sandbox.reference.model import Account, PortRoute, RouteKind, Target, TargetRule

ACCESS_LABEL: Final = "reference-mesh/access"

_TARGETS_WITHOUT_SPEC: Final = frozenset({"v1alpha1"})
_TARGETS_WITH_PORT: Final = frozenset({"v1alpha1", "v1alpha2"})
_ROUTES_WITH_PORTS: Final = frozenset({"v1alpha4"})


def open_namespace(obj: Json) -> str | None:
    """Return the name of a namespace in whose pods access is not enforced, None for any other."""
    metadata = obj["metadata"]
    found: str = metadata["name"]
    return found if (metadata.get("labels") or {}).get(ACCESS_LABEL) == "open" else None


def target(obj: Json) -> Target:
    """Read a TrafficTarget of any version. Raises Malformed.

    Rules and sources may be missing: such a target can be understood, and grants nothing (TARGET-007).
    """
    metadata = obj["metadata"]
    if version(obj) in _TARGETS_WITHOUT_SPEC:
        where, body, rules = "", obj, "specs"
    else:
        where, body, rules = "spec.", mapping(obj.get("spec"), "spec"), "rules"
    namespace = metadata["namespace"]
    destination = mapping(body.get("destination"), f"{where}destination")
    with_port = version(obj) in _TARGETS_WITH_PORT and destination.get("port") is not None
    return Target(
        namespace, metadata["name"], _account(destination, namespace, f"{where}destination"),
        tuple(_rule(entry, f"{where}{rules}[{index}]")
              for index, entry in enumerate(sequence(body.get(rules), f"{where}{rules}"))),
        tuple(_account(entry, namespace, f"{where}sources[{index}]")
              for index, entry in enumerate(sequence(body.get("sources"), f"{where}sources"))),
        port(destination["port"], f"{where}destination.port") if with_port else None,
        metadata.get("uid", ""), metadata.get("generation", 1), metadata.get("creationTimestamp") or "",
        str(obj.get("apiVersion", "")),
    )


def port_route(obj: Json) -> PortRoute:
    """Read a TCPRoute or UDPRoute of any version; before v1alpha4 they had no ports. Raises Malformed."""
    metadata, ports = obj["metadata"], None
    if version(obj) in _ROUTES_WITH_PORTS:
        matches = mapping(mapping(obj.get("spec") or {}, "spec").get("matches") or {}, "spec.matches")
        ports = matches.get("ports")
    return PortRoute(metadata["namespace"], metadata["name"], tuple(
        port(entry, f"spec.matches.ports[{index}]") for index, entry in enumerate(sequence(ports, "spec.matches.ports"))
    ))


def _account(entry: Any, namespace: str, where: str) -> Account:
    entry = mapping(entry, where)
    if entry.get("kind", "ServiceAccount") != "ServiceAccount":
        raise Malformed(f"{where}.kind: {entry['kind']!r} is not ServiceAccount")
    return Account(name(entry.get("namespace") or namespace, f"{where}.namespace"),
                   name(entry.get("name"), f"{where}.name"))


def _rule(entry: Any, where: str) -> TargetRule:
    entry = mapping(entry, where)
    kind: RouteKind | None = next((kind for kind in get_args(RouteKind) if kind == entry.get("kind")), None)
    if kind is None:
        raise Malformed(f"{where}.kind: {entry.get('kind')!r} is not one of {', '.join(get_args(RouteKind))}")
    return TargetRule(kind, name(entry.get("name"), f"{where}.name"), tuple(
        text(match, f"{where}.matches") for match in sequence(entry.get("matches"), f"{where}.matches")
    ))
