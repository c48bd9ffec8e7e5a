"""Requests and responses on the wire: media types, bodies, streams."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from starlette.responses import Response

from conformance.sandbox.apiserver import protobuf
from conformance.sandbox.apiserver.errors import NoPageError, bad_request, not_acceptable, unsupported_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from conformance.sandbox.apiserver.errors import ApiError
    from conformance.sandbox.apiserver.objects import JSON

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
_OFFERED = (JSON_TYPE, YAML_TYPE)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the client wants: the media type, and the form `transform` (Table, PartialObjectMetadata, …)."""

    media_type: str = JSON_TYPE
    transform: str = ""
    group: str = ""
    version: str = ""

    @property
    def content_type(self) -> str:
        if self.group == "apidiscovery.k8s.io":
            return f"{JSON_TYPE};g={self.group};v={self.version};as={self.transform}"
        return self.media_type


def negotiate(header: str, transforms: Mapping[str, Iterable[str]] | None = None) -> Accepted:
    """The first of the client's wishes that can be had. `transforms` maps `group/as` to versions.

    Raises ApiError 406 when none can.
    """
    if not header:
        return Accepted()
    for wish in header.split(","):
        media_type, *parts = (part.strip() for part in wish.split(";"))
        options = dict(part.split("=", 1) for part in parts if "=" in part)
        if media_type in ("*/*", "application/*"):
            media_type = JSON_TYPE
        if media_type not in _OFFERED or options.get("stream") not in (None, "watch"):
            continue
        if "as" not in options:
            return Accepted(media_type)
        known = (transforms or {}).get(f"{options.get('g', '')}/{options['as']}", ())
        if options.get("v", "") in known:
            return Accepted(media_type, options["as"], options.get("g", ""), options.get("v", ""))
    raise not_acceptable(_OFFERED)


def parse(data: bytes, *, as_yaml: bool = False) -> Any:
    """The data of a body. Raises ApiError 400 for what cannot be parsed."""
    try:
        if not as_yaml or data.lstrip()[:1] == b"{":
            return json.loads(data)
        return yaml.load(data, Loader=_LOADER)  # noqa: S506 - both loaders are the safe ones
    except (ValueError, RecursionError) as error:
        raise bad_request(f"error decoding the body of the request as JSON: {error}") from error
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding the body of the request as YAML: {error}") from error


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body(request: Request) -> JSON:
    """The object in the body of a create or update. Raises ApiError 400 or 415."""
    given = media_type(request)
    if given == protobuf.MEDIA_TYPE:
        return protobuf.decode(await request.body())
    if given not in ("", *_OFFERED, "text/yaml", "application/x-www-form-urlencoded"):
        raise unsupported_media_type((*_OFFERED, protobuf.MEDIA_TYPE))
    data = parse(await request.body(), as_yaml="yaml" in given)
    if not isinstance(data, dict):
        raise bad_request(f"the body of the request must be an object, found {type(data).__name__}")
    return data


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def respond(
    value: Any, accepted: Accepted | None = None, *, status: int = 200, warnings: Iterable[str] = ()
) -> Response:
    """A response in the form that was agreed on."""
    wanted = accepted or Accepted()
    content = yaml.safe_dump(value, sort_keys=False).encode() if wanted.media_type == YAML_TYPE else dump(value)
    response = Response(content, status, media_type=None)
    response.headers["content-type"] = wanted.content_type
    for warning in warnings:
        text = re.sub(r"[\r\n]", " ", warning).replace("\\", "\\\\").replace('"', '\\"')
        response.headers.append("warning", f'299 - "{text}"')
    return response


def refuse(error: ApiError) -> Response:
    """The response to a request that is refused."""
    if isinstance(error, NoPageError):
        return Response(f"{error.message}\n", error.code, media_type="text/plain")
    response = respond(error.status(), status=error.code)
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


class Stream(Response):
    """A response that is sent piece by piece and ends when its source does or the client goes away.

    Starlette's own notices a client that has gone only at the next piece, which on a quiet watch never comes.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(None, status_code, headers)
        self._pieces = pieces
        if "content-length" in self.headers and not (headers and "content-length" in headers):
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._pieces.aclose()
        if not sending.cancelled() and sending.exception() is not None:
            raise sending.exception() or RuntimeError

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # the head at once: a client of a quiet watch waits for it
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
