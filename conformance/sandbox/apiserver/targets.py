"""What a request path names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import ApiError, no_such_path

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.registry import Registry
    from conformance.sandbox.apiserver.resources import Resource

_NOT_OFFERED = ("attach", "exec", "portforward")
_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Target:
    """A collection (`name` empty), an object, or a subresource of one; `rest` is what follows a proxy subresource."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def locate(registry: Registry, group: str, version: str, path: str) -> Target:
    """The target of `path`, the part behind `/api/v1/` or `/apis/<group>/<version>/`. Raises ApiError 404 or 501."""
    segments = path.split("/")
    namespace = ""
    if segments[0] == "namespaces" and len(segments) >= 3 and segments[2] not in ("", *_OF_NAMESPACES):
        namespace, segments = segments[1], segments[2:]
    while len(segments) > 1 and not segments[-1] and "proxy" not in segments:
        segments.pop()
    plural, name, subresource, *rest = (*segments, "", "") if len(segments) < 3 else segments
    resource = registry.find(group, version, plural)
    if resource is None or (namespace and not resource.namespaced):
        raise no_such_path()
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    if subresource in _NOT_OFFERED and plural == "pods":
        what = f"the sandbox does not offer {subresource}: use kubectl logs, or a request through pods/{name}/proxy"
        raise ApiError(501, "NotImplemented", what)
    known = subresource in resource.subresources or not subresource
    if not known or (rest and any(rest) and subresource != "proxy"):
        raise no_such_path()
    return Target(resource, namespace, name, subresource, "/".join(rest))
