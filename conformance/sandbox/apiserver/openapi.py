"""The OpenAPI v3 documents: full schemas for custom resources, bare ones for the built-in kinds.

kubectl reads them for `explain`, and to learn that the server validates fields itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.customresources import CustomStrategy
from conformance.sandbox.apiserver.objects import JSON, clone

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.registry import Registry
    from conformance.sandbox.apiserver.resources import Resource

_WRITE_PARAMETERS: list[JSON] = [
    {"name": name, "in": "query", "description": text, "schema": {"type": "string", "uniqueItems": True}}
    for name, text in (
        ("dryRun", "All: process the request, store nothing"),
        ("fieldManager", "who owns the fields that the request sets"),
        ("fieldValidation", "Ignore, Warn or Strict: what to do about unknown fields"),
    )
]
_STANDARD: dict[str, tuple[str, str]] = {
    "apiVersion": ("string", "The version of the schema that this object follows."),
    "kind": ("string", "The kind of this object."),
    "metadata": ("object", "Standard object metadata: name, namespace, labels, annotations and what the server adds."),
}


class OpenApi:
    """Describes what the registry holds; documents are kept until it changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._documents: dict[str, JSON] = {}

    def _fresh(self) -> dict[str, JSON]:
        if self._generation != self._registry.generation:
            self._generation = self._registry.generation
            self._documents = {}
        return self._documents

    def index(self) -> JSON:
        """The answer to /openapi/v3."""
        paths = sorted({_root(resource) for resource in self._registry})
        mark = self._registry.generation
        return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={mark}"} for path in paths}}

    def document(self, path: str) -> JSON | None:
        """The document of one group version, such as `apis/apps/v1`; None when there is none."""
        documents = self._fresh()
        if path not in documents:
            found = [resource for resource in self._registry if _root(resource) == path]
            if not found:
                return None
            documents[path] = self._describe(found)
        return documents[path]

    def _describe(self, resources: list[Resource]) -> JSON:
        schemas: JSON = {}
        paths: JSON = {}
        for resource in resources:
            name = _schema_name(resource)
            schemas[name] = self._schema(resource)
            collection, item = _paths(resource)
            paths[collection] = {"get": _operation(resource, "list"), "post": _operation(resource, "post")}
            paths[item] = {
                "get": _operation(resource, "get"),
                "put": _operation(resource, "put"),
                "patch": _operation(resource, "patch"),
                "delete": _operation(resource, "delete"),
            }
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "sandbox"},
            "paths": paths,
            "components": {"schemas": schemas},
        }

    def _schema(self, resource: Resource) -> JSON:
        strategy = self._registry.strategy(resource)
        if isinstance(strategy, CustomStrategy):
            schema = clone(strategy.version(resource).schema)
        else:
            schema = {
                "type": "object",
                "description": f"{resource.kind}: the sandbox serves no schema of the built-in kinds.",
                "x-kubernetes-preserve-unknown-fields": True,
            }
        properties = schema.setdefault("properties", {})
        for field, (kind, text) in _STANDARD.items():
            properties[field] = {"type": kind, "description": text}
        schema["x-kubernetes-group-version-kind"] = [_kind(resource)]
        return dict(schema)


def _kind(resource: Resource) -> JSON:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _root(resource: Resource) -> str:
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def _schema_name(resource: Resource) -> str:
    group = ".".join(reversed(resource.group.split("."))) if resource.group else "io.k8s.api.core"
    return f"{group}.{resource.version}.{resource.kind}"


def _paths(resource: Resource) -> tuple[str, str]:
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"/{_root(resource)}{scope}/{resource.plural}"
    return collection, f"{collection}/{{name}}"


def _operation(resource: Resource, action: str) -> JSON:
    reference = {"$ref": f"#/components/schemas/{_schema_name(resource)}"}
    operation: JSON = {
        "operationId": f"{action}{resource.kind}{resource.version}",
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
    }
    if action in ("post", "put", "patch"):
        operation["parameters"] = _WRITE_PARAMETERS
        bodies = {
            "patch": ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
        }
        content = {kind: {"schema": reference} for kind in bodies.get(action, ["application/json"])}
        operation["requestBody"] = {"content": content}
    return operation
