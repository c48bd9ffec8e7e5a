"""The verbs that delete: of an object, of a collection."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from conformance.sandbox.apiserver import deletion, wire
from conformance.sandbox.apiserver.errors import (
    bad_request,
    forbidden,
    invalid_options,
    method_not_allowed,
    unsupported_value,
)
from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of, uid_of
from conformance.sandbox.apiserver.options import dry_run
from conformance.sandbox.apiserver.resources import NAMESPACES, PODS
from conformance.sandbox.apiserver.store import Store
from conformance.sandbox.apiserver.targets import Target
from conformance.sandbox.apiserver.versions import Versions
from conformance.sandbox.apiserver.wire import respond

_KEPT = ("default", "kube-public", "kube-system")


class Deleter:
    """Carries out deletions on the store."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._versions = versions

    async def delete(self, request: Request, target: Target) -> Response:
        """DELETE of an object."""
        options = await _delete_options(request)
        if target.resource.key == NAMESPACES.key and target.name in _KEPT:
            raise forbidden(target.resource, target.name, "this namespace may not be deleted")
        deleted = await self._versions.delete(target.resource, target.name, target.namespace, **options)
        return respond(_deleted(target, deleted))

    async def delete_collection(self, request: Request, target: Target) -> Response:
        """DELETE of a collection, as far as the selectors match."""
        if target.resource.key == NAMESPACES.key:
            raise method_not_allowed()
        options = await _delete_options(request)
        found = await self._versions.select(
            target.resource,
            target.namespace or None,
            labels=request.query_params.get("labelSelector", ""),
            fields=request.query_params.get("fieldSelector", ""),
        )
        for obj in found:
            await self._versions.delete(target.resource, name_of(obj), namespace_of(obj), **options)
        meta = {"resourceVersion": str(self._store.revision)}
        head = {"kind": target.resource.list_kind, "apiVersion": target.resource.api_version, "metadata": meta}
        return respond({**head, "items": found})


def _deleted(target: Target, obj: JSON) -> JSON:
    """The object while it still ends (and pods always), otherwise a Status that says it is gone."""
    if target.resource.key == PODS.key or not deletion.removable(target.resource, obj):
        return obj
    details = {"name": name_of(obj), "kind": target.resource.plural, "uid": uid_of(obj)}
    if target.resource.group:
        details["group"] = target.resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def _delete_options(request: Request) -> dict[str, Any]:
    """DeleteOptions from the body and, stronger, from the query."""
    given: Any = await wire.body(request) if await request.body() else {}
    query = request.query_params
    grace: Any = query.get("gracePeriodSeconds", given.get("gracePeriodSeconds"))
    propagation = query.get("propagationPolicy") or given.get("propagationPolicy")
    if propagation is None and (query.get("orphanDependents") == "true" or given.get("orphanDependents")):
        propagation = "Orphan"
    try:
        seconds = None if grace is None else int(grace)
    except (TypeError, ValueError):
        raise bad_request(f"gracePeriodSeconds must be an integer, found {grace!r}") from None
    if propagation is not None and propagation not in ("Foreground", "Background", "Orphan"):
        choices = ("Foreground", "Background", "Orphan", "nil")
        raise invalid_options("DeleteOptions", [unsupported_value("propagationPolicy", propagation, choices)])
    preconditions = given.get("preconditions") or {}
    return {
        "propagation": propagation or "Background",
        "grace": seconds,
        "uid": preconditions.get("uid"),
        "revision": preconditions.get("resourceVersion"),
        "dry_run": dry_run(request, *(given.get("dryRun") or ())),
    }
