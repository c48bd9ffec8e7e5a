"""Objects in the version that a request asks for, also where a webhook converts them, which takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox.apiserver.customresources import CustomStrategy
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, Objects, clone, name_of, namespace_of
from conformance.sandbox.apiserver.selectors import matcher

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Manage, Store
    from conformance.sandbox.apiserver.watching import Watch
    from conformance.sandbox.apiserver.webhooks import Webhooks

TRIES: Final = 5
"""How often a change that names no revision is made anew when another came between."""


class Versions:
    """The store's verbs, for requests. What they do for a resource without a webhook is what the store does.

    All raise as the store does, and ApiError 500 when a webhook fails or an object is in a version that its definition
    has lost; then nothing has been changed.
    """

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    def _converting(self, resource: Resource) -> CustomStrategy | None:
        strategy = self._store.registry.strategy(resource)
        return strategy if isinstance(strategy, CustomStrategy) and strategy.webhook is not None else None

    async def _shown(self, strategy: CustomStrategy, resource: Resource, objects: Objects) -> Objects:
        """The objects, whatever versions they are in, in that of `resource`: with one call for all."""
        fitted = [strategy.fitted(obj) for obj in objects]
        foreign = [obj for obj in fitted if obj["apiVersion"] != resource.api_version]
        if not foreign or strategy.webhook is None:
            return fitted
        converted = await self._webhooks.convert(strategy.webhook, foreign, resource.api_version)
        for obj in converted:
            strategy.prune(resource, obj)
        others = iter(converted)
        return [obj if obj["apiVersion"] == resource.api_version else next(others) for obj in fitted]

    def _require_convertible(self, resource: Resource, objects: Objects) -> None:
        strategy = self._store.registry.strategy(resource)
        if isinstance(strategy, CustomStrategy):
            for obj in objects:
                strategy.require_convertible(obj)

    async def show(self, resource: Resource, obj: JSON) -> JSON:
        """A stored object, which must not be changed, in the version of the resource."""
        self._require_convertible(resource, [obj])
        strategy = self._converting(resource)
        if strategy is None:
            return self._store.registry.strategy(resource).present(resource, obj)
        return (await self._shown(strategy, resource, [obj]))[0]

    async def read(self, resource: Resource, name: str, namespace: str = "") -> JSON:
        """An object, which must not be changed."""
        return await self.show(resource, self._store.stored(resource, name, namespace))

    async def select(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Objects:
        """The objects that match, which must not be changed.

        Raises ApiError 429 while any object of the resource, in whatever namespace, is in a version that is lost:
        Kubernetes answers from a cache of them all, and that cannot be filled.
        """
        everything = self._store.all_stored(resource)
        try:
            self._require_convertible(resource, everything)
        except ApiError as error:
            listing = f"failed to list {resource.api_version}, Kind={resource.kind}"
            why = f"storage is (re)initializing: {listing}: {error.message}"
            raise ApiError(429, "TooManyRequests", why, retry_after=1) from error
        strategy = self._converting(resource)
        if strategy is None:
            return self._store.select(resource, namespace, labels=labels, fields=fields)
        matches = matcher(resource, namespace, labels, fields)
        found = [obj for obj in everything if not namespace or namespace_of(obj) == namespace]
        return [obj for obj in await self._shown(strategy, resource, found) if matches(obj)]

    def watch(
        self, resource: Resource, namespace: str | None, since: int | None, *, labels: str, fields: str
    ) -> Watch:
        """As the store's; what a webhook converts comes as it is stored, for `show`."""
        native = self._converting(resource) is not None
        return self._store.watch(
            resource, namespace, since, labels=labels, fields=fields, copy=False, native=native
        )

    async def create(
        self, resource: Resource, obj: JSON, namespace: str, *, dry_run: bool = False, manage: Manage | None = None
    ) -> JSON:
        """Store a new object."""
        strategy = self._converting(resource)
        if strategy is None:
            return self._store.create(resource, obj, namespace, dry_run=dry_run, manage=manage)
        draft = self._store.draft(resource, obj, namespace, dry_run=dry_run, manage=manage)
        (new,) = await self._shown(strategy, strategy.storage, [draft])
        if not dry_run:
            self._store.add(strategy.storage, new)
        return clone(await self.show(resource, new))

    async def update(
        self,
        resource: Resource,
        obj: JSON,
        *,
        subresource: str = "",
        dry_run: bool = False,
        manage: Manage | None = None,
    ) -> JSON:
        """Replace an object, or its status."""
        strategy = self._converting(resource)
        self._require_convertible(resource, [self._store.stored(resource, name_of(obj), namespace_of(obj))])
        if strategy is None:
            return self._store.update(resource, obj, subresource=subresource, dry_run=dry_run, manage=manage)
        tries = 1 if (obj.get("metadata") or {}).get("resourceVersion") else TRIES
        while True:
            tries -= 1
            stored = self._store.stored(resource, name_of(obj), namespace_of(obj))
            old = await self.show(resource, stored)
            revised = self._store.revise(resource, obj, old, subresource=subresource, manage=manage)
            if revised == old:
                return clone(old)
            (new,) = await self._shown(strategy, strategy.storage, [revised])
            try:
                if not dry_run:
                    self._store.replace(strategy.storage, new, stored)
            except ApiError as error:
                if error.reason != "Conflict" or not tries:
                    raise
                continue
            return clone(await self.show(resource, new))

    async def delete(self, resource: Resource, name: str, namespace: str, **options: Any) -> JSON:
        """Delete an object, with the options of the store's `delete`."""
        strategy = self._converting(resource)
        self._require_convertible(resource, [self._store.stored(resource, name, namespace)])
        if strategy is None:
            return self._store.delete(resource, name, namespace, **options)
        stored = self._store.stored(resource, name, namespace)
        await self.show(resource, stored)
        doomed = self._store.delete(strategy.native(resource, stored), name, namespace, **options)
        return await self.show(resource, doomed)
