"""Everything that answers requests, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver import roles
from conformance.sandbox.apiserver.aggregation import Aggregator
from conformance.sandbox.apiserver.deleting import Deleter
from conformance.sandbox.apiserver.discovery import Discovery
from conformance.sandbox.apiserver.nodeapi import NodeHandler
from conformance.sandbox.apiserver.openapi import OpenApi
from conformance.sandbox.apiserver.podapi import PodHandler
from conformance.sandbox.apiserver.proxy import Forwarder, ProxyHandler
from conformance.sandbox.apiserver.rbac import Authorizer
from conformance.sandbox.apiserver.reading import Reader
from conformance.sandbox.apiserver.reviews import ReviewHandler
from conformance.sandbox.apiserver.roles import RoleAggregation
from conformance.sandbox.apiserver.scale import Scaler
from conformance.sandbox.apiserver.tokenrequests import TokenHandler
from conformance.sandbox.apiserver.versions import Versions
from conformance.sandbox.apiserver.webhooks import Webhooks
from conformance.sandbox.apiserver.writing import Editor

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.access import Tokens
    from conformance.sandbox.apiserver.backends import NodeBackend, PodBackend, ServiceResolver
    from conformance.sandbox.apiserver.store import Store


class Handlers:
    """One of each handler, on one store. To be made in the event loop that serves the requests."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        pods: PodBackend | None,
        resolve_service: ServiceResolver | None,
        nodes: NodeBackend | None = None,
    ) -> None:
        self.store = store
        self.authorizer = Authorizer(store)
        self._observers = [self.authorizer.observe, RoleAggregation(store).observe]
        store.observers += self._observers
        roles.install(store)
        self.discovery = Discovery(store.registry)
        self.openapi = OpenApi(store.registry)
        self._webhooks = Webhooks(resolve_service)
        versions = Versions(store, self._webhooks)
        self.reader = Reader(store, versions)
        self.editor = Editor(store, versions)
        self.deleter = Deleter(store, versions)
        self.scaler = Scaler(store, versions, self.editor)
        self.reviews = ReviewHandler(tokens, self.authorizer)
        self.tokens = TokenHandler(store, tokens)
        self.pods = PodHandler(store, pods)
        self.nodes = NodeHandler(store, nodes)
        self.proxy = ProxyHandler(store, Forwarder(), pods, resolve_service)
        self.aggregator = Aggregator(store, self.discovery, resolve_service)
        self._observers.append(self.aggregator.observe)
        store.observers.append(self.aggregator.observe)

    async def close(self) -> None:
        """Stop what runs in the background."""
        for observer in self._observers:
            self.store.observers.remove(observer)
        self.aggregator.close()
        await self._webhooks.close()
