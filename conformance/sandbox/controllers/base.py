"""What all controllers share: keys in a queue, worked off one by one, again later when that fails."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, TypeAlias

from conformance.sandbox.apiserver.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Event, Store

Keys: TypeAlias = "Callable[[Event], Iterable[Key]]"
"""Which keys an event concerns."""

Key: TypeAlias = tuple[str, str]
"""(namespace, name) of the object to reconcile."""

_LOG = logging.getLogger(__name__)
_FIRST_RETRY: Final = 0.01
_LAST_RETRY: Final = 5.0


class Queue:
    """Keys to work on, each at most once; `later` adds one after a time in seconds."""

    def __init__(self) -> None:
        self._keys: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def add(self, key: Key) -> None:
        self._keys[key] = None
        self._filled.set()

    def later(self, key: Key, delay: float) -> None:
        """Of several times for one key the last given counts."""
        if key in self._timers:
            self._timers.pop(key).cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def get(self) -> Key:
        """The key that waits longest."""
        while not self._keys:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._keys))
        del self._keys[key]
        return key


class Controller(ABC):
    """Brings the world in line with one kind of objects. Reads the store itself, so that it never sees old data."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue = Queue()
        self._failures: dict[Key, int] = {}

    @abstractmethod
    def sources(self) -> Mapping[Resource, Keys]:
        """What to watch, and which keys an event there concerns."""

    @abstractmethod
    def reconcile(self, key: Key) -> float | None:
        """Do what is to be done for `key`, which may be gone; returns the seconds after which to look again."""

    async def run(self) -> None:
        """Watch and reconcile until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for resource, keys in self.sources().items():
                tasks.create_task(self._follow(resource, keys))
            tasks.create_task(self._work())

    async def _follow(self, resource: Resource, keys: Keys) -> None:
        async for event in self.store.watch(resource, copy=False):
            for key in keys(event):
                self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                again = self.reconcile(key)
            except Exception as error:  # noqa: BLE001 - one bad object must not stop the others
                # Conflicts and objects that have just gone are the normal course of things.
                level = logging.DEBUG if isinstance(error, ApiError) else logging.ERROR
                _LOG.log(level, "%s of %s/%s failed", type(self).__name__, *key, exc_info=error)
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                again = min(_FIRST_RETRY * 2 ** min(failures, 16), _LAST_RETRY)
            else:
                self._failures.pop(key, None)
            if again is not None:
                self._queue.later(key, again)
            await asyncio.sleep(0)  # requests come between


def own_key(event: Event) -> list[Key]:
    """The object of the event itself."""
    metadata = event.object["metadata"]
    return [(metadata.get("namespace", ""), metadata["name"])]


def owner_key(kind: str) -> Keys:
    """The controlling owner of the event's object, if it is of the kind."""

    def keys(event: Event) -> list[Key]:
        owner = controller_of(event.object)
        if owner is None or owner.get("kind") != kind:
            return []
        return [(event.object["metadata"].get("namespace", ""), owner["name"])]

    return keys


def controller_of(obj: JSON) -> JSON | None:
    """The owner reference that controls an object."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def controlled_by(owner: JSON) -> JSON:
    """A controlling owner reference to an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
