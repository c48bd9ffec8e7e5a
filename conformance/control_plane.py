"""The pods of a mesh's control plane, and what became of them while a check went on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from conformance.cluster import Cluster, Object
from conformance.cluster_errors import ClusterError
from conformance.mesh import Mesh
from conformance.pods import Pod, as_pod, has_restarted, is_ready, trouble_of


class ControlPlane:
    """The control plane of one mesh. Nothing is held against it before `watch`."""

    def __init__(self, cluster: Cluster, mesh: Mesh) -> None:
        self._cluster = cluster
        self._mesh = mesh
        self._known: tuple[Pod, ...] = ()

    def watch(self) -> None:
        """Take note of the pods, where they can be listed: what becomes of them is seen from now on."""
        self._known = ()
        with contextlib.suppress(ClusterError):
            self._known = _ready(self.pods())

    def pods(self) -> list[Object]:
        """Return the pods as the cluster has them. Raises ClusterError."""
        found = []
        for workload in self._mesh.control_plane:
            owner = self._cluster.get("apps/v1", workload.kind, workload.name, workload.namespace)
            wanted = owner["spec"]["selector"].get("matchLabels")
            if not wanted:
                raise ClusterError(f"listing the pods of {workload.kind} {workload.namespace}/{workload.name}",
                                   "it selects them without matchLabels")
            labels = ",".join(f"{name}={value}" for name, value in wanted.items())
            found += self._cluster.list("v1", "pods", workload.namespace, labels=labels)[0]
        return found

    def troubles(self) -> list[str]:
        """Say which pods are no longer as they were, but for one that ended by itself, which is the mesh's own doing.

        What is over is told once. Raises ClusterError.
        """
        if not self._known:
            return []
        found = {pod["metadata"]["name"]: pod for pod in self.pods()}
        troubles = [trouble_of(known, found.get(known.name)) for known in self._known
                    if known.name not in found or not has_restarted(known, found[known.name])]
        self._known = _ready(found.values()) or self._known
        return [f"{trouble} (control plane of {self._mesh.title})" for trouble in troubles if trouble]


def _ready(pods: Iterable[Object]) -> tuple[Pod, ...]:
    return tuple(as_pod(pod["metadata"]["name"], pod) for pod in pods if is_ready(pod))
