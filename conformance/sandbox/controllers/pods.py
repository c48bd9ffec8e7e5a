"""What controllers need to know of a pod."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.objects import parse_time

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.objects import JSON


def condition(obj: JSON, type_: str) -> JSON:
    """The condition of a type, empty when there is none."""
    found = (obj.get("status") or {}).get("conditions") or []
    return next((entry for entry in found if entry["type"] == type_), {})


def is_ready(pod: JSON) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def is_active(pod: JSON) -> bool:
    """Whether the pod counts as a replica: not ended and not about to."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def available_in(pod: JSON, seconds: float) -> float | None:
    """How long until the ready pod has been so for `seconds`; 0 when it has, None when it is not ready."""
    if not is_ready(pod):
        return None
    since = parse_time(condition(pod, "Ready").get("lastTransitionTime") or "")
    if since is None or seconds <= 0:
        return 0
    return max(0.0, since.timestamp() + seconds - time.time())
