"""How lists and maps merge: which lists are keyed and by what, what is replaced as a whole.

Strategic merge and server-side apply both need it. For custom resources it stands in the schema, for built-in kinds
in the tables below (as the `x-kubernetes-list-*` marks of the Kubernetes OpenAPI document have it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from conformance.sandbox.apiserver.objects import JSON

_KEYED: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "hostIPs": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "readinessGates": ("conditionType",),
    "taints": ("key", "effect"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "webhooks": ("name",),
}
_KEYED_UNDER: dict[tuple[str, str], tuple[str, ...]] = {
    ("containers", "ports"): ("containerPort", "protocol"),
    ("initContainers", "ports"): ("containerPort", "protocol"),
    ("spec", "ports"): ("port", "protocol"),  # of a Service
    ("", "secrets"): ("name",),  # of a ServiceAccount
    ("status", "addresses"): ("type",),  # of a Node
}
_SETS = frozenset({"finalizers"})
_ATOMIC = frozenset(
    {"configMapKeyRef", "fieldRef", "involvedObject", "nodeSelector", "resourceFieldRef", "roleRef", "secretKeyRef",
     "selector", "targetRef"}
)  # fmt: skip
KEY_DEFAULTS: JSON = {"protocol": "TCP"}
"""Values of key fields that an item may leave out."""


class Shape(Protocol):
    """What is known about the value at one place of an object."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that identify an item, when the value is a keyed list."""
        ...

    @property
    def set(self) -> bool:
        """Whether a list is a set of scalars."""
        ...

    @property
    def atomic(self) -> bool:
        """Whether a map is owned and replaced as a whole."""
        ...

    def child(self, name: str) -> Shape:
        """The shape of a field, of the value itself or of a list's items."""
        ...


@dataclass(frozen=True, slots=True)
class BuiltinShape:
    """A place in an object of a built-in kind, known by the names of the field and its parent."""

    name: str = ""
    parent: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return _KEYED_UNDER.get((self.parent, self.name)) or _KEYED.get(self.name, ())

    @property
    def set(self) -> bool:
        return self.name in _SETS

    @property
    def atomic(self) -> bool:
        return self.name in _ATOMIC

    def child(self, name: str) -> Shape:
        return BuiltinShape(name, self.name)


@dataclass(frozen=True, slots=True)
class SchemaShape:
    """A place in a custom resource, known by its schema."""

    schema: JSON = field(hash=False)
    root: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        if self.schema.get("x-kubernetes-list-type") != "map":
            return ()
        return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())

    @property
    def set(self) -> bool:
        return self.schema.get("x-kubernetes-list-type") == "set"

    @property
    def atomic(self) -> bool:
        return self.schema.get("x-kubernetes-map-type") == "atomic"

    def child(self, name: str) -> Shape:
        if self.root and name == "metadata":
            return BuiltinShape("metadata")
        place: Any = self.schema.get("items") if "items" in self.schema else self.schema
        found = ((place or {}).get("properties") or {}).get(name) or (place or {}).get("additionalProperties")
        return SchemaShape(found if isinstance(found, dict) else {})


def identity(item: Any, keys: tuple[str, ...]) -> JSON | None:
    """The key fields of an item of a keyed list; None when it lacks one."""
    if not isinstance(item, dict) or not keys:
        return None
    found = {key: item.get(key, KEY_DEFAULTS.get(key)) for key in keys}
    return None if any(value is None for value in found.values()) else found
