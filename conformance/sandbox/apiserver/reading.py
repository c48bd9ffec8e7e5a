"""The verbs that read: get, list, watch."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver.errors import ApiError, bad_request, expired
from conformance.sandbox.apiserver.objects import JSON, Objects, name_of, namespace_of
from conformance.sandbox.apiserver.options import check_listing, flag, number
from conformance.sandbox.apiserver.tables import Tabulator
from conformance.sandbox.apiserver.wire import Stream, dump, negotiate, respond

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.targets import Target
    from conformance.sandbox.apiserver.versions import Versions
    from conformance.sandbox.apiserver.watching import Watch
    from conformance.sandbox.apiserver.wire import Accepted

_META = ("v1", "v1beta1")
_OBJECT_FORMS = {"meta.k8s.io/Table": _META, "meta.k8s.io/PartialObjectMetadata": _META}
_LIST_FORMS = {"meta.k8s.io/Table": _META, "meta.k8s.io/PartialObjectMetadataList": _META}
_WATCH_FORMS = {**_OBJECT_FORMS, **_LIST_FORMS}
_BOOKMARK_EVERY = 30.0


def _partial(obj: JSON) -> JSON:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


class Reader:
    """Answers reads from the store, in the form that the client asks for."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._versions = versions

    async def get(self, request: Request, target: Target) -> Response:
        """One object."""
        accepted = negotiate(request.headers.get("accept", ""), _OBJECT_FORMS)
        obj = await self._versions.read(target.resource, target.name, target.namespace)
        return respond(self._form(request, target, accepted)(obj), accepted)

    async def list(self, request: Request, target: Target) -> Response:
        """A collection; with `limit` in pieces. The pieces are not of one moment: a later one shows later writes."""
        accepted = negotiate(request.headers.get("accept", ""), _LIST_FORMS)
        check_listing(request, watch=False)
        query = request.query_params
        items = await self._versions.select(
            target.resource,
            target.namespace or None,
            labels=query.get("labelSelector", ""),
            fields=query.get("fieldSelector", ""),
        )
        meta: JSON = {"resourceVersion": str(self._store.revision)}
        items = self._page(items, number(request, "limit"), query.get("continue", ""), meta)
        if accepted.transform == "Table":
            tabulator = Tabulator(self._store, target.resource, query.get("includeObject", "Metadata"))
            return respond(tabulator.table(items, meta), accepted)
        if accepted.transform:
            partial = {"kind": accepted.transform, "apiVersion": "meta.k8s.io/v1", "metadata": meta}
            return respond({**partial, "items": [_partial(item) for item in items]}, accepted)
        head = {"kind": target.resource.list_kind, "apiVersion": target.resource.api_version, "metadata": meta}
        return respond({**head, "items": items}, accepted)

    @staticmethod
    def _page(items: Objects, limit: int | None, token: str, meta: JSON) -> Objects:
        if token:
            try:
                after = json.loads(base64.urlsafe_b64decode(token))
                start = (str(after["namespace"]), str(after["name"]))
            except (ValueError, KeyError, TypeError) as error:
                raise bad_request(f"continue key is not valid: {error}") from error
            items = [item for item in items if (namespace_of(item), name_of(item)) > start]
        if limit and limit < len(items):
            last = items[limit - 1]
            place = {"namespace": namespace_of(last), "name": name_of(last)}
            meta["continue"] = base64.urlsafe_b64encode(dump(place)).decode()
            meta["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return items

    def _form(self, request: Request, target: Target, accepted: Accepted) -> Callable[[JSON], Any]:
        if accepted.transform == "Table":
            tabulator = Tabulator(self._store, target.resource, request.query_params.get("includeObject", "Metadata"))
            return lambda obj: tabulator.table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
        if accepted.transform:
            return _partial
        return lambda obj: obj

    # --- watch

    def watch(self, request: Request, target: Target) -> Response:
        """The changes of a collection as a stream of JSON lines."""
        accepted = negotiate(request.headers.get("accept", ""), _WATCH_FORMS)
        check_listing(request, watch=True)
        since = self._since(request)
        query = request.query_params
        fields = query.get("fieldSelector", "")
        if target.name:  # a watch on one object, an old form
            fields = ",".join(filter(None, [fields, f"metadata.name={target.name}"]))
        try:
            labels = query.get("labelSelector", "")
            watch = self._versions.watch(target.resource, target.namespace or None, since, labels=labels, fields=fields)
        except ApiError as error:
            if error.code != expired("").code:
                raise
            return Stream(_once(_failure(error)), headers=_JSON_HEADERS)
        seconds = number(request, "timeoutSeconds") or random.randint(1800, 3600)  # noqa: S311
        form = self._form(request, target, accepted)
        pieces = self._lines(request, target, watch, form, float(seconds))
        return Stream(pieces, headers=_JSON_HEADERS)

    def _since(self, request: Request) -> int | None:
        """The revision to start after; None for the present objects first."""
        text = request.query_params.get("resourceVersion", "")
        if flag(request, "sendInitialEvents"):
            return None
        if text in ("", "0"):
            return self._store.revision if "sendInitialEvents" in request.query_params else None
        if not text.isdigit():
            why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
            raise ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')  # 500 it is
        return int(text)

    async def _lines(
        self, request: Request, target: Target, watch: Watch, form: Callable[[JSON], Any], seconds: float
    ) -> AsyncGenerator[bytes, None]:
        end = asyncio.get_running_loop().time() + seconds
        bookmarks = flag(request, "allowWatchBookmarks")
        headed = False
        try:
            if flag(request, "sendInitialEvents"):
                async for line in self._initial(target, watch, form):
                    yield line
                if bookmarks:
                    yield self._bookmark(target, initial=True)
            while True:
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                try:
                    async with asyncio.timeout(min(left, _BOOKMARK_EVERY)):
                        event = await anext(watch)
                except TimeoutError:
                    if bookmarks and left > _BOOKMARK_EVERY:
                        yield self._bookmark(target)
                    continue
                except StopAsyncIteration:
                    return
                shown = form(await self._versions.show(target.resource, event.object))
                yield _line(event.type, _headless(shown) if headed else shown)
                headed = True
        except ApiError as error:  # of a conversion: the client has to look again
            yield _failure(error)
        finally:
            watch.close()

    async def _initial(
        self, target: Target, watch: Watch, form: Callable[[JSON], Any]
    ) -> AsyncGenerator[bytes, None]:
        while watch.pending:
            event = await anext(watch)
            yield _line(event.type, form(await self._versions.show(target.resource, event.object)))

    def _bookmark(self, target: Target, *, initial: bool = False) -> bytes:
        meta: JSON = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": target.resource.kind, "apiVersion": target.resource.api_version, "metadata": meta}
        return _line("BOOKMARK", obj)


_JSON_HEADERS = {"content-type": "application/json"}


def _headless(shown: JSON) -> JSON:
    """A Table without its head, which only the first of a watch has."""
    return {**shown, "columnDefinitions": None} if shown.get("kind") == "Table" else shown


def _line(type_: str, obj: Any) -> bytes:
    return dump({"type": type_, "object": obj}) + b"\n"


def _failure(error: ApiError) -> bytes:
    return _line("ERROR", error.status())


async def _once(piece: bytes) -> AsyncGenerator[bytes, None]:
    yield piece
