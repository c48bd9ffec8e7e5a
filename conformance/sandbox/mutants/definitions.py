"""Mutants that ship wrong definitions: what should be refused is taken, and what should be dropped is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

from conformance.sandbox.conversion.convert import UnscaledWeights
from conformance.sandbox.mutants.mutant import Mutant, Objects

Fields = dict[str, Any]


def _of(kind: str, change: Callable[[Fields], None]) -> Callable[[Objects], Objects]:
    """Change the definition of one kind."""
    def definitions(objects: Objects) -> Objects:
        changed = copy.deepcopy(objects)
        for obj in changed:
            if obj["spec"]["names"]["kind"] == kind:
                change(obj)
        return changed
    return definitions


def _schemas(change: Callable[[Fields], None]) -> Callable[[Fields], None]:
    """Change each schema of a definition, at every level."""
    def definition(obj: Fields) -> None:
        for version in obj["spec"]["versions"]:
            for schema in list(_levels(version["schema"]["openAPIV3Schema"])):
                change(schema)
    return definition


def _levels(schema: Any) -> Iterator[Fields]:
    if not isinstance(schema, dict):
        return
    yield schema
    for part in (*(schema.get("properties") or {}).values(), schema.get("items")):
        yield from _levels(part)


def _optional(*names: str) -> Callable[[Fields], None]:
    def change(schema: Fields) -> None:
        kept = [name for name in schema.get("required", ()) if name not in names]
        schema.pop("required", None)
        schema.update({"required": kept} if kept else {})
    return _schemas(change)


def _field(name: str, change: Callable[[Fields], Fields]) -> Callable[[Fields], None]:
    """Replace the schema of a field, wherever it is declared."""
    def level(schema: Fields) -> None:
        properties = schema.get("properties", {})
        if name in properties:
            properties[name] = change(properties[name])
    return _schemas(level)


def _keep_unknown(schema: Fields) -> None:
    if schema.get("type") == "object":
        schema["x-kubernetes-preserve-unknown-fields"] = True


def _any_text(_: Fields) -> Fields:
    return {"type": "string"}


def _number_or_text(_: Fields) -> Fields:
    return {"x-kubernetes-int-or-string": True}


def _plural(obj: Fields) -> None:
    names = obj["spec"]["names"]
    names["plural"] = names["singular"]
    obj["metadata"]["name"] = f"{names['plural']}.{obj['spec']['group']}"


def _cluster_wide(obj: Fields) -> None:
    obj["spec"]["scope"] = "Cluster"


def _untranslated(objects: Objects) -> Objects:
    changed = copy.deepcopy(objects)
    for obj in changed:
        obj["spec"]["conversion"] = {"strategy": "None"}
    return changed


MUTANTS: Final = (
    Mutant("udproute-misnamed", "the plural of UDPRoute is its singular",
           "CRD-001", definitions=_of("UDPRoute", _plural)),
    Mutant("udproute-cluster-wide", "UDPRoutes belong to no namespace",
           "CRD-001", definitions=_of("UDPRoute", _cluster_wide), may=("CRD-010",)),
    Mutant("split-service-optional", "a TrafficSplit needs no `service`",
           "CRD-002", definitions=_of("TrafficSplit", _optional("service"))),
    Mutant("backend-weight-optional", "a backend needs no `weight`",
           "CRD-002", definitions=_of("TrafficSplit", _optional("weight"))),
    Mutant("weight-of-any-type", "a weight may be a string",
           "CRD-003", definitions=_of("TrafficSplit", _field("weight", _number_or_text))),
    Mutant("match-of-any-kind", "the matches of a split may be of any kind",
           "CRD-004", definitions=_of("TrafficSplit", _field("kind", _any_text))),
    Mutant("rules-optional", "a TrafficTarget needs no rules",
           "CRD-005", definitions=_of("TrafficTarget", _optional("rules", "specs"))),
    Mutant("rule-of-any-kind", "the rules of a TrafficTarget may be of any kind",
           "CRD-005", definitions=_of("TrafficTarget", _field("kind", _any_text))),
    Mutant("any-method", "a match may have any word as a method",
           "CRD-006", definitions=_of("HTTPRouteGroup", _field("methods", lambda _: {
               "type": "array", "items": {"type": "string"}}))),
    Mutant("ports-optional", "the matches of a TCPRoute need no ports",
           "CRD-008", definitions=_of("TCPRoute", _optional("ports"))),
    Mutant("ports-of-any-type", "the ports of a TCPRoute may be strings",
           "CRD-008", definitions=_of("TCPRoute", _field("ports", lambda _: {
               "type": "array", "items": _number_or_text({})}))),
    Mutant("unknown-fields-kept", "a TrafficTarget keeps fields that nobody knows",
           "CRD-010", definitions=_of("TrafficTarget", _schemas(_keep_unknown))),
    Mutant("weights-unscaled", "a quantity's digits are taken for a number when versions are converted",
           "CONV-001", conversion=UnscaledWeights, dialect="sdk"),
    Mutant("not-converted", "several versions are served, and nothing converts between them",
           "CONV-001", definitions=_untranslated, dialect="sdk"),
)
