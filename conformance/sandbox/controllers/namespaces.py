"""What every namespace has: a default service account, and the API server's certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import ApiError, forbidden
from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of
from conformance.sandbox.apiserver.resources import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS, Resource
from conformance.sandbox.controllers.base import Controller, Key, Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conformance.sandbox.apiserver.store import Event, Store

ROOT_CA = "kube-root-ca.crt"
DEFAULT_ACCOUNT = "default"


class NamespaceController(Controller):
    """Makes what a namespace must have, also when somebody deletes it."""

    def __init__(self, store: Store, ca: str) -> None:
        super().__init__(store)
        self._ca = ca

    def sources(self) -> Mapping[Resource, Keys]:
        """Namespaces, and the objects that are made in them."""
        return {
            NAMESPACES: lambda event: [("", name_of(event.object))],
            SERVICE_ACCOUNTS: _when_deleted(DEFAULT_ACCOUNT),
            CONFIG_MAPS: _when_deleted(ROOT_CA),
        }

    def reconcile(self, key: Key) -> float | None:
        """Make what is missing."""
        try:
            namespace = self.store.read(NAMESPACES, key[1])
        except ApiError:
            return None
        if namespace["metadata"].get("deletionTimestamp"):
            return None
        self._ensure(SERVICE_ACCOUNTS, DEFAULT_ACCOUNT, key[1], {})
        self._ensure(CONFIG_MAPS, ROOT_CA, key[1], {"data": {"ca.crt": self._ca}})
        return None

    def _ensure(self, resource: Resource, name: str, namespace: str, content: JSON) -> None:
        try:
            self.store.read(resource, name, namespace)
        except ApiError:
            head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
            self.store.create(resource, {**head, **content}, namespace)


def _when_deleted(name: str) -> Keys:
    def keys(event: Event) -> Iterable[Key]:
        if event.type == "DELETED" and name_of(event.object) == name:
            yield "", namespace_of(event.object)

    return keys


def service_account_admission(store: Store) -> Callable[[Resource, JSON], None]:
    """An admission hook: every pod has a service account, and that must exist (`default` will)."""

    def admit(resource: Resource, obj: JSON) -> None:
        if resource != PODS:
            return
        spec = obj.setdefault("spec", {})
        account = spec.setdefault("serviceAccountName", spec.get("serviceAccount") or DEFAULT_ACCOUNT)
        # Only a new pod has no resourceVersion; others may outlive their account.
        if account == DEFAULT_ACCOUNT or obj["metadata"].get("resourceVersion"):
            return
        try:
            store.read(SERVICE_ACCOUNTS, account, namespace_of(obj))
        except ApiError:
            where = f"{namespace_of(obj)}/{account}"
            why = f'error looking up service account {where}: serviceaccount "{account}" not found'
            raise forbidden(resource, name_of(obj), why) from None

    return admit
