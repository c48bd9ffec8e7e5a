"""Deployments: one replica set per template, and a rolling change from one to the next."""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, clone, name_of, namespace_of, now, parse_time, uid_of
from conformance.sandbox.apiserver.resources import DEPLOYMENTS, REPLICA_SETS
from conformance.sandbox.apiserver.selectors import selector_text
from conformance.sandbox.controllers.base import (
    Controller,
    Key,
    Keys,
    controlled_by,
    controller_of,
    own_key,
    owner_key,
)
from conformance.sandbox.controllers.rollout import Counts, conditions, next_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.recorder import Recorder

_HASH_LABEL: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no words


class DeploymentController(Controller):
    """Makes replica sets, sizes them, keeps the status that `kubectl rollout status` waits for."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        super().__init__(store)
        self._recorder = recorder

    def sources(self) -> Mapping[Resource, Keys]:
        """Deployments and the replica sets that they own."""
        return {DEPLOYMENTS: own_key, REPLICA_SETS: owner_key("Deployment")}

    def reconcile(self, key: Key) -> float | None:
        """One step of the roll-out; looks again when its deadline is near."""
        try:
            deployment = self.store.read(DEPLOYMENTS, key[1], key[0])
        except ApiError:
            return None
        if deployment["metadata"].get("deletionTimestamp"):
            return None
        owned = self._owned(deployment)
        current = next((found for found in owned if _same_template(found, deployment)), None)
        if not deployment["spec"].get("paused"):
            if current is None:
                current = self._create(deployment)
            self._number(deployment, current, owned)
            self._resize(deployment, current, [found for found in owned if uid_of(found) != uid_of(current)])
            owned = self._owned(deployment)
            current = next((found for found in owned if _same_template(found, deployment)), None)
        return self._report(deployment, current, owned)

    def _owned(self, deployment: JSON) -> list[JSON]:
        found = self.store.select(
            REPLICA_SETS, namespace_of(deployment), labels=selector_text(deployment["spec"]["selector"])
        )
        return [
            item if controller_of(item) else self._adopt(deployment, item)
            for item in found
            if (controller_of(item) or {"uid": uid_of(deployment)})["uid"] == uid_of(deployment)
        ]

    def _adopt(self, deployment: JSON, orphan: JSON) -> JSON:
        reference = controlled_by(deployment)

        def write(found: JSON) -> None:
            found["metadata"].setdefault("ownerReferences", []).append(reference)

        return self.store.modify(REPLICA_SETS, name_of(orphan), namespace_of(orphan), write)

    def _create(self, deployment: JSON) -> JSON:
        template = clone(deployment["spec"]["template"])
        digest = _digest(template)
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[_HASH_LABEL] = digest
        selector = clone(deployment["spec"]["selector"])
        selector.setdefault("matchLabels", {})[_HASH_LABEL] = digest
        name = f"{name_of(deployment)}-{digest}"
        return self.store.create(
            REPLICA_SETS,
            {
                "apiVersion": REPLICA_SETS.api_version,
                "kind": REPLICA_SETS.kind,
                "metadata": {"name": name, "labels": labels, "ownerReferences": [controlled_by(deployment)]},
                "spec": {
                    "replicas": 0,
                    "minReadySeconds": deployment["spec"].get("minReadySeconds") or 0,
                    "selector": selector,
                    "template": template,
                },
            },
            namespace_of(deployment),
        )

    def _number(self, deployment: JSON, current: JSON, owned: Sequence[JSON]) -> None:
        """The current replica set has the highest revision; one that is returned to gets a new one."""
        others = [_revision(found) for found in owned if uid_of(found) != uid_of(current)]
        revision = max([_revision(current), *(number + 1 for number in others)], default=1) or 1

        def write(found: JSON) -> None:
            found["metadata"].setdefault("annotations", {})[_REVISION] = str(revision)

        if _revision(current) != revision:
            self.store.modify(REPLICA_SETS, name_of(current), namespace_of(current), write)
        if _revision(deployment) != revision:
            self.store.modify(DEPLOYMENTS, name_of(deployment), namespace_of(deployment), write)

    def _resize(self, deployment: JSON, current: JSON, old: Sequence[JSON]) -> None:
        sizes = next_sizes(deployment["spec"], Counts.of(current), [Counts.of(found) for found in old])
        for found, size in zip([current, *old], sizes, strict=True):
            before = int(found["spec"].get("replicas") or 0)
            if size == before:
                continue
            self.store.modify(
                REPLICA_SETS, name_of(found), namespace_of(found), lambda obj: obj["spec"].update(replicas=size)  # noqa: B023
            )
            way = "up" if size > before else "down"
            text = f"Scaled {way} replica set {name_of(found)} from {before} to {size}"
            self._recorder.record(deployment, "ScalingReplicaSet", text)
        self._forget(deployment, old)

    def _forget(self, deployment: JSON, old: Sequence[JSON]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit")
        idle = [found for found in old if Counts.of(found) == Counts(0, 0, 0, 0)]
        idle.sort(key=_revision)
        for found in idle[: max(0, len(idle) - (10 if limit is None else int(limit)))]:
            self.store.delete(REPLICA_SETS, name_of(found), namespace_of(found))

    def _report(self, deployment: JSON, current: JSON | None, owned: Sequence[JSON]) -> float | None:
        wanted = int(deployment["spec"].get("replicas") or 0)
        every = [Counts.of(found) for found in owned]
        new = Counts.of(current) if current else Counts(0, 0, 0, 0)
        available = sum(counts.available for counts in every)
        status = {
            "observedGeneration": deployment["metadata"].get("generation", 1),
            "replicas": sum(counts.present for counts in every),
            "updatedReplicas": new.present,
            "readyReplicas": sum(counts.ready for counts in every),
            "availableReplicas": available,
            "unavailableReplicas": max(0, wanted - available),
        }
        complete = new.present == wanted == status["replicas"] and new.available >= wanted
        deadline = float(deployment["spec"].get("progressDeadlineSeconds") or math.inf)
        old = deployment.get("status") or {}
        moved = _progressed(old, status)
        waited = 0.0 if moved else _since_progress(old)
        name = name_of(current) if current else ""
        made = conditions(
            old.get("conditions") or [],
            deployment["spec"],
            available=available,
            complete=complete,
            late=waited >= deadline,
            moved=moved,
            replica_set=name,
        )

        def write(found: JSON) -> None:
            found["status"] = {**{k: v for k, v in status.items() if v}, "conditions": made}

        self.store.modify(DEPLOYMENTS, name_of(deployment), namespace_of(deployment), write, subresource="status")
        if complete or waited >= deadline or math.isinf(deadline):
            return None
        return deadline - waited + 0.1


def _same_template(replica_set: JSON, deployment: JSON) -> bool:
    template = clone(replica_set["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(_HASH_LABEL, None)
    return _text(template) == _text(deployment["spec"]["template"])


def _text(template: JSON) -> str:
    plain = {"metadata": {k: v for k, v in (template.get("metadata") or {}).items() if v}, "spec": template["spec"]}
    return json.dumps(plain, sort_keys=True)


def _digest(template: JSON) -> str:
    found = hashlib.sha256(_text(template).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in found[:10])


def _revision(obj: JSON) -> int:
    text = (obj["metadata"].get("annotations") or {}).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _progressed(old: JSON, new: JSON) -> bool:
    """Whether the roll-out has come nearer to its end, or has become another one."""
    if old.get("observedGeneration") != new["observedGeneration"]:
        return True
    left_before = old.get("replicas", 0) - old.get("updatedReplicas", 0)
    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return new["replicas"] - new["updatedReplicas"] < left_before or any(new[f] > old.get(f, 0) for f in more)


def _since_progress(status: JSON) -> float:
    for condition in status.get("conditions") or []:
        if condition["type"] == "Progressing":
            if condition["status"] == "False":  # too late once, too late until something moves
                return math.inf
            moment = parse_time(condition.get("lastUpdateTime") or now())
            return max(0.0, time.time() - moment.timestamp()) if moment else 0.0
    return 0.0
