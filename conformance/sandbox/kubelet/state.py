"""What is known about the containers of a pod, and the pod's status as a kubelet writes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.sandbox.apiserver.objects import JSON

CREATING = "ContainerCreating"
INITIALIZING = "PodInitializing"


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Waiting:
    """Not running; `reason` is for tables (CrashLoopBackOff), `message` for people."""

    reason: str = CREATING
    message: str = ""

    def to_json(self) -> JSON:
        return {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}


@dataclass(frozen=True)
class Running:
    """Started, at a Unix time in seconds."""

    started_at: float

    def to_json(self) -> JSON:
        return {"running": {"startedAt": _time(self.started_at)}}


@dataclass(frozen=True)
class Terminated:
    """Ended; times are Unix times in seconds."""

    code: int
    started_at: float
    finished_at: float
    container_id: str
    signal: int | None = None
    message: str = ""

    def to_json(self) -> JSON:
        found: JSON = {
            "exitCode": self.code,
            "reason": "Completed" if self.code == 0 else "Error",
            "startedAt": _time(self.started_at),
            "finishedAt": _time(self.finished_at),
            "containerID": self.container_id,
        }
        if self.signal is not None:
            found["signal"] = self.signal
        if self.message:
            found["message"] = self.message
        return {"terminated": found}


State: TypeAlias = Waiting | Running | Terminated


@dataclass
class Record:
    """One container's past and present; its runner is the only one to change it."""

    name: str
    image: str
    state: State = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    id: str = ""
    for_good: bool = field(default=False)
    """Whether a terminated container will not be started again."""

    @property
    def succeeded(self) -> bool:
        return isinstance(self.state, Terminated) and self.state.code == 0

    def to_json(self) -> JSON:
        found: JSON = {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "state": self.state.to_json(),
            "lastState": self.last.to_json() if self.last else {},
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
        }
        if self.id:
            found["containerID"] = self.id
        return found


def phase(init: Sequence[Record], containers: Sequence[Record], restart_policy: str) -> str:
    """Pending, Running, Succeeded or Failed."""
    if any(record.for_good and not record.succeeded for record in init) and restart_policy == "Never":
        return "Failed"
    if all(record.for_good for record in containers):
        return "Succeeded" if all(record.succeeded for record in containers) else "Failed"
    begun = all(not isinstance(record.state, Waiting) or record.last is not None for record in containers)
    return "Running" if begun else "Pending"


@dataclass(frozen=True)
class Conditions:
    """Builds conditions that keep their transition time as long as their status stays."""

    old: Sequence[JSON] = ()

    def make(self, type_: str, *, status: bool, reason: str = "", message: str = "") -> JSON:
        word = "True" if status else "False"
        since = _time(time.time())
        for condition in self.old:
            if condition.get("type") == type_ and condition.get("status") == word:
                since = condition.get("lastTransitionTime") or since
        found: JSON = {"type": type_, "status": word, "lastProbeTime": None, "lastTransitionTime": since}
        if reason:
            found["reason"] = reason
        if message:
            found["message"] = message
        return found


def conditions(
    old: Sequence[JSON], init: Sequence[Record], containers: Sequence[Record], sidecars: Sequence[Record] = (), *,
    sandboxed: bool, ended: bool,
) -> list[JSON]:
    """The pod's conditions; `sandboxed`: volumes and address are there; `ended`: no container runs again.

    `sidecars` are those of `init` that go on running: the pod is ready when they are as well.
    """
    make = Conditions(old).make
    unfinished = _names(record for record in init if not _initialized(record))
    unready = _names(record for record in (*containers, *sidecars) if not record.ready)
    completed = {"reason": "PodCompleted"} if ended else {}
    not_initialized = (
        {"reason": "ContainersNotInitialized", "message": f"containers with incomplete status: [{unfinished}]"}
        if unfinished
        else completed
    )
    not_ready = completed or {"reason": "ContainersNotReady", "message": f"containers with unready status: [{unready}]"}
    return [
        make("PodReadyToStartContainers", status=sandboxed),
        make("Initialized", status=not unfinished, **not_initialized),
        make("Ready", status=not unready, **(not_ready if unready else {})),
        make("ContainersReady", status=not unready, **(not_ready if unready else {})),
        make("PodScheduled", status=True),
    ]


def _initialized(record: Record) -> bool:
    # A sidecar among the init containers (restartPolicy Always) has done its part when it has started.
    return (record.for_good and record.succeeded) or (record.started and isinstance(record.state, Running))


def _names(records: Iterable[Record]) -> str:
    return " ".join(record.name for record in records)
