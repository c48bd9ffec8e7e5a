"""Tells people of misconfigurations: Kubernetes Events on the object, once per problem and generation."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
import uuid
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, NotFound, Rejected
from conformance.sandbox.reference.model import Problem

SETTLE: Final = 0.3  # seconds a problem has to last: objects applied together arrive one after the other
_RETRY: Final = 1.0
_REMEMBERED: Final = 4096

log = logging.getLogger(__name__)


class Reporter:
    """Writes events from a thread of its own, so that a slow API server does not hold up the proxies."""

    def __init__(self, cluster: Cluster, component: str) -> None:
        self._cluster = cluster
        self._component = component
        self._changed = threading.Condition()
        self._due: dict[Problem, float] = {}
        self._reported: dict[Problem, None] = {}

    def update(self, problems: tuple[Problem, ...]) -> None:
        """Take the problems there are now; what has gone before it was reported is not."""
        now = time.monotonic()
        with self._changed:
            self._due = {problem: self._due.get(problem, now + SETTLE) for problem in problems
                         if problem not in self._reported}
            self._changed.notify()

    def run(self, stop: threading.Event) -> None:
        """Report until `stop`."""
        while not stop.is_set():
            with self._changed:
                now = time.monotonic()
                ready = [problem for problem, due in self._due.items() if due <= now]
                if not ready:
                    self._changed.wait(min([due - now for due in self._due.values()], default=0.5))
                    continue
            for problem in ready:
                self._report(problem)

    def _report(self, problem: Problem) -> None:
        subject = f"{problem.subject.kind} {problem.subject.namespace}/{problem.subject.name}"
        try:
            self._cluster.create(_event(problem, self._component))
        except (NotFound, Rejected) as error:
            # The namespace or the object is going away, and whoever would read the event with it.
            log.info("no event on %s: %s", subject, error)
        except ClusterError as error:
            log.warning("event on %s: %s; trying again", subject, error)
            with self._changed:
                if problem in self._due:
                    self._due[problem] = time.monotonic() + _RETRY
            return
        else:
            log.info("event on %s: %s: %s", subject, problem.reason, problem.message)
        with self._changed:
            self._due.pop(problem, None)
            self._reported[problem] = None
            if len(self._reported) > _REMEMBERED:
                del self._reported[next(iter(self._reported))]


def _event(problem: Problem, component: str) -> dict[str, Any]:
    subject = problem.subject
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1", "kind": "Event", "type": "Warning",
        "metadata": {"name": f"{subject.name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": subject.namespace},
        "involvedObject": {
            "apiVersion": subject.api_version, "kind": subject.kind, "namespace": subject.namespace,
            "name": subject.name, "uid": subject.uid,
        },
        "reason": problem.reason, "message": problem.message[:1000], "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": component}, "reportingComponent": component, "reportingInstance": component,
    }
