"""What follows from deletions: dependents of owners, contents of namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from conformance.sandbox.apiserver.deletion import FOREGROUND, ORPHAN
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, metadata, name_of, namespace_of, uid_of
from conformance.sandbox.apiserver.resources import NAMESPACES, Resource

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

    Place: TypeAlias = tuple[Resource, str, str]


def _owners(obj: JSON | None) -> list[JSON]:
    return (obj or {}).get("metadata", {}).get("ownerReferences") or []


class GarbageCollector:
    """Deletes what has no owner left and empties namespaces that end; an observer of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alive: dict[str, Place] = {}
        self._dependents: dict[str, dict[str, Place]] = {}
        self._contents: dict[str, dict[str, Place]] = {}

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        self._index(change)
        if change.type == "DELETED":
            self._owner_gone(uid_of(change.object))
            for owner in _owners(change.previous):
                self._release(str(owner.get("uid")))
            self._finish(namespace_of(change.object))
            return
        if change.object["metadata"].get("deletionTimestamp"):
            self._ending(change.resource, change.object)
        elif _owners(change.object) and _owners(change.object) != _owners(change.previous):
            self._check_owners(change.resource, change.object)

    def _index(self, change: Change) -> None:
        obj, uid = change.object, uid_of(change.object)
        place = (change.resource, namespace_of(obj), name_of(obj))
        contents = self._contents.setdefault(namespace_of(obj), {}) if namespace_of(obj) else {}
        for owner in _owners(change.previous):
            self._dependents.get(str(owner.get("uid")), {}).pop(uid, None)
        if change.type == "DELETED":
            self._alive.pop(uid, None)
            contents.pop(uid, None)
            return
        self._alive[uid] = contents[uid] = place
        for owner in _owners(obj):
            self._dependents.setdefault(str(owner.get("uid")), {})[uid] = place

    def _owner_gone(self, uid: str) -> None:
        for place in list(self._dependents.pop(uid, {}).values()):
            obj = self._read(place)
            if obj is not None:
                self._check_owners(place[0], obj)

    def _check_owners(self, resource: Resource, obj: JSON) -> None:
        """Without a living owner the object goes; otherwise it only loses the references to dead ones."""
        living = [owner for owner in _owners(obj) if owner.get("uid") in self._alive]
        if not living:
            self._delete((resource, namespace_of(obj), name_of(obj)), "Background")
        elif len(living) < len(_owners(obj)):
            self._set_owners((resource, namespace_of(obj), name_of(obj)), living)

    def _ending(self, resource: Resource, obj: JSON) -> None:
        finalizers = obj["metadata"].get("finalizers") or []
        if resource.key == NAMESPACES.key:
            self._empty(name_of(obj))
        if ORPHAN in finalizers:
            for place in list(self._dependents.get(uid_of(obj), {}).values()):
                dependent = self._read(place)
                if dependent is not None:
                    others = [owner for owner in _owners(dependent) if owner.get("uid") != uid_of(obj)]
                    self._set_owners(place, others)
            self._drop_finalizer((resource, namespace_of(obj), name_of(obj)), ORPHAN)
        elif FOREGROUND in finalizers:
            for place in list(self._dependents.get(uid_of(obj), {}).values()):
                self._delete(place, "Foreground")
            self._release(uid_of(obj))

    def _release(self, uid: str) -> None:
        """End the foreground deletion of an owner when no dependent blocks it any more."""
        place = self._alive.get(uid)
        owner = self._read(place) if place else None
        if place is None or owner is None or FOREGROUND not in (owner["metadata"].get("finalizers") or []):
            return
        for dependent in self._dependents.get(uid, {}).values():
            found = self._read(dependent)
            if any(ref.get("uid") == uid and ref.get("blockOwnerDeletion") for ref in _owners(found)):
                return
        self._drop_finalizer(place, FOREGROUND)

    def _empty(self, namespace: str) -> None:
        for place in list(self._contents.get(namespace, {}).values()):
            self._delete(place, "Background")
        self._finish(namespace)

    def _finish(self, namespace: str) -> None:
        """Let a namespace that ends go when it is empty."""
        if not namespace or self._contents.get(namespace):
            return
        obj = self._read((NAMESPACES, "", namespace))
        if obj is None or not obj["metadata"].get("deletionTimestamp"):
            return
        self._store.modify(NAMESPACES, namespace, "", lambda found: found["spec"].update(finalizers=[]))

    def _read(self, place: Place) -> JSON | None:
        resource, namespace, name = place
        try:
            return self._store.read(resource, name, namespace)
        except ApiError:
            return None

    def _delete(self, place: Place, propagation: str) -> None:
        resource, namespace, name = place
        obj = self._read(place)
        if obj is not None and not obj["metadata"].get("deletionTimestamp"):
            self._store.delete(resource, name, namespace, propagation=propagation)

    def _set_owners(self, place: Place, owners: list[JSON]) -> None:
        resource, namespace, name = place
        self._store.modify(resource, name, namespace, lambda obj: metadata(obj).update(ownerReferences=owners))

    def _drop_finalizer(self, place: Place, finalizer: str) -> None:
        resource, namespace, name = place

        def drop(obj: JSON) -> None:
            obj["metadata"]["finalizers"] = [item for item in obj["metadata"]["finalizers"] if item != finalizer]

        self._store.modify(resource, name, namespace, drop)
