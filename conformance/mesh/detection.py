"""How a mesh is found in a cluster: by workloads of its control plane, and the tag of one container's image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from conformance.cluster import Cluster, NotFound, Object

_PLURALS: Final = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}
UNTAGGED: Final = "untagged"
ANY: Final = "*"
"""Stands in a sign for the name of any instance; no name and no value of a label has one."""


@dataclass(frozen=True)
class Sign:
    """A workload that shows that a mesh is there.

    It is known by its name, its labels or both, in one of `namespaces`, or anywhere without any. `container` is the
    one whose image tells the version; the first one where it is not named.
    """

    kind: str
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ()
    container: str = ""

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in self.labels.items())
        where = f" in {' or '.join(self.namespaces)}" if self.namespaces else " in any namespace"
        return f"{self.kind} {' '.join(filter(None, (self.name, labels)))}{where}"

    def workloads(self, cluster: Cluster) -> list[Object]:
        """Return the workloads that are such a sign. Raises ClusterError."""
        if self.name and self.namespaces and ANY not in self.name + "".join(self.namespaces):
            named = (self._named(cluster, namespace) for namespace in self.namespaces)
            return [workload for workload in named if workload]
        selector = ",".join(key if ANY in value else f"{key}={value}" for key, value in self.labels.items())
        try:
            found = [
                workload for namespace in self.namespaces or (ANY,)
                for workload in cluster.list("apps/v1", _PLURALS[self.kind], None if ANY in namespace else namespace,
                                             labels=selector)[0]
            ]
        except NotFound:  # a cluster that does not serve the kind has no workload of it
            return []
        return [workload for workload in found
                if not self.name or fnmatchcase(workload["metadata"]["name"], self.name)]

    def is_shown_by(self, obj: Object) -> bool:
        """Tell whether an object would be such a sign, once applied where the mesh belongs."""
        metadata = obj["metadata"]
        return (obj["kind"] == self.kind and self.name in ("", metadata["name"])
                and self.labels.items() <= (metadata.get("labels") or {}).items())

    def version(self, workload: Object) -> str:
        """Return the version that a workload runs: its image's tag."""
        containers = workload["spec"]["template"]["spec"]["containers"]
        images = [entry["image"] for entry in containers if self.container in ("", entry["name"])]
        return tag(images[0]) if images else UNTAGGED

    def _named(self, cluster: Cluster, namespace: str) -> Object | None:
        try:
            found = cluster.get("apps/v1", self.kind, self.name, namespace)
        except NotFound:
            return None
        carried = found["metadata"].get("labels") or {}
        return found if self.labels.items() <= carried.items() else None


@dataclass(frozen=True)
class Installation:
    """A mesh that was found: where, by which workload, in which version."""

    namespace: str
    workload: str
    version: str


def find(cluster: Cluster, signs: Sequence[Sign]) -> tuple[Installation, ...]:
    """Return the installations that the first sign shows, if every other sign is there as well. Raises ClusterError."""
    if not signs:
        return ()
    found = [sign.workloads(cluster) for sign in signs]
    if not all(found):
        return ()
    return tuple(
        Installation(workload["metadata"]["namespace"], workload["metadata"]["name"], signs[0].version(workload))
        for workload in found[0]
    )


def tag(image: str) -> str:
    """Return the tag of an image's reference, or `untagged`. A digest is no version."""
    name = image.partition("@")[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else UNTAGGED
