"""CustomResourceDefinitions: defaults, validation, and the resources that one defines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver import conversion
from conformance.sandbox.apiserver.defaults import fill
from conformance.sandbox.apiserver.errors import (
    Cause,
    bad_request,
    invalid_value,
    required,
    unsupported_value,
)
from conformance.sandbox.apiserver.registry import Strategy
from conformance.sandbox.apiserver.resources import Resource

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.objects import JSON

_TYPES = ("array", "boolean", "integer", "number", "object", "string")


class DefinitionStrategy(Strategy):
    """Defaults and validation of CustomResourceDefinitions."""

    def prepare(self, resource: Resource, obj: JSON, old: JSON | None) -> None:
        spec = obj.setdefault("spec", {})
        try:
            names = spec.setdefault("names", {})
            kind = str(names.get("kind") or "")
            fill(names, singular=kind.lower(), listKind=f"{kind}List")
            fill(spec, conversion={"strategy": "None"})
            service = ((spec["conversion"].get("webhook") or {}).get("clientConfig") or {}).get("service")
            if service:
                fill(service, port=443)
            for version in spec.get("versions") or []:
                fill(version, served=False, storage=False)
        except (AttributeError, TypeError, ValueError) as error:
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
            ) from error
        if old is None:
            stored = [version.get("name") for version in spec.get("versions") or [] if version["storage"]]
            names = {"plural": "", "kind": ""}
            obj["status"] = {"conditions": None, "acceptedNames": names, "storedVersions": stored[:1]}

    def validate(self, resource: Resource, obj: JSON, old: JSON | None) -> list[Cause]:
        del resource
        spec = obj["spec"]
        found = _names(obj, old)
        scopes = ("Cluster", "Namespaced")
        if spec.get("scope") not in scopes:
            found.append(unsupported_value("spec.scope", spec.get("scope"), scopes))
        versions = spec.get("versions") or []
        if not versions:
            found.append(required("spec.versions"))
        elif sum(1 for version in versions if version.get("storage")) != 1:
            why = "must have exactly one version marked as storage version"
            found.append(invalid_value("spec.versions", [version.get("name") for version in versions], why))
        if len({version.get("name") for version in versions}) < len(versions):
            names = [version.get("name") for version in versions]
            found.append(invalid_value("spec.versions", names, "must contain unique version names"))
        if spec.get("preserveUnknownFields"):
            why = (
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                "spec.versions[*].schema instead"
            )
            found.append(invalid_value("spec.preserveUnknownFields", True, why))
        found += conversion.problems(spec.get("conversion") or {})
        found += _stored(obj, [version.get("name") for version in versions])
        return found + _schemas(versions)


def _names(obj: JSON, old: JSON | None) -> list[Cause]:
    spec, names = obj["spec"], obj["spec"]["names"]
    needed = {"spec.group": spec, "spec.names.plural": names, "spec.names.kind": names}
    found = [required(field) for field, holder in needed.items() if not holder.get(field.rpartition(".")[2])]
    name = obj["metadata"]["name"]
    if not found and name != f"{names['plural']}.{spec['group']}":
        found.append(invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    before = old["spec"] if old is not None else spec
    changed = [field for field in ("group", "scope") if before.get(field) != spec.get(field)]
    return found + [invalid_value(f"spec.{field}", spec.get(field), "field is immutable") for field in changed]


def _stored(obj: JSON, versions: list[Any]) -> list[Cause]:
    """A version in which something may be stored has to stay; who has rewritten everything says so in the status."""
    stored = (obj.get("status") or {}).get("storedVersions") or []
    return [
        invalid_value(
            f"status.storedVersions[{index}]",
            version,
            f"missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions "
            f"until a storage migration ensures no data remains persisted in {version} and removes {version} from "
            "status.storedVersions",
        )
        for index, version in enumerate(stored)
        if version not in versions
    ]


def _schemas(versions: list[JSON]) -> list[Cause]:
    """What is wrong with the names and schemas of versions. One schema that all have is `spec.validation` in messages:
    so it is called inside Kubernetes, where versions differ in what they say.
    """
    found = [required(f"spec.versions[{index}].name") for index, item in enumerate(versions) if not item.get("name")]
    schemas = [(version.get("schema") or {}).get("openAPIV3Schema") for version in versions]
    places = [f"spec.versions[{index}].schema.openAPIV3Schema" for index in range(len(versions))]
    missing = [required(place) for place, schema in zip(places, schemas, strict=True) if schema is None]
    if missing or not schemas:
        return found + missing
    if all(schema == schemas[0] for schema in schemas):
        return found + _root(schemas[0], "spec.validation.openAPIV3Schema")
    return found + [cause for place, schema in zip(places, schemas, strict=True) for cause in _root(schema, place)]


def _root(schema: Any, at: str) -> list[Cause]:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(schema, dict) and kind is None:
        return [required(f"{at}.type", "must not be empty at the root")]
    if kind is not None and kind != "object":
        return [invalid_value(f"{at}.type", kind, "must be object at the root")]
    return _structural(schema, at)


def _structural(schema: Any, at: str) -> list[Cause]:
    """What keeps a schema from being structural, as far as pruning, defaulting and validation depend on it."""
    if not isinstance(schema, dict):
        return [invalid_value(at, str(schema), "must be a schema")]
    found: list[Cause] = []
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    kind = schema.get("type")
    if kind is None and not free:
        found.append(required(f"{at}.type", "must not be empty for specified object fields"))
    elif kind is not None and kind not in _TYPES:
        found.append(unsupported_value(f"{at}.type", kind, _TYPES))
    if "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except re.error as error:
            why = f"must be a valid regular expression: {error}"
            found.append(invalid_value(f"{at}.pattern", schema["pattern"], why))
    if kind == "array":
        if "items" not in schema:
            found.append(required(f"{at}.items", "must be specified"))
        else:
            found += _structural(schema["items"], f"{at}.items")
    for name, rule in (schema.get("properties") or {}).items():
        found += _structural(rule, f"{at}.properties[{name}]")
    if isinstance(schema.get("additionalProperties"), dict):
        found += _structural(schema["additionalProperties"], f"{at}.additionalProperties")
    return found


def resource_of(definition: JSON, version: JSON) -> Resource:
    """The resource that one version of a definition makes."""
    spec, names = definition["spec"], definition["spec"]["names"]
    subresources = tuple(name for name in ("status", "scale") if name in (version.get("subresources") or {}))
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        namespaced=spec["scope"] == "Namespaced",
        subresources=subresources,
        categories=tuple(names.get("categories") or ()),
        selectable=tuple(str(field["jsonPath"]).lstrip(".") for field in version.get("selectableFields") or ()),
        custom=True,
    )


def priority(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta1, v1alpha4, v1alpha3, anything else."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return (3, 0, 0, version)
    stability = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stability, -int(found[1]), -int(found[3] or 0), "")
