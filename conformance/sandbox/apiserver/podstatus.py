"""What kubectl shows of a pod's state in one word, worked out from its status as the API server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.objects import JSON, dig

if TYPE_CHECKING:
    from collections.abc import Callable


def _statuses(obj: JSON, field: str = "containerStatuses") -> list[JSON]:
    return dig(obj, f"status.{field}") or []


def _sidecars(obj: JSON) -> list[str]:
    """Init containers that go on running."""
    containers = dig(obj, "spec.initContainers") or ()
    return [item["name"] for item in containers if item.get("restartPolicy") == "Always"]


def _lasting(obj: JSON) -> list[JSON]:
    """The statuses of containers that run as long as the pod, sidecars among them."""
    sidecars = _sidecars(obj)
    return [*(status for status in _statuses(obj, "initContainerStatuses") if status.get("name") in sidecars),
            *_statuses(obj)]


def pod_ready(obj: JSON) -> str:
    """Ready containers of all, such as `1/2`."""
    ready = sum(1 for status in _lasting(obj) if status.get("ready"))
    return f"{ready}/{len(obj['spec'].get('containers') or ()) + len(_sidecars(obj))}"


def pod_restarts(obj: JSON, since: Callable[[str], str]) -> str:
    """Restarts in all, with the time of the last one when it is known."""
    statuses = _lasting(obj)
    count = sum(int(status.get("restartCount") or 0) for status in statuses)
    ends = [
        str(dig(status, "lastState.terminated.finishedAt"))
        for status in statuses
        if dig(status, "lastState.terminated.finishedAt")
    ]
    return f"{count} ({since(max(ends))} ago)" if count and ends else str(count)


def _ended(terminated: JSON) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode')}"


def _initialising(obj: JSON) -> str | None:
    """The state of the first init container that has not succeeded; None when all have."""
    total = len(obj["spec"].get("initContainers") or ())
    sidecars = _sidecars(obj)
    for index, status in enumerate(_statuses(obj, "initContainerStatuses")):
        state = status.get("state") or {}
        if status.get("name") in sidecars and status.get("started"):
            continue
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated:
            if terminated.get("exitCode") == 0:
                continue
            return f"Init:{_ended(terminated)}"
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return None


def pod_status(obj: JSON) -> str:
    """The word under STATUS: the phase, or better the reason why a container is not running."""
    shown = str(dig(obj, "status.reason") or dig(obj, "status.phase") or "Unknown")
    initialising = _initialising(obj)
    if initialising:
        shown = initialising
    else:
        running = False
        for status in reversed(_statuses(obj)):
            state = status.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                shown = str(state["waiting"]["reason"])
            elif state.get("terminated"):
                shown = _ended(state["terminated"])
            elif state.get("running") and status.get("ready"):
                running = True
        if shown == "Completed" and running:
            shown = "Running"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return shown
