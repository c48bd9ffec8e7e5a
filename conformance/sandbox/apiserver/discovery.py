"""Discovery: which groups, versions and resources there are, in the old form and the aggregated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.definitions import priority
from conformance.sandbox.apiserver.errors import NoPageError
from conformance.sandbox.apiserver.targets import unserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.sandbox.apiserver.objects import JSON
    from conformance.sandbox.apiserver.registry import Registry
    from conformance.sandbox.apiserver.resources import Resource

AGGREGATED = {"apidiscovery.k8s.io/APIGroupDiscoveryList": ("v2",)}
"""The forms of `/api` and `/apis` that can be negotiated."""

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUB_VERBS = {
    "log": ("get",),
    "proxy": ("create", "delete", "get", "patch", "update"),
    "binding": ("create",),
    "eviction": ("create",),
    "token": ("create",),
    "finalize": ("update",),
}
_SUB_KINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "binding": ("", "v1", "Binding"),
}
REVIEWS: tuple[tuple[str, str, str], ...] = (
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ("authentication.k8s.io", "tokenreviews", "TokenReview"),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
)
"""(group, plural, kind) of what can only be created, all v1: questions, not objects. The local one is namespaced."""


def _verbs(resource: Resource) -> list[str]:
    return [verb for verb in _VERBS if resource.plural != "namespaces" or verb != "deletecollection"]


class Discovery:
    """Describes what the registry holds. `extra` are the resource lists of aggregated APIs, by (group, version); None
    while the server of one is not available.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.extra: dict[tuple[str, str], JSON | None] = {}

    def _versions(self) -> dict[str, list[str]]:
        """The versions of every group, the preferred one first."""
        found: dict[str, list[str]] = {}
        pairs = [(resource.group, resource.version) for resource in self._registry]
        pairs += [(group, "v1") for group, _, _ in REVIEWS]
        for group, version in (*pairs, *self.extra):
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return {group: sorted(versions, key=priority) for group, versions in found.items()}

    def _of(self, group: str, version: str) -> list[Resource]:
        return [item for item in self._registry if (item.group, item.version) == (group, version)]

    def groups(self) -> JSON:
        """APIGroupList, the answer to /apis."""
        groups = [self._group(group, versions) for group, versions in self._versions().items() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    @staticmethod
    def _group(group: str, versions: list[str]) -> JSON:
        entries = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        return {"name": group, "versions": entries, "preferredVersion": entries[0]}

    def group(self, name: str) -> JSON:
        """APIGroup, the answer to /apis/<group>. Raises ApiError 404."""
        versions = self._versions().get(name)
        if not versions or not name:
            raise NoPageError
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name, versions)}

    def resources(self, group: str, version: str) -> JSON:
        """APIResourceList, the answer to /apis/<group>/<version>. Raises ApiError 404."""
        aggregated = self.extra.get((group, version))
        if aggregated is not None:
            return aggregated
        found = [entry for resource in self._of(group, version) for entry in _entries(resource)]
        found += [
            {"name": plural, "singularName": kind.lower(), "namespaced": kind.startswith("Local"), "kind": kind,
             "verbs": ["create"]}
            for owner, plural, kind in REVIEWS
            if (owner, "v1") == (group, version)
        ]
        if not found:
            raise unserved(group)
        group_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}

    def aggregated(self, *, core: bool) -> JSON:
        """APIGroupDiscoveryList: everything at once, of the core group or of all others."""
        items = [
            {
                "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
                "versions": [self._freshness(group, version) for version in versions],
            }
            for group, versions in self._versions().items()
            if (not group) is core
        ]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }

    def _freshness(self, group: str, version: str) -> JSON:
        if self.extra.get((group, version), {}) is None:
            return {"version": version, "freshness": "Stale"}
        return {"version": version, "resources": self._aggregated(group, version), "freshness": "Current"}

    def _aggregated(self, group: str, version: str) -> list[JSON]:
        found: dict[str, JSON] = {}
        for entry in self.resources(group, version)["resources"]:
            name, _, subresource = entry["name"].partition("/")
            kind = {
                "group": entry.get("group", group),
                "version": entry.get("version", version),
                "kind": entry["kind"],
            }
            if subresource:
                part = {"subresource": subresource, "responseKind": kind, "verbs": entry["verbs"]}
                if name in found:
                    found[name].setdefault("subresources", []).append(part)
                continue
            found[name] = {
                "resource": name,
                "responseKind": kind,
                "scope": "Namespaced" if entry["namespaced"] else "Cluster",
                "singularResource": entry.get("singularName", ""),
                "verbs": entry["verbs"],
                **{field: entry[field] for field in ("shortNames", "categories") if field in entry},
            }
        return list(found.values())


def _entries(resource: Resource) -> Iterable[JSON]:
    entry: JSON = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    yield entry
    for name in resource.subresources:
        part: JSON = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": f"{resource.kind}ProxyOptions" if name == "proxy" else resource.kind,
            "verbs": list(_SUB_VERBS.get(name, ("get", "patch", "update"))),
        }
        if name in _SUB_KINDS:
            part["group"], part["version"], part["kind"] = _SUB_KINDS[name]
        yield part
