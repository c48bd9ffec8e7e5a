"""Mutants that tell the wrong things of their traffic: in lists, on edges, of splits, in figures, to users."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from conformance.sandbox.mutants.mutant import Objects
from conformance.sandbox.reference.access_log import Side
from conformance.sandbox.reference.metrics import WINDOW, Json, Metrics, Seen
from conformance.sandbox.reference.metrics_inventory import DEPLOYMENT, POD, Kind, PodView, Resource
from conformance.sandbox.reference.metrics_selector import label_selector
from conformance.sandbox.reference.model import Backend

# --- METRIC-008 to 010: aggregates and lists ---


class NoAggregates(Metrics):
    """Has no metrics of deployments and services."""

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in super().kinds() if kind.plural not in ("deployments", "services"))


class FirstPodOnly(Metrics):
    """Takes the first pod of a resource for all of it."""

    def pods(self, resource: Resource) -> list[PodView]:
        return super().pods(resource)[:1]


class Averages(Metrics):
    """Gives the mean over a resource's pods instead of their sum."""

    def counts(self, resource: Resource, every: Sequence[Seen]) -> tuple[int, int]:
        success, failure = super().counts(resource, every)
        pods = max(1, len({seen.pod.uid for seen in every})) if resource.kind != POD else 1
        return success // pods, failure // pods


class ListNamesItem(Metrics):
    """Names a resource where a list by kind says what it lists."""

    def list_resource(self, kind: Kind, namespace: str) -> Json:
        return super().list_resource(kind, namespace) | {"name": kind.plural}


class EveryNamespace(Metrics):
    """Lists the resources of all namespaces, whichever was asked for."""

    def selected(self, kind: Kind, namespace: str, selector: str) -> list[Resource]:  # noqa: ARG002
        return super().selected(kind, "", selector)


class SelectorIgnored(Metrics):
    """Lists all resources, whatever the label selector."""

    def selected(self, kind: Kind, namespace: str, selector: str) -> list[Resource]:  # noqa: ARG002
        return super().selected(kind, namespace, "")


class SelectorHidden(Metrics):
    """Does not say which label selector a list is for."""

    def selector(self, selector: str) -> Json:  # noqa: ARG002
        return {}


class SelectorOnTraffic(Metrics):
    """Counts in a list with a label selector only the traffic of clients that have the labels as well."""

    def all_of(self, kind: Kind, namespace: str, selector: str) -> Json:
        self._labels = label_selector(selector).get("matchLabels", {})
        return super().all_of(kind, namespace, selector)

    def seen(self, resource: Resource, side: Side) -> list[Seen]:
        wanted = getattr(self, "_labels", {}).items()
        chosen = {pod.address for pod in self.inventory.pods if wanted <= pod.labels.items()}
        return [seen for seen in super().seen(resource, side) if not wanted or seen.flow.peer in chosen]


# --- METRIC-011 and 012: edges ---


class EdgesOfKind(Metrics):
    """Says of a resource's edges that they are those of its kind."""

    def edges(self, kind: Kind, namespace: str, name: str) -> Json:
        return super().edges(kind, namespace, name) | {"resource": self.list_resource(kind, namespace)}


class NoEdges(Metrics):
    """Knows no edges."""

    def edge_items(self, resource: Resource) -> Sequence[Json]:  # noqa: ARG002
        return []


class EdgesWithEverything(Metrics):
    """Shows an edge with every resource of the namespace, traffic or not."""

    def by_peer(self, resource: Resource, side: Side, every: Sequence[Seen]) -> dict[Resource, list[Seen]]:
        others = self.inventory.find(resource.kind, resource.namespace)
        nothing: dict[Resource, list[Seen]] = {other: [] for other in others}
        return nothing | super().by_peer(resource, side, every)


class EdgesOfAllTraffic(Metrics):
    """Shows on each edge all traffic of the resource."""

    def by_peer(self, resource: Resource, side: Side, every: Sequence[Seen]) -> dict[Resource, list[Seen]]:
        return {peer: list(every) for peer in super().by_peer(resource, side, every)}


# --- METRIC-013: splits ---


class WithoutApex(Metrics):
    """Does not name the apex of a split."""

    def backend(self, split: Resource, name: str) -> Json:
        return super().backend(split, name) | {"apex": ""}


class Percentages(Metrics):
    """Gives weights in per cent of their sum."""

    def backend(self, split: Resource, name: str) -> Json:
        found = super().backend(split, name)
        total = sum((entry.weight for entry in split.split.backends), Fraction(0)) if split.split else Fraction(0)
        return found | {"weight": round(100 * Fraction(found["weight"]) / total) if total else 0}


class FirstBackendOnly(Metrics):
    """Has metrics of the first backend of a split only."""

    def backends(self, split: Resource) -> Sequence[Json]:
        return super().backends(split)[:1]


class BackendsTurned(Metrics):
    """Takes the weights of a split's backends from the next one in the list."""

    def backend(self, split: Resource, name: str) -> Json:
        assert split.split is not None
        entries = split.split.backends
        at = [entry.service for entry in entries].index(name)
        following: Backend = entries[(at + 1) % len(entries)]
        return super().backend(split, name) | {"weight": self.weight(following)}


# --- METRIC-014: who may ask ---


def open_to_all(objects: Objects) -> Objects:
    """Let every authenticated user read all metrics."""
    name, group = "everybody-reads-metrics", "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": ["metrics.smi-spec.io"], "resources": ["*"], "verbs": ["get", "list"]}]}
    binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
               "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
               "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:authenticated"}]}
    return [*objects, role, binding]


class ServiceAccountsRefused(Metrics):
    """Refuses service accounts, whatever their roles."""

    def admits(self, user: str, groups: Sequence[str]) -> bool:  # noqa: ARG002
        return not user.startswith("system:serviceaccount:")


# --- METRIC-015: the figures ---


class SuccessesOnly(Metrics):
    """Counts only successes."""

    def counts(self, resource: Resource, every: Sequence[Seen]) -> tuple[int, int]:
        return super().counts(resource, every)[0], 0


class FailureRate(Metrics):
    """Gives failures as a rate per second."""

    def counts(self, resource: Resource, every: Sequence[Seen]) -> tuple[int, int]:
        success, failure = super().counts(resource, every)
        return success, failure // WINDOW


class FailuresAreSuccesses(Metrics):
    """Counts every request that was answered as a success."""

    def counts(self, resource: Resource, every: Sequence[Seen]) -> tuple[int, int]:
        return sum(super().counts(resource, every)), 0


class WindowBefore(Metrics):
    """Reports of a deployment of one pod what was in the window before."""

    def interval(self, resource: Resource) -> tuple[float, float]:
        since, until = super().interval(resource)
        late = WINDOW if resource.kind == DEPLOYMENT and len(self.pods(resource)) == 1 else 0
        return since - late, until - late


class PercentilesSwapped(Metrics):
    """Takes the median for the 99th percentile, and the reverse."""

    def latency(self, seconds: Sequence[float], percent: int) -> Json:
        return super().latency(seconds, {99: 50, 50: 99}.get(percent, percent))


class MeanLatency(Metrics):
    """Gives the mean latency as every percentile."""

    def figures(self, resource: Resource, every: Sequence[Seen]) -> list[Json]:
        size = sum(len(seen.seconds) for seen in every)
        mean = sum(sum(seen.seconds) for seen in every) / size if size else 0.0
        even = [replace(seen, seconds=array("f", [mean]) * len(seen.seconds)) for seen in every]
        return super().figures(resource, even)
