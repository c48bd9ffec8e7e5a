"""A label selector as a query has it, and as the object that a TrafficMetricsList shows.

Source: Kubernetes API, `meta/v1.LabelSelector` and the syntax of `labelSelector`.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def label_selector(text: str) -> Json:
    """Return a label selector of a query as the object that it stands for."""
    labels: dict[str, str] = {}
    expressions: list[Json] = []
    for part in _requirements(text):
        key, operator, values = _requirement(part)
        if operator == "=":
            labels[key] = values[0]
        else:
            expressions.append({"key": key, "operator": operator, **({"values": values} if values else {})})
    return ({"matchLabels": labels} if labels else {}) | ({"matchExpressions": expressions} if expressions else {})


def _requirements(text: str) -> list[str]:
    """Split at the commas that are not within a set's parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _requirement(part: str) -> tuple[str, str, list[str]]:
    for word, operator in (("notin", "NotIn"), ("in", "In")):
        key, found, rest = part.partition(f" {word} ")
        if found:
            return key.strip(), operator, [value.strip() for value in rest.strip(" ()").split(",")]
    for sign, operator in (("!=", "NotIn"), ("==", "="), ("=", "=")):
        key, found, value = part.partition(sign)
        if found:
            return key.strip(), operator, [value.strip()]
    return (part[1:].strip(), "DoesNotExist", []) if part.startswith("!") else (part, "Exists", [])
