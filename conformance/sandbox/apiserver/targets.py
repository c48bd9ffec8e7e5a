"""What a request path names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import ApiError, NoPageError, no_such_path
from conformance.sandbox.apiserver.resources import BUILTIN

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.registry import Registry
    from conformance.sandbox.apiserver.resources import Resource

_NOT_OFFERED = ("attach", "exec", "portforward")
_OF_NAMESPACES = ("status", "finalize")
_GROUPS = {resource.group for resource in BUILTIN} | {"authentication.k8s.io", "authorization.k8s.io"}


@dataclass(frozen=True, slots=True)
class Target:
    """A collection (`name` empty), an object, or a subresource of one; `rest` is what follows a proxy subresource."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def unserved(group: str) -> ApiError:
    """The refusal of a path in a group: a Status in the groups that are always there, elsewhere plain text."""
    return no_such_path() if group in _GROUPS else NoPageError()


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
        raise unserved(group)
    if name and resource.namespaced and not namespace:
        raise unserved(group)
    if subresource in _NOT_OFFERED and plural == "pods":
        what = f"the sandbox does not offer {subresource}: use kubectl logs, or a request through pods/{name}/proxy"
        raise ApiError(501, "NotImplemented", what)
    known = subresource in resource.subresources or not subresource
    if not known or (rest and any(rest) and subresource != "proxy"):
        raise unserved(group)
    return Target(resource, namespace, name, subresource, "/".join(rest))
