"""ReplicaSets: as many pods as wanted, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, labels_of, name_of, namespace_of, uid_of
from conformance.sandbox.apiserver.resources import PODS, REPLICA_SETS
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
from conformance.sandbox.controllers.pods import available_in, is_active, is_ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.recorder import Recorder


class ReplicaSetController(Controller):
    """Creates and deletes pods, adopts orphans that match, keeps the status."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        super().__init__(store)
        self._recorder = recorder

    def sources(self) -> Mapping[Resource, Keys]:
        """Replica sets and the pods that they own."""
        return {REPLICA_SETS: own_key, PODS: owner_key("ReplicaSet")}

    def reconcile(self, key: Key) -> float | None:
        """Bring the number of pods to what is wanted; looks again when a pod will have been ready long enough."""
        try:
            owner = self.store.read(REPLICA_SETS, key[1], key[0])
        except ApiError:
            return None
        pods = [pod for pod in self._pods(owner) if is_active(pod)]
        if not owner["metadata"].get("deletionTimestamp"):
            self._scale(owner, pods)
            pods = [pod for pod in self._pods(owner) if is_active(pod)]
        return self._report(owner, pods)

    def _pods(self, owner: JSON) -> list[JSON]:
        selector = selector_text(owner["spec"]["selector"])
        owned = []
        for pod in self.store.select(PODS, namespace_of(owner), labels=selector):
            controller = controller_of(pod)
            if controller is None and is_active(pod) and not owner["metadata"].get("deletionTimestamp"):
                reference = controlled_by(owner)
                owned.append(
                    self.store.modify(
                        PODS,
                        name_of(pod),
                        namespace_of(pod),
                        lambda found: found["metadata"].setdefault("ownerReferences", []).append(reference),  # noqa: B023
                    )
                )
            elif controller is not None and controller["uid"] == uid_of(owner):
                owned.append(pod)
        return owned

    def _scale(self, owner: JSON, pods: list[JSON]) -> None:
        missing = _wanted(owner) - len(pods)
        for _ in range(missing):
            self._create(owner)
        if missing < 0:
            # What is of least use goes first: not ready, then youngest.
            by_use = sorted(pods, key=lambda pod: (is_ready(pod), -int(pod["metadata"]["resourceVersion"])))
            for pod in by_use[:-missing]:
                self.store.delete(PODS, name_of(pod), namespace_of(pod))
                self._recorder.record(owner, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _create(self, owner: JSON) -> None:
        template = owner["spec"]["template"]
        metadata = {
            **(template.get("metadata") or {}),
            "generateName": f"{name_of(owner)}-",
            "ownerReferences": [controlled_by(owner)],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        try:
            created = self.store.create(PODS, pod, namespace_of(owner))
        except ApiError as error:
            self._recorder.record(owner, "FailedCreate", f"Error creating: {error}", type_="Warning")
            raise
        self._recorder.record(owner, "SuccessfulCreate", f"Created pod: {name_of(created)}")

    def _report(self, owner: JSON, pods: list[JSON]) -> float | None:
        waits = [available_in(pod, owner["spec"].get("minReadySeconds") or 0) for pod in pods]
        template = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
        counts = {
            "replicas": len(pods),
            "fullyLabeledReplicas": sum(template.items() <= labels_of(pod).items() for pod in pods),
            "readyReplicas": sum(is_ready(pod) for pod in pods),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "observedGeneration": owner["metadata"].get("generation", 1),
        }

        def write(found: JSON) -> None:
            found.setdefault("status", {}).update(counts)

        self.store.modify(REPLICA_SETS, name_of(owner), namespace_of(owner), write, subresource="status")
        return min((wait for wait in waits if wait), default=None)


def _wanted(owner: JSON) -> int:
    found = owner["spec"].get("replicas")
    return 1 if found is None else int(found)
