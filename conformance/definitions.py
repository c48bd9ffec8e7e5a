"""The definitions of SMI's kinds as a cluster has them: names, served versions, and what their schemas declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from conformance import smi
from conformance.cluster import Cluster, Object
from conformance.smi import RELEASED, RESOURCES, HeaderShape, NotExpressible, NotServed, ServedApis

SHOWN: Final = 6
"""How many differences of one schema are told; a definition of another make has hundreds."""

_LOOSE: Final = ("type", "enum", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "minimum",
                 "minItems", "pattern")


@dataclass(frozen=True)
class Definition:
    """One CustomResourceDefinition of an SMI group."""

    obj: Object

    @property
    def kind(self) -> str:
        """The kind that it defines."""
        return str(self._spec["names"].get("kind"))

    @property
    def group(self) -> str:
        """The API group."""
        return str(self._spec["group"])

    @property
    def served(self) -> tuple[str, ...]:
        """The versions that it serves, newest first."""
        return tuple(sorted((str(entry["name"]) for entry in self._versions if entry.get("served")), reverse=True))

    @property
    def storage(self) -> str:
        """The version in which objects are stored."""
        return next((str(entry["name"]) for entry in self._versions if entry.get("storage")), "")

    def schema(self, version: str) -> Mapping[str, Any]:
        """Return the schema of a version; empty where it declares none."""
        found = next((entry for entry in self._versions if entry["name"] == version), {})
        schema = (found.get("schema") or {}).get("openAPIV3Schema")
        return schema if isinstance(schema, Mapping) else {}

    def identity(self) -> str:
        """Say by which names, in which scope it is known, and whether the API server has taken it in."""
        names = self._spec["names"]
        return f"{self.kind} as {names.get('plural')}.{self.group}, {self._spec.get('scope')}, {self._condition()}"

    def summary(self) -> str:
        """Say which versions are served and which names short."""
        short = ", ".join(self._spec["names"].get("shortNames") or ()) or "none"
        return f"{self.kind}: serves {', '.join(self.served)}, stores {self.storage}, short name {short}"

    def _condition(self) -> str:
        conditions = (self.obj.get("status") or {}).get("conditions") or ()
        for entry in conditions:
            if entry.get("type") == "Established":
                trouble = f"not established ({entry.get('reason')}: {entry.get('message')})"
                return "established" if entry.get("status") == "True" else trouble
        return "not established"

    @property
    def _spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.obj["spec"]
        return spec

    @property
    def _versions(self) -> list[Mapping[str, Any]]:
        return list(self._spec.get("versions") or ())


@dataclass(frozen=True)
class Definitions:
    """All definitions of the SMI groups that a cluster has."""

    cluster: Cluster
    apis: ServedApis

    @cached_property
    def all(self) -> tuple[Definition, ...]:
        """The definitions of kinds that SMI has, by name. Raises NotServed when there is none, ClusterError."""
        found, _ = self.cluster.list("apiextensions.k8s.io/v1", "customresourcedefinitions")
        known = smi.project_definitions()
        ours = tuple(Definition(obj) for obj in found if obj["spec"].get("group") in RESOURCES)
        kept = tuple(each for each in ours if each.kind in known or _misnamed(each, known))
        if not kept:
            raise NotServed(f"the cluster has no definition in {', '.join(RESOURCES)}")
        return kept

    def of(self, kind: str) -> Definition | None:
        """Return the definition of a kind, where there is one."""
        return next((each for each in self.all if each.kind == kind), None)

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield each SMI kind that is served, with the version that the harness speaks. Raises NotServed if none is."""
        found = [(kind, version) for kind, group in _groups().items() if (version := self.apis.version(group, kind))]
        if not found:
            raise NotServed(f"the cluster serves no kind of {', '.join(RESOURCES)} in a version that SMI has released")
        yield from found

    def spoken(self, kind: str) -> str:
        """Return the version in which the harness writes objects of a kind. Raises NotServed."""
        return self.apis.spoken(_groups()[kind], kind)

    def several(self) -> Iterator[tuple[Definition, tuple[str, ...]]]:
        """Yield each definition that serves several released versions. Raises NotExpressible when none does."""
        found = [(each, versions) for each in self.all if each.kind in _groups()
                 and len(versions := tuple(v for v in each.served if v in RELEASED[each.group])) > 1]
        if not found:
            raise NotExpressible("each kind is served in one version only: there is nothing to convert")
        yield from found

    def speaking(self, kind: str, version: str) -> ServedApis:
        """Return what to render objects of a kind with, so that they are written in that version."""
        shape = self.header_shape(version) if kind == "HTTPRouteGroup" else "list"
        return ServedApis({_groups()[kind]: (version,)}, shape)

    def header_shape(self, version: str) -> HeaderShape:
        """Return the shape of headers that a version of HTTPRouteGroup declares; a map where it declares none."""
        found = self.of("HTTPRouteGroup")
        return smi.declared_shape(found.schema(version)) if found else "map"


def _misnamed(definition: Definition, known: Mapping[str, Object]) -> bool:
    """Whether it is one of SMI's kinds under another name, and not a kind of the mesh's own (GEN-004)."""
    plurals = {obj["spec"]["names"]["plural"] for obj in known.values()}
    return definition.obj["spec"]["names"].get("plural") in plurals


def _groups() -> dict[str, str]:
    return {kind: str(obj["spec"]["group"]) for kind, obj in smi.project_definitions().items()}


def expected_identity(kind: str) -> str:
    """Say by which names and in which scope a kind has to be known."""
    project = smi.project_definitions().get(kind)
    if project is None:
        return "a kind of SMI"
    spec = project["spec"]
    return f"{kind} as {spec['names']['plural']}.{spec['group']}, Namespaced, established"


def differences(definition: Definition, version: str) -> list[str]:
    """Say in what the schema of a version differs from that of the SMI project, field by field."""
    project = Definition(smi.project_definitions()[definition.kind]).schema(version)
    if not project:
        return [f"SMI has no version {version} of {definition.kind}"]
    found = list(_compare(project, definition.schema(version), ""))
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return found[:SHOWN] + more


def _compare(theirs: Mapping[str, Any], ours: Any, at: str) -> Iterator[str]:
    """Yield differences; `theirs` is the project's. Descriptions and formats are nobody's business."""
    where = at or "the object"
    if not isinstance(ours, Mapping):
        yield f"{where}: declares {ours!r}, which is no schema"
        return
    for rule in _LOOSE:
        if theirs.get(rule) != ours.get(rule):
            yield f"{where}: {rule} {_shown(ours.get(rule))} instead of {_shown(theirs.get(rule))}"
    if sorted(theirs.get("required") or ()) != sorted(ours.get("required") or ()):
        yield f"{where}: requires {_shown(ours.get('required'))} instead of {_shown(theirs.get('required'))}"
    fields, have = theirs.get("properties") or {}, ours.get("properties") or {}
    known = {"apiVersion", "kind", "metadata", "status"} if not at else set()
    for name in sorted({*fields, *have} - known):
        here = f"{at}.{name}" if at else name
        if name not in have:
            yield f"{here}: not declared"
        elif name not in fields:
            yield f"{here}: unknown to SMI"
        else:
            yield from _compare(fields[name], have[name], here)
    for part, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(theirs.get(part), Mapping) and part in ours:
            yield from _compare(theirs[part], ours[part], f"{at}{suffix}")


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
