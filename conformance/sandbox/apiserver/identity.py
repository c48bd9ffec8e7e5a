"""The rules of object metadata: names, what the server sets, what a client cannot change."""

from __future__ import annotations

import random
import re
import uuid
from typing import TYPE_CHECKING, Any

from conformance.sandbox.apiserver.errors import (
    ApiError,
    Cause,
    bad_request,
    conflict,
    forbidden_value,
    invalid_value,
    modified,
    required,
)
from conformance.sandbox.apiserver.objects import JSON, metadata, now

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.resources import Key, Resource

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED})?"
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_UNCOUNTED = (("", "namespaces"), ("", "nodes"), ("", "services"))
"""Kinds with a spec and without `metadata.generation`."""
_LOOSE = ("apiextensions.k8s.io", "apiregistration.k8s.io")
"""Built-in groups whose finalizers may be called anything, as those of custom resources."""
_RANDOM_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes: no vowels, no look-alikes

_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


_NAME_RULES: dict[Key, tuple[str, int, str]] = {
    ("", "services"): (
        _LABEL_1035,
        63,
        (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{_LABEL_1035}')"
        ),
    ),
    ("", "namespaces"): (
        _LABEL,
        63,
        (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            f"'{_LABEL}')"
        ),
    ),
}
_RBAC_NAME_RULE = (r"(?!\.\.?$)[^/%]+", 253, "may not be '.', '..' or contain '/' or '%'")
_NAME_RULE = (
    _SUBDOMAIN,
    253,
    (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
    ),
)


def name_problem(resource: Resource, name: str) -> str | None:
    """Why `name` cannot name such an object, in the words of the API server; None when it can."""
    usual = _RBAC_NAME_RULE if resource.group == "rbac.authorization.k8s.io" else _NAME_RULE
    pattern, longest, rule = _NAME_RULES.get(resource.key, usual)
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    return None if re.fullmatch(pattern, name) else rule


def claim(resource: Resource, obj: JSON, namespace: str) -> None:
    """Make type and namespace of `obj` those of the request; ApiError 400 when they contradict it."""
    for field, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        given = obj.get(field)
        if given and given != wanted:
            raise bad_request(f"the {field} in the data ({given}) does not match the expected {field} ({wanted})")
        obj[field] = wanted
    if "metadata" in obj and not isinstance(obj["metadata"], dict) and obj["metadata"] is not None:
        raise bad_request(f"metadata of a {resource.kind} must be an object, found {type(obj['metadata']).__name__}")
    meta = metadata(obj)
    if not resource.namespaced:
        meta.pop("namespace", None)
        return
    given = meta.get("namespace")
    if namespace and given and given != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = given or namespace
    if not meta["namespace"]:
        raise bad_request(f"an empty namespace may not be set during creation of a {resource.kind}")


def begin(resource: Resource, obj: JSON) -> None:
    """Give a new object what the server gives: a generated name, uid, times, generation."""
    meta = metadata(obj)
    if meta.get("resourceVersion"):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")  # 500 it is
    if not meta.get("name") and meta.get("generateName"):
        suffix = "".join(random.choices(_RANDOM_LETTERS, k=5))  # noqa: S311 - a name, not a secret
        meta["name"] = str(meta["generateName"])[:58] + suffix
    for field in ("managedFields", *_SERVER_OWNED):
        meta.pop(field, None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = now()
    if ("spec" in obj or resource.custom) and resource.key not in _UNCOUNTED:
        meta["generation"] = 1
    else:
        meta.pop("generation", None)


def carry_over(resource: Resource, new: JSON, old: JSON) -> None:
    """Keep what an update cannot change. ApiError 409 when `new` is based on another revision or another object."""
    meta, before = metadata(new), old["metadata"]
    if meta.get("resourceVersion") and str(meta["resourceVersion"]) != before["resourceVersion"]:
        raise modified(resource, before["name"])
    if meta.get("uid") and meta["uid"] != before["uid"]:
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before['uid']}"
        raise conflict(resource, before["name"], why)
    if meta.get("managedFields") is None and "managedFields" in before:
        meta["managedFields"] = before["managedFields"]
    for field in (*_SERVER_OWNED, "generation", "resourceVersion"):
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)


def tidy(obj: JSON) -> None:
    """Drop empty maps and lists of the metadata, which Kubernetes does not store."""
    meta = obj["metadata"]
    for field in ("labels", "annotations", "finalizers", "ownerReferences", "managedFields"):
        if field in meta and not meta[field]:
            del meta[field]


def problems(resource: Resource, obj: JSON, old: JSON | None) -> list[Cause]:
    """What is wrong with the metadata of `obj`."""
    meta = obj["metadata"]
    found: list[Cause] = []
    name = meta.get("name")
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    elif not isinstance(name, str):
        raise bad_request(f"metadata.name must be a string, found {name!r}")
    elif old is None and (why := name_problem(resource, name)):
        found.append(invalid_value("metadata.name", name, why))
    found += _map_problems(meta, "labels") + _map_problems(meta, "annotations") + _owner_problems(meta)
    finalizers = meta.get("finalizers") or []
    if not isinstance(finalizers, list):
        raise bad_request("metadata.finalizers must be a list of strings")
    strict = not resource.custom and resource.group not in _LOOSE
    for index, item in enumerate(finalizers):
        why = _name_part_problem(str(item))
        if not why and strict and "/" not in item and item not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
        if why:
            found.append(invalid_value(f"metadata.finalizers[{index}]", item, why))
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = [item for item in finalizers if item not in (old["metadata"].get("finalizers") or [])]
        if added:
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
            found.append(forbidden_value("metadata.finalizers", why))
    return found


def _name_part_problem(key: str) -> str:
    """Why `key`, with or without a domain in front, is no qualified name; empty when it is one."""
    *prefix, short = key.split("/")
    if len(prefix) > 1:
        example = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return f"a qualified name {_QUALIFIED_RULE} {example}"
    if prefix and not re.fullmatch(_SUBDOMAIN, prefix[0]):
        return f"prefix part {_NAME_RULE[2]}" if prefix[0] else "prefix part must be non-empty"
    if not short:
        return f"name part must be non-empty, name part {_QUALIFIED_RULE}"
    if len(short) > 63:
        return "name part must be no more than 63 characters"
    return "" if re.fullmatch(_QUALIFIED, short) else f"name part {_QUALIFIED_RULE}"


def _map_problems(meta: JSON, field: str) -> list[Cause]:
    entries: Any = meta.get(field) or {}
    if not isinstance(entries, dict):
        raise bad_request(f"metadata.{field} must be a map of strings")
    found: list[Cause] = []
    for key, value in entries.items():
        why = _name_part_problem(key.lower() if field == "annotations" else key)
        if why:
            found.append(invalid_value(f"metadata.{field}", key, why))
        if not isinstance(value, str):
            raise bad_request(f"metadata.{field}[{key}] must be a string, found {value!r}: quote it")
        if field == "labels" and (len(value) > 63 or not re.fullmatch(_LABEL_VALUE, value)):
            why = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
                f"used for validation is '({_QUALIFIED})?')"
            )
            found.append(invalid_value(f"metadata.{field}", value, why))
    return found


def _owner_problems(meta: JSON) -> list[Cause]:
    owners: Any = meta.get("ownerReferences") or []
    found: list[Cause] = []
    if not isinstance(owners, list):
        raise bad_request("metadata.ownerReferences must be a list")
    for owner in owners:
        found += [
            invalid_value(f"metadata.ownerReferences.{field}", "", f"{what}must not be empty")
            for field, what in (("apiVersion", "version "), ("kind", ""), ("name", ""), ("uid", ""))
            if not owner.get(field)
        ]
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        why = "Only one reference can have Controller set to true"
        found.append(invalid_value("metadata.ownerReferences", "[]", why))
    return found
