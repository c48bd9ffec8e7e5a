"""Which resources are served, in which versions, and what is particular to each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import no_such_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.sandbox.apiserver.errors import Cause
    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.resources import Key, Resource


class Strategy:
    """What is particular to a kind. This one: nothing."""

    def prepare(self, resource: Resource, obj: JSON, old: JSON | None) -> None:
        """Change `obj`, about to be written, in place: drop what the schema does not know, fill in defaults.

        `old` is the stored object, None for a creation. Must be idempotent.
        """

    def validate(self, resource: Resource, obj: JSON, old: JSON | None) -> list[Cause]:
        """What is wrong with `obj`."""
        del resource, obj, old
        return []

    def present(self, resource: Resource, obj: JSON) -> JSON:
        """The stored object as the given version of the resource shows it; must not change `obj`."""
        if obj.get("apiVersion") == resource.api_version and obj.get("kind") == resource.kind:
            return obj
        return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}

    def native(self, resource: Resource, obj: JSON) -> Resource:
        """The version that the stored object is kept in."""
        del obj
        return resource

    def store(self, resource: Resource, obj: JSON) -> None:
        """Turn `obj`, given in a version of the resource, into what is stored, in place."""

    def allocate(self, obj: JSON, old: JSON | None) -> None:
        """Give a valid object, about to be written, what is scarce (addresses, ports), in place."""

    def released(self, obj: JSON) -> None:
        """The object is gone: give back what was allocated for it."""


class Registry:
    """The served resources. `generation` grows with each change, for those who cache what they derive from it."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._strategies: dict[Key, Strategy] = {}
        self.generation = 0

    def add(self, key: Key, resources: Iterable[Resource], strategy: Strategy) -> None:
        """Serve `resources`, the served versions of one group and plural, the preferred one first. There may be none:
        what is stored has a strategy all the same.
        """
        self._strategies[key] = strategy
        for resource in resources:
            self._by_path[resource.group, resource.version, resource.plural] = resource
            self._by_kind[resource.api_version, resource.kind] = resource
        self.generation += 1

    def remove(self, key: Key) -> None:
        """Cease to serve every version of a resource."""
        for resource in [found for found in self._by_path.values() if found.key == key]:
            del self._by_path[resource.group, resource.version, resource.plural]
            del self._by_kind[resource.api_version, resource.kind]
        self._strategies.pop(key, None)
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def kind(self, api_version: str, kind: str) -> Resource:
        """The resource of a kind. Raises ApiError 404 when it is not served."""
        try:
            return self._by_kind[api_version, kind]
        except KeyError:
            raise no_such_path() from None

    def strategy(self, resource: Resource) -> Strategy:
        """Raises ApiError 404 when the resource is no longer served."""
        try:
            return self._strategies[resource.key]
        except KeyError:
            raise no_such_path() from None

    def at(self, key: Key) -> Strategy | None:
        """The strategy of a resource, whether it is served or only stored."""
        return self._strategies.get(key)

    def __contains__(self, resource: Resource) -> bool:
        return resource.key in self._strategies

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._by_path.values()))
