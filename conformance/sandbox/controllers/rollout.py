"""The arithmetic of a roll-out, without a store: how large each replica set should be next, and what to report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.objects import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.sandbox.apiserver.objects import JSON


@dataclass(frozen=True)
class Counts:
    """Pods of one replica set: wanted, and of these present, ready and available."""

    wanted: int
    present: int
    ready: int
    available: int

    @classmethod
    def of(cls, replica_set: JSON) -> Counts:
        status = replica_set.get("status") or {}
        return cls(
            int(replica_set["spec"].get("replicas") or 0),
            int(status.get("replicas") or 0),
            int(status.get("readyReplicas") or 0),
            int(status.get("availableReplicas") or 0),
        )


def _share(value: int | str | None, of: int, rounded: Callable[[float], int]) -> int:
    text = "25%" if value is None else str(value)
    return rounded(int(text[:-1]) * of / 100) if text.endswith("%") else int(text)


def limits(spec: JSON) -> tuple[int, int]:
    """(surge, unavailable) of a rolling update: percentages of the replicas, surge rounded up, the other down."""
    wanted = int(spec.get("replicas") or 0)
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge"), wanted, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable"), wanted, math.floor)
    return surge, 1 if surge == unavailable == 0 else unavailable


def next_sizes(spec: JSON, new: Counts, old: Sequence[Counts]) -> list[int]:
    """The sizes to give to the new replica set and to the old ones, in the order given."""
    wanted = int(spec.get("replicas") or 0)
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        gone = all(counts.present == 0 for counts in old)
        return [wanted if gone else new.wanted, *(0 for _ in old)]
    surge, unavailable = limits(spec)
    total = new.wanted + sum(counts.wanted for counts in old)
    size = min(wanted, new.wanted + max(0, wanted + surge - total)) if new.wanted < wanted else wanted
    # Old pods may go as far as enough remain available; those that are not available are of no use to anyone.
    least = wanted - unavailable
    broken = [max(0, counts.wanted - counts.available) for counts in old]
    spare = max(0, new.available + sum(counts.available for counts in old) - least)
    removable = max(0, total - least - max(0, new.wanted - new.available))
    sizes = []
    for counts, useless in zip(old, broken, strict=True):
        first = min(useless, removable)
        rest = min(counts.wanted - first, spare, removable - first)
        spare -= rest
        removable -= first + rest
        sizes.append(counts.wanted - first - rest)
    return [size, *sizes]


def conditions(
    old: Sequence[JSON],
    spec: JSON,
    *,
    available: int,
    complete: bool,
    late: bool,
    moved: bool,
    replica_set: str,
) -> list[JSON]:
    """The conditions Available and Progressing, with the reasons that kubectl and people know."""
    enough = available >= int(spec.get("replicas") or 0) - limits(spec)[1]
    word = "has" if enough else "does not have"
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    made = [_condition(old, "Available", enough, reason, f"Deployment {word} minimum availability.", moved=moved)]
    if spec.get("paused"):
        progress = (False, "DeploymentPaused", "Deployment is paused")
        made.append({**_condition(old, "Progressing", *progress, moved=moved), "status": "Unknown"})
    elif complete:
        text = f'ReplicaSet "{replica_set}" has successfully progressed.'
        made.append(_condition(old, "Progressing", True, "NewReplicaSetAvailable", text, moved=moved))
    elif late:
        text = f'ReplicaSet "{replica_set}" has timed out progressing.'
        made.append(_condition(old, "Progressing", False, "ProgressDeadlineExceeded", text, moved=moved))
    else:
        text = f'ReplicaSet "{replica_set}" is progressing.'
        made.append(_condition(old, "Progressing", True, "ReplicaSetUpdated", text, moved=moved))
    return made


def _condition(
    old: Sequence[JSON], type_: str, holds: bool, reason: str, message: str, *, moved: bool
) -> JSON:
    status = "True" if holds else "False"
    before = next((found for found in old if found["type"] == type_), {})
    same = before.get("status") == status
    unchanged = same and before.get("reason") == reason and not moved
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": before.get("lastUpdateTime") if unchanged else now(),
        "lastTransitionTime": (before.get("lastTransitionTime") if same else None) or now(),
    }
