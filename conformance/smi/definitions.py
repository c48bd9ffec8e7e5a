"""The CustomResourceDefinitions of the SMI project, and the variants of them that meshes ship.

Source: SMI v0.6.0 and the definitions of its Go SDK.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import yaml

from conformance import paths
from conformance.cluster import Object
from conformance.smi.apis import HeaderShape

GENERATIONS: Final = ("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1")
"""The versions of TrafficSplit by which a set of compatible versions of all groups is called."""

Weight = Literal["number", "integer", "int-or-string"]

_WEIGHTS: Final[Mapping[str, Object]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer", "minimum": 0},
    "int-or-string": {"x-kubernetes-int-or-string": True},
}
_HEADERS: Final[Mapping[str, Object]] = {
    "list": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
}


@dataclass(frozen=True)
class Serving:
    """How one kind is served: its versions, newest first, the one that is stored, and what its schema says.

    Without `schema` the definition says nothing of fields, and all are kept. `headers` and `weight` are the shapes
    of those fields; None leaves that of the SMI project.
    """

    versions: tuple[str, ...]
    storage: str
    schema: bool = True
    headers: HeaderShape | None = None
    weight: Weight | None = None


@cache
def _project() -> Mapping[str, Object]:
    files = sorted((paths.fixtures() / "crds").glob("*.yaml"))
    definitions = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return {definition["spec"]["names"]["kind"]: definition for definition in definitions}


def project_definitions() -> dict[str, Object]:
    """Return the SMI project's definitions, by kind, with all versions that each kind has had."""
    return copy.deepcopy(dict(_project()))


def custom_resource_definition(kind: str, serving: Serving) -> Object:
    """Return the definition of a kind as a mesh ships it. Raises ValueError for a version that the kind never had."""
    definition = project_definitions()[kind]
    versions = definition["spec"]["versions"]
    known = [version["name"] for version in versions]
    never = [name for name in (*serving.versions, serving.storage) if name not in known]
    if never:
        raise ValueError(f"{kind} has no version {', '.join(never)}, only {', '.join(known)}")
    for version in versions:
        version["served"] = version["name"] in serving.versions
        version["storage"] = version["name"] == serving.storage
        _vary(version["schema"], serving)
    return definition


def _vary(schema: dict[str, Any], serving: Serving) -> None:
    if not serving.schema:
        schema["openAPIV3Schema"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return
    for name, variants, chosen in (("headers", _HEADERS, serving.headers), ("weight", _WEIGHTS, serving.weight)):
        # Quantities are what the first version is about: a variant of numbers is one of the later versions'.
        for fields in _holders(schema, name) if chosen else ():
            if "x-kubernetes-int-or-string" not in fields[name]:
                fields[name] = copy.deepcopy(variants[str(chosen)])


def _holders(schema: Any, name: str) -> list[dict[str, Any]]:
    """Return the `properties` in which a field of that name is declared."""
    if not isinstance(schema, dict):
        return []
    found = [rule for part in schema.values() for rule in _holders(part, name)]
    properties = schema.get("properties")
    return [properties, *found] if isinstance(properties, dict) and name in properties else found


def custom_resource_definitions(generation: str = GENERATIONS[0]) -> list[Object]:
    """Return the definitions of a generation: of each kind that it has the one version that belongs to it."""
    access = {"v1alpha4": "v1alpha3", "v1alpha3": "v1alpha2"}.get(generation, "v1alpha1")
    chosen = {kind: access if kind == "TrafficTarget" else generation for kind in _project()}
    return [
        custom_resource_definition(kind, Serving((version,), version)) for kind, version in chosen.items()
        if version in [known["name"] for known in _project()[kind]["spec"]["versions"]]
    ]
