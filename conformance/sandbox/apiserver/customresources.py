"""Custom resources: how objects of a definition are treated, and how definitions come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver import schemas
from conformance.sandbox.apiserver.definitions import priority, resource_of
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, clone, name_of, namespace_of, now
from conformance.sandbox.apiserver.registry import Strategy
from conformance.sandbox.apiserver.resources import CRDS, Key, Resource

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.errors import Cause
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a definition, ready for use. `columns` are its additionalPrinterColumns."""

    resource: Resource
    schema: JSON
    validator: schemas.Validator
    columns: tuple[JSON, ...]
    subresources: JSON


class CustomStrategy(Strategy):
    """Treats objects as their definition says. Objects are stored in the storage version; conversion to another
    changes `apiVersion` and fills in that version's defaults.
    """

    def __init__(self, definition: JSON) -> None:
        found = [
            Version(
                resource_of(definition, version),
                version["schema"]["openAPIV3Schema"],
                schemas.Validator(version["schema"]["openAPIV3Schema"]),
                tuple(version.get("additionalPrinterColumns") or ()),
                version.get("subresources") or {},
            )
            for version in definition["spec"]["versions"]
        ]
        storage = next(version["name"] for version in definition["spec"]["versions"] if version["storage"])
        self.versions = {version.resource.version: version for version in found}
        self._storage = self.versions[storage]
        self.terminating = bool(definition["metadata"].get("deletionTimestamp"))

    def version(self, resource: Resource) -> Version:
        """The resource's version; the storage version when the definition has lost it since."""
        return self.versions.get(resource.version, self._storage)

    def unknown(self, resource: Resource, obj: JSON) -> list[str]:
        """The paths of fields in `obj` that would be pruned."""
        return schemas.prune(clone(obj), self.version(resource).schema)

    def prune(self, resource: Resource, obj: JSON) -> None:
        """Drop what the schema does not know, in place."""
        schemas.prune(obj, self.version(resource).schema)

    def prepare(self, resource: Resource, obj: JSON, old: JSON | None) -> None:
        if self.terminating and old is None:
            what = "create not allowed while custom resource definition is terminating"
            raise ApiError(405, "MethodNotAllowed", what)
        version = self.version(resource)
        schemas.prune(obj, version.schema)
        schemas.default(obj, version.schema)

    def validate(self, resource: Resource, obj: JSON, old: JSON | None) -> list[Cause]:
        del old
        return self.version(resource).validator.problems(obj)

    def present(self, resource: Resource, obj: JSON) -> JSON:
        if obj["apiVersion"] == resource.api_version:
            return obj
        shown = {**clone(obj), "apiVersion": resource.api_version}
        version = self.versions.get(resource.version)
        if version is not None:
            schemas.default(shown, version.schema)
        return shown

    def store(self, resource: Resource, obj: JSON) -> None:
        if resource.version != self._storage.resource.version:
            obj["apiVersion"] = self._storage.resource.api_version
            schemas.prune(obj, self._storage.schema)


class CustomResources:
    """Serves what definitions define, from their creation to their end; an observer of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ending: dict[Key, str] = {}

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        definition = change.object
        if change.resource.key != CRDS.key:
            if change.type == "DELETED" and change.resource.key in self._ending:
                self._finish(change.resource.key)
            return
        key = (definition["spec"]["group"], definition["spec"]["names"]["plural"])
        if change.type == "DELETED":
            self._ending.pop(key, None)
            self._store.registry.remove(key)
            self._store.close(key)
        elif definition["metadata"].get("deletionTimestamp"):
            self._end(definition, key)
        elif change.previous is None or change.previous["spec"] != definition["spec"]:
            self._serve(definition, key)

    def _serve(self, definition: JSON, key: Key) -> None:
        clash = self._clash(definition, key)
        if not clash:
            strategy = CustomStrategy(definition)
            served = {version["name"] for version in definition["spec"]["versions"] if version["served"]}
            found = [version.resource for name, version in strategy.versions.items() if name in served]
            self._store.registry.remove(key)
            self._store.registry.add(sorted(found, key=lambda item: priority(item.version)), strategy)
        name = name_of(definition)
        self._store.modify(CRDS, name, "", lambda obj: obj.update(status=_status(obj, clash)), subresource="status")

        def keep(obj: JSON) -> None:
            finalizers = obj["metadata"].setdefault("finalizers", [])
            if CLEANUP not in finalizers:
                finalizers.append(CLEANUP)

        self._store.modify(CRDS, name, "", keep)

    def _clash(self, definition: JSON, key: Key) -> str:
        """Which name another resource of the group already has; empty when none."""
        names = definition["spec"]["names"]
        for resource in self._store.registry:
            if resource.group != key[0] or resource.key == key:
                continue
            if resource.kind in (names["kind"], names.get("listKind")):
                return f'"{resource.kind}" is already in use'
        return ""

    def _end(self, definition: JSON, key: Key) -> None:
        if key in self._ending:
            return
        self._ending[key] = name_of(definition)
        for resource in self._store.registry:
            if resource.key == key:
                strategy = self._store.registry.strategy(resource)
                if isinstance(strategy, CustomStrategy):
                    strategy.terminating = True
                for obj in self._store.select(resource):
                    self._store.delete(resource, name_of(obj), namespace_of(obj))
                break
        self._finish(key)

    def _finish(self, key: Key) -> None:
        """Let a definition that ends go when none of its objects is left."""
        if key not in self._ending:
            return
        served = next((resource for resource in self._store.registry if resource.key == key), None)
        if served is not None and self._store.select(served):
            return

        def release(obj: JSON) -> None:
            finalizers = obj["metadata"].get("finalizers") or []
            obj["metadata"]["finalizers"] = [item for item in finalizers if item != CLEANUP]

        self._store.modify(CRDS, self._ending.pop(key), "", release)


def _status(definition: JSON, clash: str) -> JSON:
    spec = definition["spec"]
    storage = next(version["name"] for version in spec["versions"] if version["storage"])
    before = definition.get("status") or {}
    stored = [*(before.get("storedVersions") or [])]
    accepted = _condition("NamesAccepted", "NoConflicts", "no conflicts found")
    established = _condition("Established", "InitialNamesAccepted", "the initial names have been accepted")
    if clash:
        accepted.update(status="False", reason="KindConflict", message=clash)
        established.update(status="False", reason="NotAccepted", message="not all names are accepted")
    return {
        "acceptedNames": {} if clash else spec["names"],
        "conditions": [accepted, established],
        "storedVersions": stored if storage in stored else [*stored, storage],
    }


def _condition(type_: str, reason: str, message: str) -> JSON:
    return {"type": type_, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message}
