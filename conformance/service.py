"""A Service of a test: the object that is applied, and what an answer through it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.cluster import Object

HTTP_PORT: Final = 8080
WORKLOAD_LABEL: Final = "workload"
DEFAULT_PORTS: Final[Mapping[str, tuple[int, int]]] = {"http": (HTTP_PORT, HTTP_PORT)}


@dataclass(frozen=True)
class Service:
    """A Service by which clients reach sample workloads.

    `workloads` are the names of the workloads whose pods it selects, `ports` maps a TCP port's name to its number
    and targetPort, `udp` those of UDP, `hosts` are the names under which clients may know it, the usual one first.
    """

    name: str
    namespace: str
    hosts: tuple[str, ...]
    workloads: frozenset[str]
    selector: Mapping[str, str] = field(hash=False)
    ports: Mapping[str, tuple[int, int]] = field(default_factory=lambda: dict(DEFAULT_PORTS), hash=False)
    type: str = "ClusterIP"
    udp: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)

    def endpoints(self, port: int) -> frozenset[tuple[str, int]]:
        """Return the `(workload, port)` pairs that may answer a call to `port` of this Service."""
        targets = {target for number, target in (*self.ports.values(), *self.udp.values()) if number == port}
        return frozenset((workload, target) for workload in self.workloads for target in targets)

    def manifest(self) -> Object:
        """Return the Kubernetes object."""
        ports = [
            {"name": name, "port": port, "targetPort": target, "protocol": protocol}
            for protocol, numbers in (("TCP", self.ports), ("UDP", self.udp))
            for name, (port, target) in numbers.items()
        ]
        spec = {"type": self.type, "selector": dict(self.selector), "ports": ports}
        return {"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": self.name, "namespace": self.namespace}, "spec": spec}


def cluster_names(name: str, namespace: str) -> tuple[str, ...]:
    """Return the names of a Service in cluster DNS, for clients in the same namespace."""
    return (f"{name}.{namespace}", name, f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
