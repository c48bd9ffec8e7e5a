"""The resources that metrics are told of, and the pods that each contains, as the API server says when it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from conformance import smi
from conformance.cluster import Cluster, NotFound
from conformance.sandbox.reference import parse
from conformance.sandbox.reference.fields import Malformed
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.model import Split

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of resource, in the API where its objects are."""

    plural: str
    kind: str
    api_version: str
    namespaced: bool = True


POD: Final = Kind("pods", "Pod", "v1")
NAMESPACE: Final = Kind("namespaces", "Namespace", "v1", namespaced=False)
NODE: Final = Kind("nodes", "Node", "v1", namespaced=False)
SERVICE: Final = Kind("services", "Service", "v1")
DEPLOYMENT: Final = Kind("deployments", "Deployment", "apps/v1")
REPLICA_SET: Final = Kind("replicasets", "ReplicaSet", "apps/v1")
SPLIT: Final = Kind("trafficsplits", "TrafficSplit", smi.SPLIT)
"""Its version is asked for: the newest that is served."""
KINDS: Final[Mapping[str, Kind]] = {kind.plural: kind for kind in (
    NAMESPACE, NODE, POD, Kind("replicationcontrollers", "ReplicationController", "v1"), SERVICE,
    Kind("daemonsets", "DaemonSet", "apps/v1"), DEPLOYMENT, REPLICA_SET,
    Kind("statefulsets", "StatefulSet", "apps/v1"), Kind("jobs", "Job", "batch/v1"), SPLIT,
)}


@dataclass(frozen=True)
class Resource:
    """One object that metrics are told of; `split` is set for a TrafficSplit."""

    kind: Kind
    namespace: str
    name: str
    uid: str = ""
    api_version: str = ""
    selector: Mapping[str, str] = field(default_factory=dict, compare=False)
    split: Split | None = field(default=None, compare=False)

    @property
    def reference(self) -> dict[str, str]:
        """The object as an ObjectReference."""
        place = {"namespace": self.namespace} if self.namespace else {}
        return {"kind": self.kind.kind, "apiVersion": self.api_version, "name": self.name, **place}


@dataclass(frozen=True)
class PodView:
    """What tells to which resources a pod belongs; `address` is the one on the wire, `owners` are uids."""

    namespace: str
    name: str
    uid: str
    address: str
    node: str = ""
    meshed: bool = True
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    owners: frozenset[str] = frozenset()


class Inventory:
    """A look at the cluster for one question; each resource is read at most once.

    Methods raise ClusterError, NotFound among them for an object that does not exist.
    """

    def __init__(self, cluster: Cluster, interception: Interception) -> None:
        self._cluster = cluster
        self._interception = interception

    def find(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Resource]:
        """Return the objects of a kind, those with the labels that a selector asks for.

        There are none of a kind that the cluster does not serve.
        """
        api_version = self.api_version(kind)
        if not api_version:
            return []
        try:
            items, _ = self._cluster.list(api_version, kind.plural, namespace or None, labels=labels)
        except NotFound:
            return []
        return [_resource(kind, {"apiVersion": api_version} | item) for item in items]

    def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        """Return one object."""
        api_version = self.api_version(kind)
        if not api_version:
            raise NotFound(f"reading {kind.plural}", f"the cluster serves no {kind.plural}", code=404)
        obj = self._cluster.get(api_version, kind.kind, name, namespace or None)
        return _resource(kind, {"apiVersion": api_version} | obj)

    @cached_property
    def pods(self) -> list[PodView]:
        """All pods that have an address."""
        items, _ = self._cluster.list("v1", "pods")
        sets, _ = self._cluster.list("apps/v1", "replicasets")
        above = {item["metadata"]["uid"]: _owners(item) for item in sets}
        return [pod for item in items if (pod := self._pod(item, above))]

    def pods_of(self, resource: Resource) -> list[PodView]:
        """Return the pods that a resource contains."""
        return [pod for pod in self.pods if contains(resource, pod)]

    def _pod(self, item: Json, above: Mapping[str, frozenset[str]]) -> PodView | None:
        metadata, address = item["metadata"], (item.get("status") or {}).get("podIP")
        wire = self._interception.wire(address) if address else ""
        if not wire:
            return None
        owners = _owners(item)
        # A deployment owns the pods of its replica sets.
        owners = owners.union(*(above.get(owner, frozenset()) for owner in owners))
        labels = metadata.get("labels") or {}
        return PodView(metadata["namespace"], metadata["name"], metadata["uid"], wire,
                       item["spec"].get("nodeName", ""), labels.get(parse.PROXY_LABEL) == "enabled", labels, owners)

    def api_version(self, kind: Kind) -> str:
        """Return where a kind's objects are served; empty for TrafficSplits that are not."""
        if kind != SPLIT:
            return kind.api_version
        served = self._cluster.served(smi.SPLIT)
        version = next((version for version in smi.GENERATIONS if version in served), "")
        return f"{smi.SPLIT}/{version}" if version else ""


def contains(resource: Resource, pod: PodView) -> bool:
    """Tell whether a pod is part of a resource. A Service contains the pods that it selects."""
    match resource.kind.kind:
        case "Pod":
            return resource.uid == pod.uid
        case "Namespace":
            return resource.name == pod.namespace
        case "Node":
            return resource.name == pod.node
        case "Service":
            return bool(resource.selector) and resource.namespace == pod.namespace \
                and resource.selector.items() <= pod.labels.items()
    return resource.uid in pod.owners


def _resource(kind: Kind, obj: Json) -> Resource:
    metadata = obj["metadata"]
    selector = (obj.get("spec") or {}).get("selector") if kind == SERVICE else None
    split = None
    if kind == SPLIT:
        try:
            split = parse.split(obj)
        except Malformed:
            split = None  # it has no effect, and so no traffic; an event says so
    return Resource(kind, metadata.get("namespace", ""), metadata["name"], metadata.get("uid", ""),
                    obj["apiVersion"], selector or {}, split)


def _owners(item: Json) -> frozenset[str]:
    return frozenset(owner["uid"] for owner in item["metadata"].get("ownerReferences") or ())
