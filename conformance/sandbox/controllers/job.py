"""Jobs: pods that run to their end, each as often as it takes, until too many of them have failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.jobs import INDEXED
from conformance.sandbox.apiserver.objects import JSON, clone, name_of, namespace_of, now, uid_of
from conformance.sandbox.apiserver.resources import JOBS, PODS
from conformance.sandbox.controllers.base import (
    Controller,
    Key,
    Keys,
    controlled_by,
    controller_of,
    own_key,
    owner_key,
)
from conformance.sandbox.controllers.pods import is_active, is_ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.sandbox.apiserver.resources import Resource
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.recorder import Recorder

INDEX: Final = "batch.kubernetes.io/job-completion-index"


@dataclass
class Tally:
    """What has become of a Job's pods. Kept here as they may be deleted at any time: a real one has finalizers."""

    uid: str
    running: dict[str, int] = field(default_factory=dict)
    """Pods by uid, and the number of each."""
    succeeded: set[int] = field(default_factory=set)
    failed: int = 0


class JobController(Controller):
    """Creates the pods of Jobs, replaces those that failed, and says when a Job is over."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        super().__init__(store)
        self._recorder = recorder
        self._tallies: dict[Key, Tally] = {}

    def sources(self) -> Mapping[Resource, Keys]:
        """Jobs and the pods that they own."""
        return {JOBS: own_key, PODS: owner_key("Job")}

    def reconcile(self, key: Key) -> float | None:
        """Count what has ended, and create or end pods accordingly."""
        try:
            job = self.store.read(JOBS, key[1], key[0])
        except ApiError:
            self._tallies.pop(key, None)
            return None
        if job["metadata"].get("deletionTimestamp"):
            return None
        if self._tallies.setdefault(key, Tally(uid_of(job))).uid != uid_of(job):
            self._tallies[key] = Tally(uid_of(job))
        tally = self._tallies[key]
        pods = {uid_of(pod): pod for pod in self.store.select(PODS, namespace_of(job))
                if (controller_of(pod) or {}).get("uid") == uid_of(job)}
        _count(tally, pods)
        over = _over(job, tally)
        if over:
            self._end(job, pods.values())
        elif not job["spec"].get("suspend"):
            self._create_missing(job, tally)
        self._report(job, tally, pods, over)
        return None

    def _create_missing(self, job: JSON, tally: Tally) -> None:
        spec = job["spec"]
        taken = tally.succeeded | set(tally.running.values())
        free = [number for number in range(spec["completions"]) if number not in taken]
        for number in free[: max(0, spec["parallelism"] - len(tally.running))]:
            try:
                created = self.store.create(PODS, _pod(job, number), namespace_of(job))
            except ApiError as error:
                self._recorder.record(job, "FailedCreate", f"Error creating: {error}", type_="Warning")
                raise
            tally.running[uid_of(created)] = number
            self._recorder.record(job, "SuccessfulCreate", f"Created pod: {name_of(created)}")

    def _end(self, job: JSON, pods: Iterable[JSON]) -> None:
        for pod in pods:
            if is_active(pod):
                self.store.delete(PODS, name_of(pod), namespace_of(pod))
                self._recorder.record(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _report(self, job: JSON, tally: Tally, pods: Mapping[str, JSON], over: str) -> None:
        active = [pod for pod in self.store.select(PODS, namespace_of(job))
                  if uid_of(pod) in tally.running and is_active(pod)]
        status: JSON = {
            "startTime": (job.get("status") or {}).get("startTime") or now(),
            "active": len(active), "ready": sum(is_ready(pod) for pod in active), "failed": tally.failed,
            "succeeded": len(tally.succeeded),
            "terminating": sum(bool(pod["metadata"].get("deletionTimestamp")) for pod in pods.values()),
            "uncountedTerminatedPods": {},
        }
        if job["spec"]["completionMode"] == INDEXED:
            status["completedIndexes"] = ",".join(map(str, sorted(tally.succeeded)))

        def write(found: JSON) -> None:
            known = found.setdefault("status", {})
            known.update(status)
            if over and not known.get("conditions"):
                known["conditions"] = [_condition(over)]
                if over == "Complete":
                    known["completionTime"] = now()

        self.store.modify(JOBS, name_of(job), namespace_of(job), write, subresource="status")


def _count(tally: Tally, pods: Mapping[str, JSON]) -> None:
    for uid, number in list(tally.running.items()):
        pod = pods.get(uid)
        if pod is not None and (pod.get("status") or {}).get("phase") == "Succeeded":
            tally.succeeded.add(number)
        elif pod is not None and is_active(pod):
            continue
        else:
            tally.failed += 1
        del tally.running[uid]


def _over(job: JSON, tally: Tally) -> str:
    """The type of the condition with which the Job has ended; empty while it goes on."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    if conditions:
        return str(conditions[0]["type"])
    if tally.failed > job["spec"]["backoffLimit"]:
        return "Failed"
    return "Complete" if len(tally.succeeded) >= job["spec"]["completions"] else ""


def _condition(over: str) -> JSON:
    condition = {"type": over, "status": "True", "lastProbeTime": now(), "lastTransitionTime": now()}
    if over == "Failed":
        condition |= {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
    else:
        condition |= {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"}
    return condition


def _pod(job: JSON, number: int) -> JSON:
    template = clone(job["spec"]["template"])
    metadata = {**(template.get("metadata") or {}), "generateName": f"{name_of(job)}-",
                "ownerReferences": [controlled_by(job)]}
    spec = template["spec"]
    if job["spec"]["completionMode"] == INDEXED:
        metadata["generateName"] = f"{name_of(job)}-{number}-"
        for place in ("annotations", "labels"):
            metadata[place] = {**(metadata.get(place) or {}), INDEX: str(number)}
        source = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
        for container in spec["containers"]:
            container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
        spec["hostname"] = f"{name_of(job)}-{number}"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
