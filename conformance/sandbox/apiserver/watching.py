"""The history of changes, and watches on it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from conformance.sandbox.apiserver.errors import expired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.resources import Key, Resource


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch: `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: JSON


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `object` and `previous` belong to the store and must not be changed; a deletion's `object` is the
    last state with the revision of the deletion.
    """

    revision: int
    type: str
    resource: Resource
    object: JSON
    previous: JSON | None


class Watch:
    """An endless asynchronous iterator of events, complete from the moment it was made; ends when closed."""

    def __init__(self, backlog: Iterable[Event], view: Callable[[Change], Event | None]) -> None:
        self._events: deque[Event] = deque(backlog)
        self._view = view
        self._arrived = asyncio.Event()
        self._closed = False

    def offer(self, change: Change) -> None:
        """Called by the store for each change of the watched resource."""
        event = self._view(change)
        if event is not None:
            self._events.append(event)
            self._arrived.set()

    @property
    def pending(self) -> bool:
        """Whether the next event is already there."""
        return bool(self._events)

    def close(self) -> None:
        """End the iteration after the events that have already happened."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        self.close()


def view_of(matches: Callable[[JSON], bool], present: Callable[[JSON], JSON]) -> Callable[[Change], Event | None]:
    """How a watch with a selector sees changes: objects that come to match are ADDED, that cease to are DELETED."""

    def view(change: Change) -> Event | None:
        before = change.previous is not None and matches(change.previous)
        after = change.type != "DELETED" and matches(change.object)
        if after:
            return Event("MODIFIED" if before else "ADDED", present(change.object))
        if not before or change.previous is None:
            return None
        last = {**change.previous, "metadata": dict(change.previous["metadata"])}
        last["metadata"]["resourceVersion"] = str(change.revision)
        return Event("DELETED", present(last))

    return view


class History:
    """The last `limit` changes and the watches that follow. Watching from before the kept changes is ApiError 410."""

    def __init__(self, limit: int) -> None:
        self._changes: deque[Change] = deque(maxlen=limit)
        self._watches: dict[Key, WeakSet[Watch]] = {}
        self._forgotten = 0

    def append(self, change: Change) -> None:
        if len(self._changes) == self._changes.maxlen:
            self._forgotten = self._changes[0].revision
        self._changes.append(change)
        for watch in list(self._watches.get(change.resource.key, ())):
            watch.offer(change)

    def since(self, key: Key, revision: int) -> list[Change]:
        """The changes of a resource after `revision`."""
        if revision < self._forgotten:
            raise expired(f"too old resource version: {revision} ({self._forgotten})")
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            if change.resource.key == key:
                found.append(change)
        return found[::-1]

    def follow(self, key: Key, watch: Watch) -> None:
        self._watches.setdefault(key, WeakSet()).add(watch)

    def close(self, key: Key | None = None) -> None:
        """End the watches of one resource, or all."""
        for watched, watches in self._watches.items():
            if key is None or watched == key:
                for watch in list(watches):
                    watch.close()
