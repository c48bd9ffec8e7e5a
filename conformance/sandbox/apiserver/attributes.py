"""What a request asks for, in the terms in which access is decided: a verb, and a resource or a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

_VERBS: Final = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_NAMESPACES: Final = ("status", "finalize")
_BY_NAME: Final = re.compile(r"(?:^|,)\s*metadata\.name\s*==?([^,]+)")


@dataclass(frozen=True, slots=True)
class Attributes:
    """One wish. `resource` is empty when `path` is what is asked for: discovery, health, versions."""

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        """As rules write it: `pods`, `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def attributes_of(method: str, path: str, query: str = "") -> Attributes:
    """Read method, decoded path and query string of a request as Kubernetes does."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return Attributes(method.lower(), path)
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        # A namespace is in itself: a Role in it can allow to read it.
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _OF_NAMESPACES:
            parts = parts[2:]
    resource, name, subresource = (*parts, "", "")[:3]
    verb = _VERBS.get(method, "")
    if not name:
        verb, name = _of_collection(verb, query)
    return Attributes(verb, path, group, version, resource, subresource, namespace, name)


def _of_collection(verb: str, query: str) -> tuple[str, str]:
    """The verb on a collection, and the one name that a field selector restricts it to."""
    options = parse_qs(query) if query else {}
    selected = _BY_NAME.search(options.get("fieldSelector", [""])[0])
    name = selected[1].strip() if selected else ""
    if verb == "get":
        watching = options.get("watch", [""])[0].lower() in ("1", "true")
        return ("watch" if watching else "list"), name
    return ("deletecollection", name) if verb == "delete" else (verb, "")
