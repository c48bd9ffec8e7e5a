"""What an update may change, and what of that makes a new generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.objects import JSON, clone

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.resources import Resource


def confined(resource: Resource, new: JSON, old: JSON, subresource: str) -> JSON:
    """`new` with all that the (sub)resource does not cover as it was."""
    if subresource == "status":
        confined = clone(old)
        _take(confined, new, "status")
        for field in ("managedFields",):
            _take(confined["metadata"], new["metadata"], field)
        return confined
    if "status" in resource.subresources:
        _take(new, old, "status")
    return new


def _take(target: JSON, source: JSON, field: str) -> None:
    if field in source:
        target[field] = clone(source[field])
    else:
        target.pop(field, None)


def content(resource: Resource, obj: JSON) -> JSON:
    """What counts as a new generation: all but metadata and, where it is a subresource, status."""
    aside = {"metadata", "apiVersion", "kind"}
    if not resource.custom or "status" in resource.subresources:
        aside.add("status")
    return {field: value for field, value in obj.items() if field not in aside}
