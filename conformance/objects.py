"""The objects of one check: named like nothing else, labelled, recorded, and removed at its end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from conformance.cluster import Cluster, ClusterError, Object, Rejected, describe
from conformance.evidence import Evidence
from conformance.service import DEFAULT_PORTS, WORKLOAD_LABEL, Service
from conformance.topology import RUN_LABEL, Topology
from conformance.waiting import NotYet, eventually


@dataclass
class Objects:
    """Applies objects for one check and takes them away again.

    `prefix` begins every name, so that nothing left over from another check can answer for this one.
    """

    cluster: Cluster
    run: str
    prefix: str
    evidence: Evidence
    _applied: list[Object] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def name(self, hint: str) -> str:
        """Return a name that no other object of the run has."""
        return f"{self.prefix}-{hint}-{next(self._numbers)}"

    def create(self, obj: Object) -> Object:
        """Create an object. Raises ClusterError, Rejected when validation or admission refuse it."""
        created = self.cluster.create(self._labelled(obj))
        self._applied.append(obj)
        self.evidence.wrote(obj)
        return created

    def change(self, obj: Object, spec: Object) -> None:
        """Replace fields of an object's spec, or of the object itself in versions that have none."""
        change = {"spec": spec} if "spec" in obj else spec
        self.cluster.patch(obj, change)
        self.evidence.wrote(obj | ({"spec": obj["spec"] | spec} if "spec" in obj else spec))

    def dry_run(self, obj: Object) -> None:
        """Let the server validate an object without storing it. Raises Rejected when it refuses."""
        self.cluster.create(self._labelled(obj), dry_run=True)

    def try_out(self, obj: Object) -> str:
        """Say whether the server would take an object."""
        try:
            self.dry_run(obj)
        except Rejected as refusal:
            return f"refused ({refusal.found})"
        except ClusterError as error:
            return f"could not be tried ({error.found})"
        return "accepted"

    def delete(self, obj: Object) -> None:
        """Delete an object before the check ends."""
        self.cluster.delete(obj)

    def remove(self, within: float = 30.0) -> None:
        """Delete all objects, the last first, and wait until they are gone."""
        for obj in reversed(self._applied):
            self.cluster.delete(obj)

        def gone() -> None:
            left = [describe(obj) for obj in self._applied if self.cluster.exists(obj)]
            if left:
                raise NotYet(f"still there: {', '.join(left)}")

        eventually(gone, what=f"the objects of {self.prefix} to go", within=within, consecutive=1)
        self._applied.clear()

    def _labelled(self, obj: Object) -> Object:
        labels = obj["metadata"].get("labels", {}) | {RUN_LABEL: self.run}
        return obj | {"metadata": obj["metadata"] | {"labels": labels}}


class Services:
    """Makes the Services of one check."""

    def __init__(self, objects: Objects, topology: Topology) -> None:
        self._objects = objects
        self._topology = topology

    def __call__(
        self, hint: str, workload: str = "", *, selector: Mapping[str, str] | None = None,
        ports: Mapping[str, tuple[int, int]] = DEFAULT_PORTS, type: str = "ClusterIP",  # noqa: A002 - Kubernetes' word
        role: str = "app",
    ) -> Service:
        """Create a Service that selects one workload's pods, or all that have the labels of `selector`.

        `role` is that of the namespace.
        """
        selector = selector or {WORKLOAD_LABEL: workload}
        return self.create(self._describe(self._objects.name(hint), role, selector, ports, type))

    def later(self, hint: str, workload: str) -> Service:
        """Describe a Service that will select one workload's pods, and is not created yet."""
        name = self._objects.name(hint)
        service = self._describe(name, "app", {WORKLOAD_LABEL: workload}, DEFAULT_PORTS, "ClusterIP")
        return replace(service, workloads=frozenset([workload]))

    def elsewhere(self, hint: str, workload: str) -> Service:
        """Create a Service in the namespace outside the mesh; its name here is `name.namespace`."""
        name = self._objects.name(hint)
        service = self.create(self._describe(name, "outside", {WORKLOAD_LABEL: workload}, DEFAULT_PORTS, "ClusterIP"))
        return replace(service, name=f"{service.name}.{service.namespace}")

    def create(self, service: Service) -> Service:
        """Create a Service that has been described."""
        self._objects.create(service.manifest())
        self._topology.service_created()
        return service

    def _describe(
        self, name: str, role: str, selector: Mapping[str, str], ports: Mapping[str, tuple[int, int]], kind: str,
    ) -> Service:
        namespace = self._topology.namespace(role)
        hosts = self._topology.hosts(name, namespace)
        return Service(name, namespace, hosts, self._topology.selected(selector, role), selector, ports, kind)
