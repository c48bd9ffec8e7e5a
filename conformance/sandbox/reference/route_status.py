"""Tells people what has become of their HTTPRoutes: the conditions in each route's status, one entry a parent."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, Conflict, NotFound
from conformance.sandbox.reference.http_route import HTTPRoute, is_parent
from conformance.sandbox.reference.routing import Condition

CONTROLLER: Final = "reference-mesh/control-plane"
_RETRY: Final = 0.5

Entry = dict[str, Any]

log = logging.getLogger(__name__)


class StatusWriter:
    """Writes from a thread of its own, so that a slow API server does not hold up the proxies."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._changed = threading.Condition()
        self._due: dict[HTTPRoute, tuple[Condition, ...]] = {}
        self._told: dict[HTTPRoute, tuple[Condition, ...]] = {}

    def update(self, wanted: Mapping[HTTPRoute, tuple[Condition, ...]]) -> None:
        """Take what the status of each route shall say now."""
        with self._changed:
            self._told = {route: said for route, said in self._told.items() if route in wanted}
            self._due = {route: said for route, said in wanted.items() if self._told.get(route) != said}
            self._changed.notify()

    def run(self, stop: threading.Event) -> None:
        """Write until `stop`."""
        while not stop.is_set():
            with self._changed:
                if not self._due:
                    self._changed.wait(0.5)
                    continue
                due = dict(self._due)
            done = [self._write(route, said) for route, said in due.items()]
            if not all(done):
                stop.wait(_RETRY)

    def _write(self, route: HTTPRoute, said: tuple[Condition, ...]) -> bool:
        """Write one status; tell whether that is done with."""
        try:
            self._bring_up_to_date(route, said)
        except NotFound:
            log.info("HTTPRoute %s/%s is gone", *route.key)
        except Conflict:
            return False  # somebody else has written meanwhile
        except ClusterError as error:
            log.warning("status of HTTPRoute %s/%s: %s; trying again", *route.key, error)
            return False
        with self._changed:
            if self._due.get(route) == said:
                del self._due[route]
                self._told[route] = said
        return True

    def _bring_up_to_date(self, route: HTTPRoute, said: tuple[Condition, ...]) -> None:
        found = self._cluster.get(route.api_version, "HTTPRoute", route.name, route.namespace)
        if found["metadata"].get("generation", 1) != route.generation:
            return  # a newer one is on its way
        before = found.get("status", {}).get("parents") or []
        ours = [_entry(parent, said, before, route.generation) for parent in found["spec"].get("parentRefs") or ()
                if is_parent(parent, route.namespace)] if said else []
        after = [entry for entry in before if entry.get("controllerName") != CONTROLLER] + ours
        if after == before:
            return
        kind = self._cluster.kind(route.api_version, "HTTPRoute")
        self._cluster.request(
            "PATCH", kind.path(route.namespace, route.name, "status"), content_type="application/merge-patch+json",
            body={"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "status": {"parents": after}},
            doing=f"writing the status of HTTPRoute {route.namespace}/{route.name}", patience=0.0,
        )


def _entry(parent: Entry, said: tuple[Condition, ...], before: list[Entry], generation: int) -> Entry:
    """Return what is said to one parent; a condition that stays as it was keeps the time at which it came to be so."""
    known = {condition["type"]: condition for entry in before
             if entry.get("controllerName") == CONTROLLER and entry.get("parentRef") == parent
             for condition in entry.get("conditions") or ()}
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = []
    for kind, holds, reason, message in said:
        status, earlier = str(holds), known.get(kind, {})
        since = earlier.get("lastTransitionTime", now) if earlier.get("status") == status else now
        conditions.append({"type": kind, "status": status, "reason": reason, "message": message,
                           "observedGeneration": generation, "lastTransitionTime": since})
    return {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}
