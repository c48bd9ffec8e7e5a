"""Mutants whose metrics API, or one of its objects, has the wrong form."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final

from conformance.sandbox.mutants.mutant import Objects
from conformance.sandbox.reference.access_log import Side
from conformance.sandbox.reference.metrics import DIRECTIONS, Json, Metrics, Seen
from conformance.sandbox.reference.metrics_inventory import KINDS, POD, Kind, Resource

_FIVE: Final = ("namespaces", "pods", "deployments", "daemonsets", "statefulsets")


# --- METRIC-001 to 003: the API itself ---


def without_endpoints(objects: Objects) -> Objects:
    """Let the Service of the metrics API select nothing."""
    changed = copy.deepcopy(objects)
    for obj in changed:
        if obj["kind"] == "Service":
            obj["spec"]["selector"] = {"app": "nobody"}
    return changed


class GetOnly(Metrics):
    """Says that metrics cannot be listed."""

    def verbs(self, kind: Kind) -> list[str]:  # noqa: ARG002
        return ["get"]


class KindOfResource(Metrics):
    """Says that the metrics of a resource are of that resource's own kind."""

    def discovery(self) -> Json:
        found = super().discovery()
        kinds = {kind.plural: kind.kind for kind in KINDS.values()}
        entries = [entry | {"kind": kinds.get(entry["name"], entry["kind"])} for entry in found["resources"]]
        return found | {"resources": entries}


class WithoutJobs(Metrics):
    """Has no metrics of jobs."""

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in super().kinds() if kind.plural != "jobs")


class FiveKinds(Metrics):
    """Has metrics of five kinds only."""

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(KINDS[plural] for plural in _FIVE)


# --- METRIC-004 to 007: one object ---


class WithoutWindow(Metrics):
    """Does not say over which window counts are."""

    def item(self, resource: Resource, edge: Json, seen: Sequence[Seen], backend: Json | None = None) -> Json:
        item = super().item(resource, edge, seen, backend)
        return {name: value for name, value in item.items() if name != "window"}


class WithoutSide(Metrics):
    """Leaves out at which side an edge was observed."""

    def edge(self, side: Side, resource: Mapping[str, str], direction: str = "") -> Json:
        edge = super().edge(side, resource, direction)
        return {name: value for name, value in edge.items() if name != "side"}


class Milliseconds(Metrics):
    """Gives latency in milliseconds."""

    def latency(self, seconds: Sequence[float], percent: int) -> Json:
        value = super().latency(seconds, percent)["value"]
        return {"unit": "ms", "value": value.removesuffix("m")}


class P95(Metrics):
    """Has the 95th percentile in place of the 90th."""

    def latency_name(self, percent: int) -> str:
        return super().latency_name(95 if percent == 90 else percent)


class SidesSwapped(Metrics):
    """Takes the client's side of an edge for the server's, and the reverse."""

    def edge_items(self, resource: Resource) -> Sequence[Json]:
        items = super().edge_items(resource)
        swapped = {"client": "server", "server": "client"}
        return [item | {"edge": item["edge"] | {"side": swapped[item["edge"]["side"]]}} for item in items]


class DirectionsMixed(Metrics):
    """Shows the traffic between two resources in both directions, whichever it went."""

    def edge_items(self, resource: Resource) -> Sequence[Json]:
        both = [*self.seen(resource, "server"), *self.seen(resource, "client")]
        return [self.item(resource, self.edge(side, peer.reference), seen) for side in DIRECTIONS
                for peer, seen in self.by_peer(resource, side, both).items()]


class FirstClientOnly(Metrics):
    """Counts in a resource's own metrics the traffic of one client only."""

    def received(self, resource: Resource) -> Json:
        every = self.seen(resource, "server")
        first = min((seen.flow.peer for seen in every), default="")
        return self.item(resource, self.edge("server", {}), [seen for seen in every if seen.flow.peer == first])


class ClientNamed(Metrics):
    """Names one client as the other end of all traffic that a pod received."""

    def received(self, resource: Resource) -> Json:
        item = super().received(resource)
        peers = self.by_peer(resource, "server", self.seen(resource, "server")) if resource.kind == POD else {}
        return item | {"edge": self.edge("server", next(iter(peers)).reference)} if len(peers) > 1 else item
