"""The `scale` subresource: `autoscaling/v1` Scale, read from and written to the replicas of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import wire
from conformance.sandbox.apiserver.customresources import CustomStrategy
from conformance.sandbox.apiserver.errors import bad_request, method_not_allowed
from conformance.sandbox.apiserver.objects import JSON, clone, dig
from conformance.sandbox.apiserver.options import dry_run
from conformance.sandbox.apiserver.selectors import selector_text
from conformance.sandbox.apiserver.shapes import BuiltinShape
from conformance.sandbox.apiserver.wire import respond
from conformance.sandbox.apiserver.writing import APPLY_PATCH, Editor, writer_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target
    from conformance.sandbox.apiserver.versions import Versions

_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Scaler:
    """Serves `scale` of Deployments, ReplicaSets and the custom resources that declare it."""

    def __init__(self, store: Store, versions: Versions, editor: Editor) -> None:
        self._store = store
        self._versions = versions
        self._editor = editor

    def _paths(self, target: Target) -> tuple[str, str, str]:
        strategy = self._store.registry.strategy(target.resource)
        if not isinstance(strategy, CustomStrategy):
            return "spec.replicas", "status.replicas", ""
        declared = strategy.version(target.resource).subresources.get("scale") or {}
        paths = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
        spec, status, selector = (str(declared.get(name) or "").lstrip(".") for name in paths)
        return spec, status, selector

    def _scale(self, target: Target, obj: JSON) -> JSON:
        wanted, present, selector = self._paths(target)
        labels = dig(obj, selector) if selector else selector_text(dig(obj, "spec.selector") or {})
        status: JSON = {"replicas": dig(obj, present) or 0}
        if labels:
            status["selector"] = labels
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {field: obj["metadata"][field] for field in _META if field in obj["metadata"]},
            "spec": {"replicas": replicas} if (replicas := dig(obj, wanted)) else {},  # Kubernetes leaves out a 0
            "status": status,
        }

    async def serve(self, request: Request, target: Target) -> Response:
        """GET, PUT and PATCH of a scale."""
        live = clone(await self._versions.read(target.resource, target.name, target.namespace))
        if request.method == "GET":
            return respond(self._scale(target, live))
        if request.method == "PUT":
            scale = await wire.body(request)
        elif request.method == "PATCH":
            form = wire.media_type(request)
            if form == APPLY_PATCH:
                raise bad_request("the sandbox does not apply to scale: apply the object, or patch its scale")
            patch = wire.parse(await request.body())
            scale = self._editor.patched(form, self._scale(target, live), patch, BuiltinShape())
        else:
            raise method_not_allowed()
        replicas: Any = dig(scale, "spec.replicas") or 0
        if isinstance(replicas, bool) or not isinstance(replicas, int):
            raise bad_request(f"spec.replicas of a Scale must be an integer, found {replicas!r}")
        version = dig(scale, "metadata.resourceVersion")
        if version:
            live["metadata"]["resourceVersion"] = version
        *way, last = self._paths(target)[0].split(".")
        place = live
        for field in way:
            place = place.setdefault(field, {})
        place[last] = replicas
        manage = self._editor.manage(target, writer_of(request, target))
        changed = await self._versions.update(target.resource, live, dry_run=dry_run(request), manage=manage)
        return respond(self._scale(target, changed))
