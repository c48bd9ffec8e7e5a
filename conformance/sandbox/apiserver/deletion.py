"""What a DELETE does at once: remove the object, or mark it and wait for those who must act first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from conformance.sandbox.apiserver.objects import JSON, clone
from conformance.sandbox.apiserver.resources import NAMESPACES, PODS, Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
DEFAULT_GRACE = 30
"""Seconds that a pod has to end when it does not say otherwise, as in Kubernetes."""


def grace_of(resource: Resource, obj: JSON, wanted: int | None) -> int:
    """Seconds until the object may be removed; only pods that run on a node have any."""
    if resource.key != PODS.key or not obj.get("spec", {}).get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if wanted is not None:
        return max(0, wanted)
    return int(obj["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE))


def removable(resource: Resource, obj: JSON) -> bool:
    """Whether an object that is marked for deletion has nobody left to wait for."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if resource.key == NAMESPACES.key and obj.get("spec", {}).get("finalizers"):
        return False
    return not meta.get("deletionGracePeriodSeconds")


def marked(resource: Resource, obj: JSON, propagation: str, grace: int | None) -> JSON:
    """A copy of `obj` marked for deletion; `removable` says whether it can go at once."""
    doomed = clone(obj)
    meta = doomed["metadata"]
    seconds = grace_of(resource, obj, grace)
    if meta.get("deletionTimestamp"):
        seconds = min(seconds, int(meta.get("deletionGracePeriodSeconds") or 0))
        if seconds != meta.get("deletionGracePeriodSeconds"):
            meta["deletionTimestamp"] = _after(seconds)
    else:
        meta["deletionTimestamp"] = _after(seconds)
        if "generation" in meta:
            meta["generation"] += 1
        finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation)
        if finalizer and finalizer not in (meta.get("finalizers") or []):
            meta.setdefault("finalizers", []).append(finalizer)
    if resource.key != NAMESPACES.key:
        meta["deletionGracePeriodSeconds"] = seconds
    else:
        doomed.setdefault("status", {})["phase"] = "Terminating"
    return doomed


def _after(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
