"""Everything that answers requests, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.aggregation import Aggregator
from conformance.sandbox.apiserver.deleting import Deleter
from conformance.sandbox.apiserver.discovery import Discovery
from conformance.sandbox.apiserver.openapi import OpenApi
from conformance.sandbox.apiserver.podapi import PodHandler
from conformance.sandbox.apiserver.proxy import Forwarder, ProxyHandler
from conformance.sandbox.apiserver.reading import Reader
from conformance.sandbox.apiserver.reviews import ReviewHandler
from conformance.sandbox.apiserver.scale import Scaler
from conformance.sandbox.apiserver.writing import Editor

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.access import Tokens
    from conformance.sandbox.apiserver.backends import PodBackend, ServiceResolver
    from conformance.sandbox.apiserver.store import Store


class Handlers:
    """One of each handler, on one store. To be made in the event loop that serves the requests."""

    def __init__(
        self, store: Store, tokens: Tokens, pods: PodBackend | None, resolve_service: ServiceResolver | None
    ) -> None:
        self.store = store
        self.discovery = Discovery(store.registry)
        self.openapi = OpenApi(store.registry)
        self.reader = Reader(store)
        self.editor = Editor(store)
        self.deleter = Deleter(store)
        self.scaler = Scaler(store, self.editor)
        self.reviews = ReviewHandler(store, tokens)
        self.pods = PodHandler(store, pods)
        self._forwarder = Forwarder()
        self.proxy = ProxyHandler(store, self._forwarder, pods, resolve_service)
        self.aggregator = Aggregator(store, self.discovery, resolve_service)
        store.observers.append(self.aggregator.observe)

    async def close(self) -> None:
        """Stop what runs in the background."""
        self.store.observers.remove(self.aggregator.observe)
        await self.aggregator.close()
        await self._forwarder.close()
