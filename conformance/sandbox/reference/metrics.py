"""TrafficMetrics: what the mesh tells of its traffic. One rule of the specification a method; a mutant overrides one.

Choices where the specification is silent:

* A request failed when its status is 500 or above, or when it was not answered.
* The window is the 30 seconds before the question, and the latency percentiles are exact (nearest rank).
* A resource's own metrics are of the traffic that it received, as its servers saw it, from wherever.
* Edges are told between resources of one kind; both directions are in one list.
* A TrafficSplit's edges are the pods that sent requests to its apex.
* A resource contains itself: traffic among its own pods is an edge from and to itself.
"""

from __future__ import annotations

import datetime as dt
import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from conformance import smi
from conformance.sandbox.reference.access_log import Side
from conformance.sandbox.reference.metrics_inventory import (
    KINDS,
    POD,
    SPLIT,
    Inventory,
    Kind,
    PodView,
    Resource,
    contains,
)
from conformance.sandbox.reference.metrics_selector import label_selector
from conformance.sandbox.reference.metrics_traffic import Flow, Found
from conformance.sandbox.reference.model import Backend

Json = dict[str, Any]

API_VERSION: Final = f"{smi.METRICS}/v1alpha1"
WINDOW: Final = 30
"""Seconds that metrics are about."""
DIRECTIONS: Final[Mapping[Side, str]] = {"server": "from", "client": "to"}
PERCENTILES: Final = (99, 90, 50)

Observe = Callable[[Iterable[tuple[str, str]], float, float], Found]
"""Gives the flows that the proxies of pods saw in an interval; see Traffic.of."""


@dataclass(frozen=True)
class Seen:
    """Requests that one pod's proxy saw of one flow, and the seconds that each took."""

    pod: PodView
    flow: Flow
    seconds: array[float]


class Metrics:
    """The mesh's answers to one question, asked at `now` (seconds since the epoch)."""

    def __init__(self, inventory: Inventory, observe: Observe, now: float) -> None:
        self.inventory = inventory
        self.now = now
        self._observe = observe

    # --- what there is ---

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that there are metrics of."""
        return tuple(KINDS.values())

    def discovery(self) -> Json:
        """Return the API's own description."""
        resources = []
        for kind in self.kinds():
            common = {"namespaced": kind.namespaced, "kind": "TrafficMetrics"}
            resources += [{"name": kind.plural, "singularName": "", **common, "verbs": self.verbs(kind)},
                          {"name": f"{kind.plural}/edges", "singularName": "", **common, "verbs": ["get"]}]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": resources}

    def verbs(self, kind: Kind) -> list[str]:  # noqa: ARG002
        """Return what can be done with a kind."""
        return ["get", "list"]

    # --- the three questions ---

    def one(self, kind: Kind, namespace: str, name: str) -> Json:
        """Return the metrics of one resource; of a TrafficSplit a list, one item a backend. Raises ClusterError."""
        resource = self.inventory.get(kind, namespace, name)
        if kind == SPLIT:
            return self._list(resource.reference, self.items([resource]))
        return self.items([resource])[0]

    def all_of(self, kind: Kind, namespace: str, selector: str) -> Json:
        """Return the metrics of all resources of a kind. Raises ClusterError."""
        items = self.items(self.selected(kind, namespace, selector))
        return self._list(self.list_resource(kind, namespace), items) | self.selector(selector)

    def edges(self, kind: Kind, namespace: str, name: str) -> Json:
        """Return the metrics of a resource's traffic with each other resource of its kind. Raises ClusterError."""
        resource = self.inventory.get(kind, namespace, name)
        return self._list(resource.reference, self.edge_items(resource))

    # --- lists ---

    def selected(self, kind: Kind, namespace: str, selector: str) -> list[Resource]:
        """Return the resources that a label selector lets into a list."""
        return self.inventory.find(kind, namespace, selector)

    def selector(self, selector: str) -> Json:
        """Return how a list names the label selector that it was asked for with."""
        return {"selector": label_selector(selector)} if selector else {}

    def list_resource(self, kind: Kind, namespace: str) -> Json:
        """Return what a list by kind says of itself."""
        place = {"namespace": namespace} if namespace else {}
        return {"kind": kind.kind, "apiVersion": self.inventory.api_version(kind), **place}

    def _list(self, resource: Json, items: Sequence[Json]) -> Json:
        return {"kind": "TrafficMetricsList", "apiVersion": API_VERSION, "metadata": {}, "resource": resource,
                "items": list(items)}

    # --- items ---

    def items(self, resources: Sequence[Resource]) -> Sequence[Json]:
        """Return the items of these resources: one each, or one for each backend of a TrafficSplit."""
        return [item for resource in resources for item in
                (self.backends(resource) if resource.kind == SPLIT else [self.received(resource)])]

    def received(self, resource: Resource) -> Json:
        """Return the metrics of everything that a resource's pods received."""
        return self.item(resource, self.edge("server", {}), self.seen(resource, "server"))

    def edge_items(self, resource: Resource) -> Sequence[Json]:
        """Return an item for each resource and direction that there was traffic with."""
        if resource.kind == SPLIT:
            return [self.item(resource, self.edge("client", peer.reference, "from"), seen, self.backend(resource, name))
                    for name, every in self.by_backend(resource).items()
                    for peer, seen in self.by_sender(every).items()]
        return [self.item(resource, self.edge(side, peer.reference), seen) for side in DIRECTIONS
                for peer, seen in self.by_peer(resource, side, self.seen(resource, side)).items()]

    def backends(self, split: Resource) -> Sequence[Json]:
        """Return an item for each backend of a split."""
        return [self.item(split, self.edge("client", {}, "from"), seen, self.backend(split, name))
                for name, seen in self.by_backend(split).items()]

    def item(self, resource: Resource, edge: Json, seen: Sequence[Seen], backend: Json | None = None) -> Json:
        """Return one TrafficMetrics object."""
        place = {"namespace": resource.namespace} if resource.namespace else {}
        own = {"backend": backend} if backend else {}
        return {
            "kind": "TrafficMetrics", "apiVersion": API_VERSION, "metadata": {"name": resource.name, **place},
            "resource": resource.reference, "edge": edge, **own, "timestamp": timestamp(self.now),
            "window": f"{WINDOW}s", "metrics": self.figures(resource, seen),
        }

    def edge(self, side: Side, resource: Mapping[str, str], direction: str = "") -> Json:
        """Return an item's edge, with the other end of the traffic; empty for all traffic."""
        return {"direction": direction or DIRECTIONS[side], "side": side, "resource": dict(resource)}

    # --- which traffic ---

    def pods(self, resource: Resource) -> list[PodView]:
        """Return the pods whose metrics make up a resource's (METRIC-008)."""
        return self.inventory.pods_of(resource)

    def interval(self, resource: Resource) -> tuple[float, float]:  # noqa: ARG002
        """Return from when to when requests count, in seconds since the epoch."""
        return self.now - WINDOW, self.now

    def seen(self, resource: Resource, side: Side) -> list[Seen]:
        """Return what the proxies of a resource's pods saw as client or as server."""
        return [seen for seen in self._seen(self.pods(resource), *self.interval(resource)) if seen.flow.side == side]

    def by_peer(self, resource: Resource, side: Side, every: Sequence[Seen]) -> dict[Resource, list[Seen]]:  # noqa: ARG002
        """Return the other resources of the same kind, each with the requests exchanged with it (METRIC-012)."""
        addresses = {pod.address: pod for pod in self.inventory.pods}
        found: dict[Resource, list[Seen]] = defaultdict(list)
        others = self.inventory.find(resource.kind)
        for seen in every:
            pod = addresses.get(seen.flow.peer)
            for other in others if pod else ():
                if pod and contains(other, pod):
                    found[other].append(seen)
        return found

    def by_backend(self, split: Resource) -> dict[str, list[Seen]]:
        """Return the backends of a split, each with the requests for the apex that it took (METRIC-013)."""
        if split.split is None:
            return {}
        found: dict[str, list[Seen]] = {backend.service: [] for backend in split.split.backends}
        apex = f"{split.namespace}/{split.split.root}"
        for seen in self._seen(self.inventory.pods, *self.interval(split)):
            namespace, _, name = seen.flow.backend.partition("/")
            if seen.flow.service == apex and namespace == split.namespace and name in found:
                found[name].append(seen)
        return found

    def by_sender(self, every: Sequence[Seen]) -> dict[Resource, list[Seen]]:
        """Return the pods that sent requests, each with its own."""
        found: dict[Resource, list[Seen]] = defaultdict(list)
        for seen in every:
            pod = seen.pod
            found[Resource(POD, pod.namespace, pod.name, pod.uid, POD.api_version)].append(seen)
        return found

    def backend(self, split: Resource, name: str) -> Json:
        """Return what an item says of the backend that it is about."""
        assert split.split is not None
        entry = next(entry for entry in split.split.backends if entry.service == name)
        return {"apex": split.split.root, "name": name, "weight": self.weight(entry)}

    def weight(self, backend: Backend) -> int | float:
        """Return a backend's weight as the split states it."""
        return int(backend.weight) if backend.weight.denominator == 1 else float(backend.weight)

    def _seen(self, pods: Iterable[PodView], since: float, until: float) -> list[Seen]:
        meshed = {pod.uid: pod for pod in pods if pod.meshed}
        flows = self._observe([(pod.namespace, pod.uid) for pod in meshed.values()], since, until)
        return [Seen(meshed[uid], flow, seconds) for uid, found in flows.items() for flow, seconds in found]

    # --- the figures ---

    def figures(self, resource: Resource, every: Sequence[Seen]) -> list[Json]:
        """Return the values of an item: latency percentiles, and how many requests succeeded and failed."""
        seconds = sorted(value for seen in every for value in seen.seconds)
        success, failure = self.counts(resource, every)
        return [
            *({"name": self.latency_name(percent), **self.latency(seconds, percent)} for percent in PERCENTILES),
            {"name": "success_count", "value": str(success)}, {"name": "failure_count", "value": str(failure)},
        ]

    def counts(self, resource: Resource, every: Sequence[Seen]) -> tuple[int, int]:  # noqa: ARG002
        """Return how many requests succeeded and how many failed."""
        success = sum(len(seen.seconds) for seen in every if seen.flow.success)
        return success, sum(len(seen.seconds) for seen in every) - success

    def latency_name(self, percent: int) -> str:
        """Return the name of a percentile's value."""
        return f"p{percent}_response_latency"

    def latency(self, seconds: Sequence[float], percent: int) -> Json:
        """Return unit and value of a percentile; whole milliseconds, as the specification's examples have."""
        return {"unit": "seconds", "value": f"{math.ceil(1000 * percentile(seconds, percent))}m"}

    # --- who may ask ---

    def admits(self, user: str, groups: Sequence[str]) -> bool:  # noqa: ARG002
        """Tell whether a user is answered: the API server has authorised whoever gets here (METRIC-014)."""
        return True


def percentile(ascending: Sequence[float], percent: int) -> float:
    """Return the smallest value that is not below `percent` % of them (nearest rank); 0 without any."""
    return ascending[math.ceil(len(ascending) * percent / 100) - 1] if ascending else 0.0


def timestamp(seconds: float) -> str:
    """Return a time as the Kubernetes API writes it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
