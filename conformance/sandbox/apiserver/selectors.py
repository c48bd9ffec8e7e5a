"""Label and field selectors, in the grammar of k8s.io/apimachinery."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from conformance.sandbox.apiserver.errors import bad_request
from conformance.sandbox.apiserver.objects import JSON, dig, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.sandbox.apiserver.resources import Resource

Predicate: TypeAlias = "Callable[[JSON], bool]"

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?(?:/[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<absent_key>{_KEY})"
    rf"|(?P<set_key>{_KEY})\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<key>{_KEY})\s*(?P<operator>==|!=|=)\s*(?P<value>{_VALUE})"
    rf"|(?P<present>{_KEY}))\s*(?:,|$)"
)
_FIELD = re.compile(r"\s*(?P<path>[^=!,\s]+)\s*(?P<operator>==|!=|=)(?P<value>(?:\\.|[^,\\])*)(?:,|$)")


def label_matcher(selector: str) -> Callable[[Mapping[str, str]], bool]:
    """What `selector` says of a set of labels. An empty selector matches all; ApiError 400 when it cannot be parsed."""
    checks: list[Callable[[Mapping[str, str]], bool]] = []
    position = 0
    while position < len(selector.rstrip()):
        found = _REQUIREMENT.match(selector, position)
        if found is None:
            raise bad_request(
                f'unable to parse requirement: found "{selector[position:]}" in the label selector "{selector}", '
                f"expected KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (…) or KEY notin (…)"
            )
        checks.append(_requirement(found))
        position = found.end()
    return lambda labels: all(check(labels) for check in checks)


def _requirement(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if found["absent"]:
        key = found["absent_key"]
        return lambda labels: key not in labels
    if found["set"]:
        key, values = found["set_key"], {value.strip() for value in found["values"].split(",")}
        if found["set"] == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: key not in labels or labels[key] not in values
    if found["operator"]:
        key, value = found["key"], found["value"]
        if found["operator"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    key = found["present"]
    return lambda labels: key in labels


def _field(resource: Resource, obj: JSON, path: str) -> str:
    if resource.plural == "events" and path in ("source", "reportingComponent"):
        value = dig(obj, "source.component") or obj.get("reportingComponent")
    else:
        value = dig(obj, path)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def field_matcher(resource: Resource, selector: str) -> Predicate:
    """What `selector` says of an object. ApiError 400 for a field that the resource cannot be selected by."""
    if not selector.strip():
        return lambda _: True
    allowed = {"metadata.name", "metadata.namespace", *resource.selectable}
    checks: list[tuple[str, bool, str]] = []
    position = 0
    while position < len(selector):
        found = _FIELD.match(selector, position)
        if found is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{selector[position:]}'")
        if found["path"] not in allowed:
            raise bad_request(f"field label not supported: {found['path']}")
        value = re.sub(r"\\(.)", r"\1", found["value"]).strip()
        checks.append((found["path"], found["operator"] != "!=", value))
        position = found.end()
    return lambda obj: all((_field(resource, obj, path) == value) is equal for path, equal, value in checks)


def matcher(resource: Resource, namespace: str | None, labels: str, fields: str) -> Predicate:
    """All three restrictions of a list or watch as one predicate; `namespace` None or empty means every namespace."""
    by_labels = label_matcher(labels) if labels.strip() else None
    by_fields = field_matcher(resource, fields) if fields.strip() else None

    def matches(obj: JSON) -> bool:
        return (
            (not namespace or obj["metadata"].get("namespace") == namespace)
            and (by_labels is None or by_labels(labels_of(obj)))
            and (by_fields is None or by_fields(obj))
        )

    return matches


def selector_text(selector: JSON) -> str:
    """A LabelSelector, as objects have it, in the grammar of query strings."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(expression["operator"], f"!{key}"))
    return ",".join(parts)
