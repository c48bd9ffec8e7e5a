"""Custom resources: how objects of a definition are treated, and how definitions come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver import schemas
from conformance.sandbox.apiserver.conversion import Webhook
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
    """Treats objects as their definition says. They are stored in the storage version. Conversion to another changes
    `apiVersion` and drops what that version does not know; with a webhook it is not done here, as it takes time.

    `since` is the revision from which on objects are written under this definition: older ones are fitted to it when
    they are read.
    """

    def __init__(self, definition: JSON, since: int = 0) -> None:
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
        self.storage = self.versions[storage].resource
        self.webhook = Webhook.of(definition)
        self.terminating = bool(definition["metadata"].get("deletionTimestamp"))
        self._since = since
        self._fitted: dict[tuple[str, str], JSON] = {}

    def version(self, resource: Resource) -> Version:
        """The resource's version; the storage version when the definition has lost it since."""
        return self.versions.get(resource.version) or self.versions[self.storage.version]

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

    def require_convertible(self, obj: JSON) -> None:
        """Raise ApiError 500 for a stored object whose version the definition has lost: no request can have it."""
        if str(obj.get("apiVersion")).rpartition("/")[2] not in self.versions:
            raise ApiError(500, "", f"request to convert CR from an invalid group/version: {obj.get('apiVersion')}")

    def fitted(self, obj: JSON) -> JSON:
        """A stored object as the definition has it now: pruned, and with defaults that came later."""
        metadata = obj["metadata"]
        if int(metadata.get("resourceVersion") or self._since + 1) > self._since:
            return obj
        place = (metadata["uid"], metadata["resourceVersion"])
        if place not in self._fitted:
            found = clone(obj)
            version = self.version(self.native(self.storage, obj))
            schemas.prune(found, version.schema)
            schemas.default(found, version.schema)
            self._fitted[place] = found
        return self._fitted[place]

    def present(self, resource: Resource, obj: JSON) -> JSON:
        shown = self.fitted(obj)
        if shown["apiVersion"] == resource.api_version:
            return shown
        self._require_no_webhook(resource)
        shown = {**clone(shown), "apiVersion": resource.api_version}
        self.prune(resource, shown)
        return shown

    def native(self, resource: Resource, obj: JSON) -> Resource:
        version = self.versions.get(str(obj.get("apiVersion")).rpartition("/")[2])
        return version.resource if version is not None else resource

    def store(self, resource: Resource, obj: JSON) -> None:
        if obj["apiVersion"] == self.storage.api_version:
            return
        self._require_no_webhook(resource)
        obj["apiVersion"] = self.storage.api_version
        self.prune(self.storage, obj)

    def _require_no_webhook(self, resource: Resource) -> None:
        if self.webhook is not None:
            what = f"{resource.group_resource} is converted by a webhook, which only requests can wait for"
            raise ApiError(500, "InternalError", what)


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
            strategy = CustomStrategy(definition, self._store.revision)
            served = {version["name"] for version in definition["spec"]["versions"] if version["served"]}
            found = [version.resource for name, version in strategy.versions.items() if name in served]
            self._store.registry.remove(key)
            self._store.registry.add(key, sorted(found, key=lambda item: priority(item.version)), strategy)
            self._store.close(key)  # who watches has to look again, at what is served now
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
        strategy = self._store.registry.at(key)
        if isinstance(strategy, CustomStrategy):
            strategy.terminating = True
            for obj in self._store.all_stored(strategy.storage):
                self._store.delete(strategy.native(strategy.storage, obj), name_of(obj), namespace_of(obj))
        self._finish(key)

    def _finish(self, key: Key) -> None:
        """Let a definition that ends go when none of its objects is left."""
        if key not in self._ending:
            return
        strategy = self._store.registry.at(key)
        if isinstance(strategy, CustomStrategy) and self._store.all_stored(strategy.storage):
            return

        def release(obj: JSON) -> None:
            finalizers = obj["metadata"].get("finalizers") or []
            obj["metadata"]["finalizers"] = [item for item in finalizers if item != CLEANUP]

        self._store.modify(CRDS, self._ending.pop(key), "", release)


def _status(definition: JSON, clash: str) -> JSON:
    spec = definition["spec"]
    storage = next(version["name"] for version in spec["versions"] if version["storage"])
    before = definition.get("status") or {}
    stored = before.get("storedVersions") or []
    if clash:
        accepted = _condition(before, "NamesAccepted", "False", "KindConflict", clash)
        established = _condition(before, "Established", "False", "NotAccepted", "not all names are accepted")
    else:
        accepted = _condition(before, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
        why = "the initial names have been accepted"
        established = _condition(before, "Established", "True", "InitialNamesAccepted", why)
    return {
        "acceptedNames": {} if clash else spec["names"],
        "conditions": [accepted, established],
        "storedVersions": stored if storage in stored else [*stored, storage],
    }


def _condition(status: JSON, type_: str, value: str, reason: str, message: str) -> JSON:
    before: JSON = next((item for item in status.get("conditions") or [] if item.get("type") == type_), {})
    since = before["lastTransitionTime"] if before.get("status") == value else now()
    return {"type": type_, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
