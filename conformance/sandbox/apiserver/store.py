"""The objects of the sandbox cluster, in memory, with the semantics of the Kubernetes API.

Everything is synchronous and belongs to the thread of the event loop: a method sees and leaves a consistent state.
What follows from a write (custom resources of a definition, deletion of dependents, emptying of a namespace) has
happened when the method returns.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from conformance.sandbox.apiserver import deletion, identity
from conformance.sandbox.apiserver.builtin import install
from conformance.sandbox.apiserver.customresources import CustomResources
from conformance.sandbox.apiserver.errors import (
    Cause,
    already_exists,
    bad_request,
    forbidden,
    invalid,
    modified,
    not_found,
    precondition_failed,
)
from conformance.sandbox.apiserver.garbage import GarbageCollector
from conformance.sandbox.apiserver.objects import JSON, Objects, clone, name_of, namespace_of
from conformance.sandbox.apiserver.registry import Registry
from conformance.sandbox.apiserver.resources import NAMESPACES, Key, Resource
from conformance.sandbox.apiserver.revisions import confined, content
from conformance.sandbox.apiserver.selectors import matcher
from conformance.sandbox.apiserver.watching import Change, Event, History, Watch, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Manage: TypeAlias = Callable[[JSON | None, JSON], None]
    Admission: TypeAlias = Callable[[Resource, JSON], None]
    Observer: TypeAlias = Callable[[Change], None]

_LOG = logging.getLogger(__name__)

__all__ = ["Change", "Event", "Resource", "Store", "Watch"]


class Store:
    """All objects, and the one way to change them.

    `allocate` hands out cluster IPs and `release` takes them back; both may be replaced until the first Service is
    made. Each of `admit` may change or refuse (with an ApiError) an object that is about to be written, and each of
    `observers` is told of every change after it has happened. `history` is how many changes a watch can look back.
    """

    def __init__(
        self,
        *,
        allocate: Callable[[], str] | None = None,
        release: Callable[[str], None] | None = None,
        history: int = 8192,
    ) -> None:
        self.allocate: Callable[[], str] = allocate or _sequence()
        self.release: Callable[[str], None] = release or (lambda _: None)
        self.registry = Registry()
        self.admit: list[Admission] = []
        self.observers: list[Observer] = []
        self._objects: dict[Key, dict[tuple[str, str], JSON]] = {}
        self._history = History(history)
        self._revision = 1
        self._unseen: deque[Change] = deque()
        self._settling = False
        install(self)
        self.observers.append(CustomResources(self).observe)
        self.observers.append(GarbageCollector(self).observe)

    # --- reading

    @property
    def revision(self) -> int:
        """The resourceVersion of the latest write."""
        return self._revision

    def resource(self, api_version: str, kind: str) -> Resource:
        """The served resource of a kind. Raises ApiError 404 when there is none."""
        return self.registry.kind(api_version, kind)

    def get(self, resource: Resource, name: str, namespace: str = "") -> JSON:
        """A copy of the object. Raises ApiError 404."""
        return clone(self.read(resource, name, namespace))

    def read(self, resource: Resource, name: str, namespace: str = "") -> JSON:
        """The object itself, which must not be changed. Raises ApiError 404."""
        return self.registry.strategy(resource).present(resource, self.stored(resource, name, namespace))

    def stored(self, resource: Resource, name: str, namespace: str = "") -> JSON:
        """As `read`, but in the version that the object is kept in. Raises ApiError 404."""
        place = (namespace if resource.namespaced else "", name)
        try:
            return self._objects[resource.key][place]
        except KeyError:
            raise not_found(resource, name) from None

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Objects:
        """Copies of the objects that match, by namespace and name. Raises ApiError 400 for a bad selector."""
        return clone(self.select(resource, namespace, labels=labels, fields=fields))

    def select(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Objects:
        """As `list`, but the objects themselves, which must not be changed."""
        present = self.registry.strategy(resource).present
        matches = matcher(resource, namespace, labels, fields)
        shown = (present(resource, obj) for obj in self.all_stored(resource))
        return [obj for obj in shown if matches(obj)]

    def all_stored(self, resource: Resource) -> Objects:
        """Every object of a resource, each in the version that it is kept in, by namespace and name."""
        stored = self._objects.get(resource.key, {})
        return [obj for _, obj in sorted(stored.items(), key=lambda item: item[0])]

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        since: int | None = None,
        *,
        labels: str = "",
        fields: str = "",
        copy: bool = True,
        native: bool = False,
    ) -> Watch:
        """The changes after revision `since`, complete from this call on, without end until closed.

        With `since=None` the present objects come first, as ADDED. `copy=False` spares the copies for a reader that
        promises not to change the objects; with `native` they come in the version that each is kept in. Raises
        ApiError 410 when `since` is older than the history kept.
        """
        strategy = self.registry.strategy(resource)
        matches = matcher(resource, namespace, labels, fields)

        def present(obj: JSON) -> JSON:
            shown = obj if native else strategy.present(resource, obj)
            return clone(shown) if copy else shown

        view = view_of(matches, present)
        if since is None:
            backlog = [Event("ADDED", present(obj)) for obj in self.all_stored(resource) if matches(obj)]
        else:
            missed = (view(change) for change in self._history.since(resource.key, since))
            backlog = [event for event in missed if event is not None]
        watch = Watch(backlog, view)
        self._history.follow(resource.key, watch)
        return watch

    # --- writing

    def create(
        self,
        resource: Resource,
        obj: JSON,
        namespace: str = "",
        *,
        dry_run: bool = False,
        manage: Manage | None = None,
    ) -> JSON:
        """Store a new object and return it as stored.

        `manage` is called with (None, object) when defaults are filled in, to note who owns which fields.
        Raises ApiError 400, 403 (namespace ends), 404 (no such namespace), 409 (name taken), 422.
        """
        strategy = self.registry.strategy(resource)
        new = self.draft(resource, obj, namespace, dry_run=dry_run, manage=manage)
        strategy.store(resource, new)
        if not dry_run:
            self.add(resource, new)
        return clone(strategy.present(resource, new))

    def draft(
        self, resource: Resource, obj: JSON, namespace: str = "", *, dry_run: bool = False, manage: Manage | None = None
    ) -> JSON:
        """The first half of `create`: the object as it is to be stored, complete and valid, in the given version."""
        strategy = self.registry.strategy(resource)
        new = clone(obj)
        identity.claim(resource, new, namespace)
        self._check_namespace(resource, new)
        identity.begin(resource, new)
        if "status" in resource.subresources:
            new.pop("status", None)
        self._prepare(resource, new, None)
        self._check_name(resource, new)
        if not dry_run:
            strategy.allocate(new, None)
        if manage is not None:
            manage(None, new)
        identity.tidy(new)
        return new

    def add(self, resource: Resource, new: JSON) -> None:
        """The second half of `create`: store a draft, in the version in which it is to be kept. ApiError 409."""
        self._check_name(resource, new)
        self._commit("ADDED", resource, new, None)

    def update(
        self,
        resource: Resource,
        obj: JSON,
        *,
        subresource: str = "",
        dry_run: bool = False,
        manage: Manage | None = None,
    ) -> JSON:
        """Replace an object, or with `subresource="status"` only its status. Nothing happens when nothing differs.

        An object that is being deleted and has lost its last finalizer is removed.
        Raises ApiError 400, 404, 409 (stale resourceVersion, other uid), 422.
        """
        strategy = self.registry.strategy(resource)
        stored = self.stored(resource, name_of(obj), namespace_of(obj))
        old = strategy.present(resource, stored)
        new = self.revise(resource, obj, old, subresource=subresource, manage=manage)
        if new == old:
            return clone(new)
        strategy.store(resource, new)
        if not dry_run:
            self.replace(resource, new, stored)
        return clone(strategy.present(resource, new))

    def revise(
        self, resource: Resource, obj: JSON, old: JSON, *, subresource: str = "", manage: Manage | None = None
    ) -> JSON:
        """The first half of `update`: what takes the place of `old`, complete and valid, both in the given version."""
        new = clone(obj)
        identity.claim(resource, new, namespace_of(obj))
        identity.carry_over(resource, new, old)
        new = confined(resource, new, old, subresource)
        self._prepare(resource, new, old)
        self.registry.strategy(resource).allocate(new, old)
        if content(resource, new) != content(resource, old) and "generation" in new["metadata"]:
            new["metadata"]["generation"] += 1
        if manage is not None:
            manage(old, new)
        identity.tidy(new)
        return new

    def replace(self, resource: Resource, new: JSON, stored: JSON) -> None:
        """The second half of `update`: put a revision, in the version in which it is to be kept, in the place of
        `stored`. Raises ApiError 409 when something else is there by now.
        """
        if self.stored(resource, name_of(new), namespace_of(new)) is not stored:
            raise modified(resource, name_of(new))
        if deletion.removable(resource, new):
            self._remove(resource, new)
        else:
            self._commit("MODIFIED", resource, new, stored)

    def modify(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        change: Callable[[JSON], None],
        *,
        subresource: str = "",
    ) -> JSON:
        """Read the object, let `change` alter the copy in place, and write it back. Raises as `update`."""
        obj = self.get(resource, name, namespace)
        change(obj)
        return self.update(resource, obj, subresource=subresource)

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        grace: int | None = None,
        uid: str | None = None,
        revision: str | None = None,
        dry_run: bool = False,
    ) -> JSON:
        """Delete an object, or mark it when finalizers, a running pod or a namespace's contents come first.

        `propagation` is Background, Foreground or Orphan; `grace` in seconds (0 for a pod: at once); `uid` and
        `revision` are preconditions. Returns the last state. Raises ApiError 404, 409.
        """
        strategy = self.registry.strategy(resource)
        old = self.stored(resource, name, namespace)
        for field, wanted in (("uid", uid), ("resourceVersion", revision)):
            if wanted and old["metadata"].get(field) != wanted:
                raise precondition_failed(resource, name, field, wanted, str(old["metadata"].get(field)))
        if propagation not in ("Background", "Foreground", "Orphan"):
            raise bad_request(f'invalid propagationPolicy "{propagation}": use Background, Foreground or Orphan')
        doomed = deletion.marked(resource, old, propagation, grace)
        if not dry_run:
            if deletion.removable(resource, doomed):
                self._remove(resource, doomed)
            elif doomed != old:
                self._commit("MODIFIED", resource, doomed, old)
        return clone(strategy.present(resource, doomed))

    def close(self, key: Key | None = None) -> None:
        """End the watches of one resource, or all of them."""
        self._history.close(key)

    # --- inside

    def _check_name(self, resource: Resource, obj: JSON) -> None:
        if (namespace_of(obj), name_of(obj)) in self._objects.get(resource.key, {}):
            raise already_exists(resource, name_of(obj))

    def _check_namespace(self, resource: Resource, obj: JSON) -> None:
        if not resource.namespaced:
            return
        namespace = self.stored(NAMESPACES, namespace_of(obj))
        if namespace["metadata"].get("deletionTimestamp"):
            name = namespace_of(obj)
            why = f"unable to create new content in namespace {name} because it is being terminated"
            cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {name} is being terminated")
            raise forbidden(resource, name_of(obj), why, [cause])

    def _prepare(self, resource: Resource, new: JSON, old: JSON | None) -> None:
        """Defaults, admission, validation."""
        strategy = self.registry.strategy(resource)
        problems = identity.problems(resource, new, old)
        if not problems:
            strategy.prepare(resource, new, old)
            for hook in self.admit:
                hook(resource, new)
            if self.admit:
                strategy.prepare(resource, new, old)
            problems = strategy.validate(resource, new, old)
        if problems:
            raise invalid(resource, name_of(new), problems)

    def _remove(self, resource: Resource, doomed: JSON) -> None:
        stored = self._objects[resource.key].pop((namespace_of(doomed), name_of(doomed)))
        self.registry.strategy(resource).released(stored)
        self._commit("DELETED", resource, doomed, stored)

    def _commit(self, type_: str, resource: Resource, new: JSON, old: JSON | None) -> None:
        self._revision += 1
        new["metadata"]["resourceVersion"] = str(self._revision)
        if type_ != "DELETED":
            self._objects.setdefault(resource.key, {})[namespace_of(new), name_of(new)] = new
        native = self.registry.strategy(resource).native(resource, new)
        change = Change(self._revision, type_, native, new, old)
        self._history.append(change)
        self._unseen.append(change)
        self._settle()

    def _settle(self) -> None:
        """Tell the observers, in the order of the changes, also of those that they cause themselves."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._unseen:
                change = self._unseen.popleft()
                for observer in list(self.observers):
                    try:
                        observer(change)
                    except Exception:  # noqa: BLE001 - a write must not fail because a follower of it did
                        _LOG.exception("following %s of %s failed", change.type, change.resource.group_resource)
        finally:
            self._settling = False


def _sequence() -> Callable[[], str]:
    """Cluster IPs for a store without a network."""
    numbers = iter(range(1, 32768))

    def allocate() -> str:
        number = next(numbers)
        return f"10.255.{128 + number // 256}.{number % 256}"

    return allocate
