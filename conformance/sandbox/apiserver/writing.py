"""The verbs that write: create, replace, patch, apply, delete."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import ownership, patches, wire
from conformance.sandbox.apiserver.customresources import CustomStrategy
from conformance.sandbox.apiserver.errors import (
    ApiError,
    bad_request,
    forbidden_value,
    invalid,
    invalid_options,
    invalid_value,
    not_found,
    required,
    unsupported_media_type,
)
from conformance.sandbox.apiserver.objects import JSON, clone, metadata, name_of, namespace_of
from conformance.sandbox.apiserver.options import dry_run, field_validation, flag
from conformance.sandbox.apiserver.ownership import Writer
from conformance.sandbox.apiserver.resources import NAMESPACES
from conformance.sandbox.apiserver.shapes import BuiltinShape, SchemaShape, Shape
from conformance.sandbox.apiserver.versions import TRIES
from conformance.sandbox.apiserver.wire import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target
    from conformance.sandbox.apiserver.versions import Versions

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def writer_of(request: Request, target: Target, operation: str = "Update") -> Writer:
    """Who writes: the `fieldManager` of the query, else the first word of the user agent."""
    name = request.query_params.get("fieldManager")
    if not name:
        name = request.headers.get("user-agent", "unknown").partition("/")[0]
    return Writer(name[:128], operation, target.resource.api_version, target.subresource)


class Editor:
    """Carries out writes on the store."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._versions = versions

    def shape(self, resource: Resource) -> Shape:
        """How lists and maps of the resource merge."""
        strategy = self._store.registry.strategy(resource)
        if isinstance(strategy, CustomStrategy):
            return SchemaShape(strategy.version(resource).schema, root=True)
        return BuiltinShape()

    def manage(self, target: Target, writer: Writer) -> Callable[[JSON | None, JSON], None]:
        """What the store calls to note the owner of changed fields."""
        shape = self.shape(target.resource)
        status = "status" in target.resource.subresources

        def note(old: JSON | None, new: JSON) -> None:
            ownership.note_update(old, new, writer, shape, status=status)

        return note

    def check_fields(self, request: Request, target: Target, obj: JSON) -> list[str]:
        """The warnings on unknown fields; with `fieldValidation=Strict` they are ApiError 400.

        Fields of built-in kinds are not checked.
        """
        mode = field_validation(request)
        strategy = self._store.registry.strategy(target.resource)
        if mode == "Ignore" or not isinstance(strategy, CustomStrategy):
            return []
        unknown = [f'unknown field "{path}"' for path in strategy.unknown(target.resource, obj)]
        if unknown and mode == "Strict":
            kind, version = target.resource.kind, target.resource.version
            raise bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: '
                f"strict decoding error: {', '.join(unknown)}"
            )
        return unknown

    # --- create and replace

    async def create(self, request: Request, target: Target) -> Response:
        """POST to a collection."""
        obj = await wire.body(request)
        _check_type(target, obj)
        warnings = self.check_fields(request, target, obj)
        created = await self._versions.create(
            target.resource,
            obj,
            target.namespace,
            dry_run=dry_run(request),
            manage=self.manage(target, writer_of(request, target)),
        )
        return self._answer(request, created, 201, warnings)

    async def replace(self, request: Request, target: Target) -> Response:
        """PUT of an object or of its status."""
        obj = await wire.body(request)
        _check_type(target, obj)
        warnings = self.check_fields(request, target, obj)
        meta = metadata(obj)
        if target.subresource == "finalize":
            return self._finalize(obj, target)
        place(meta, target)
        return await self._update(request, target, obj, writer_of(request, target), warnings)

    async def _update(
        self, request: Request, target: Target, obj: JSON, writer: Writer, warnings: list[str]
    ) -> Response:
        updated = await self._versions.update(
            target.resource,
            obj,
            subresource=target.subresource,
            dry_run=dry_run(request),
            manage=self.manage(target, writer),
        )
        return self._answer(request, updated, 200, warnings)

    def _finalize(self, obj: JSON, target: Target) -> Response:
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        changed = self._store.modify(
            NAMESPACES, target.name, "", lambda found: found["spec"].update(finalizers=finalizers)
        )
        return respond(changed)

    @staticmethod
    def _answer(request: Request, obj: JSON, status: int, warnings: list[str]) -> Response:
        return respond(obj, wire.negotiate(request.headers.get("accept", "")), status=status, warnings=warnings)

    # --- patch

    async def patch(self, request: Request, target: Target) -> Response:
        """PATCH of an object or of its status, in any of the four forms."""
        form = wire.media_type(request)
        offered = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
        if not target.resource.custom:
            offered.insert(2, STRATEGIC_PATCH)
        if form not in offered:
            raise unsupported_media_type(offered)
        patch = wire.parse(await request.body(), as_yaml=form == APPLY_PATCH)
        for left in range(TRIES, 0, -1):
            try:
                if form == APPLY_PATCH:
                    return await self._apply(request, target, patch)
                return await self._patch(request, target, form, patch)
            except _OvertakenError as overtaken:
                if left == 1:
                    raise overtaken.error from overtaken
        raise AssertionError  # not reached

    async def _patch(self, request: Request, target: Target, form: str, patch: Any) -> Response:
        if flag(request, "force"):
            why = forbidden_value("force", "may not be specified for non-apply patch")
            raise invalid_options("PatchOptions", [why])
        live = await self._versions.read(target.resource, target.name, target.namespace)
        patched = self.patched(form, live, patch, self.shape(target.resource))
        for field, was, now in (
            ("name", name_of(live), name_of(patched)),
            ("namespace", namespace_of(live), namespace_of(patched)),
        ):
            if was != now:
                raise bad_request(f"the {field} of the object ({now}) does not match the {field} on the URL ({was})")
        if patched["metadata"].get("uid") != live["metadata"]["uid"]:
            uid = patched["metadata"].get("uid") or ""
            raise invalid(target.resource, target.name, [invalid_value("metadata.uid", uid, "field is immutable")])
        warnings = self.check_fields(request, target, patched)
        with _overtaken(live, patched), _undecodable(target, patched):
            return await self._update(request, target, patched, writer_of(request, target), warnings)

    @staticmethod
    def patched(form: str, live: JSON, patch: Any, shape: Shape) -> JSON:
        """What a patch, other than apply, makes of `live`."""
        if form == JSON_PATCH:
            return patches.json_patch(live, patch)
        if form == MERGE_PATCH:
            return patches.merge_patch(live, patch)
        return patches.strategic(live, patch, shape)

    async def _apply(self, request: Request, target: Target, patch: Any) -> Response:
        resource = target.resource
        config = applicable(clone(patch), target, manager=request.query_params.get("fieldManager", ""))
        warnings = self.check_fields(request, target, config)
        live = await self._find(target)
        merged = ownership.apply(
            live,
            self._known(target, config),
            writer_of(request, target, "Apply"),
            self.shape(resource),
            force=flag(request, "force"),
            status="status" in resource.subresources,
        )
        if live is not None:
            with _overtaken(live, merged):
                updated = await self._versions.update(
                    resource, merged, subresource=target.subresource, dry_run=dry_run(request)
                )
            return self._answer(request, updated, 200, warnings)
        if config["metadata"].get("uid") or target.subresource:
            raise not_found(resource, target.name)
        fields = merged["metadata"]["managedFields"]

        def own(old: JSON | None, new: JSON) -> None:
            del old
            new["metadata"]["managedFields"] = fields

        created = await self._versions.create(resource, merged, target.namespace, dry_run=dry_run(request), manage=own)
        return self._answer(request, created, 201, warnings)

    async def _find(self, target: Target) -> JSON | None:
        try:
            return await self._versions.read(target.resource, target.name, target.namespace)
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return None

    def _known(self, target: Target, config: JSON) -> JSON:
        """The configuration without what would be pruned: nobody can own an unknown field."""
        strategy = self._store.registry.strategy(target.resource)
        if isinstance(strategy, CustomStrategy):
            config = clone(config)
            strategy.prune(target.resource, config)
        return config


class _OvertakenError(Exception):
    """A change that names no revision was based on one that is no longer the latest: it can be made anew."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _overtaken(live: JSON, changed: JSON) -> Iterator[None]:
    """Tell a conflict of the server's own making, while a webhook converted, from one that the client asked about."""
    try:
        yield
    except ApiError as error:
        same = live["metadata"]["resourceVersion"] == changed["metadata"].get("resourceVersion")
        if error.reason == "Conflict" and same:
            raise _OvertakenError(error) from error
        raise


@contextmanager
def _undecodable(target: Target, patched: JSON) -> Iterator[None]:
    """What a patch has made of an object of a built-in kind may be no such object: that is the patch's fault."""
    try:
        yield
    except ApiError as error:
        if error.reason != "BadRequest" or target.resource.custom:
            raise
        cause = invalid_value("patch", json.dumps(patched, separators=(",", ":")), error.message)
        details = {"causes": [cause.to_json()]}
        raise ApiError(422, "Invalid", f' "" is invalid: {cause}', details=details) from error


def _check_type(target: Target, obj: JSON) -> None:
    """Kubernetes demands kind and apiVersion in custom resources and takes them from the path for its own kinds."""
    for field in ("apiVersion", "kind"):
        if target.resource.custom and not obj.get(field):
            raise bad_request(f"Object '{field.capitalize() if field == 'kind' else field}' is missing in the body")


def applicable(config: Any, target: Target, *, manager: str) -> JSON:
    """The body of an apply, with name and namespace of its target filled in. ApiError 400 or 422 when it cannot be."""
    if not isinstance(config, dict):
        raise bad_request("the body of an apply must be an object")
    if not manager:
        raise invalid_options("PatchOptions", [required("fieldManager", "is required for apply patch")])
    for field, wanted in (("apiVersion", target.resource.api_version), ("kind", target.resource.kind)):
        if config.get(field) != wanted:
            raise bad_request(f"invalid object type: {field} is {config.get(field)!r}, expected {wanted!r}")
    meta = metadata(config)
    if meta.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    place(meta, target)
    return config


def place(meta: JSON, target: Target) -> None:
    """Fill in name and namespace from the URL, in place. ApiError 400 when the object says otherwise."""
    for field, wanted in (("name", target.name), ("namespace", target.namespace)):
        given = meta.get(field)
        if wanted and given and given != wanted:
            raise bad_request(f"the {field} of the object ({given}) does not match the {field} on the URL ({wanted})")
        if wanted:
            meta[field] = wanted
