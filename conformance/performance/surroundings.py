"""Where a performance run takes place, read from the cluster: what has to be equal for two runs to be compared."""

from __future__ import annotations

import time
from typing import Any

from conformance import __version__
from conformance.cluster import Cluster
from conformance.metrics import quantity
from conformance.performance.model import LOAD_PODS, Environment, Node, RunHeader
from conformance.performance.smp.config import TestConfig
from conformance.performance.smp.result import TEST_ID
from conformance.topology import Topology


def look_around(
    topology: Topology, command: str, seed: int, config: TestConfig | None = None, load_pods: int = 1,
) -> RunHeader:
    """Return the header of a run on this topology. Raises ClusterError."""
    mesh = topology.mesh
    labels = {TEST_ID: config.id} if config and config.id else {}
    labels |= {LOAD_PODS: str(load_pods)} if load_pods > 1 else {}
    return RunHeader(
        run=topology.run, started=time.time(), harness=__version__, mesh=mesh.name, mesh_title=mesh.title,
        mesh_version=mesh.version(topology.cluster) or "unknown", environment=environment(topology.cluster), seed=seed,
        command=command, labels=labels,
    )


def environment(cluster: Cluster) -> Environment:
    """Read the cluster's version and nodes. Raises ClusterError."""
    nodes = tuple(sorted((_node(node) for node in cluster.nodes()), key=lambda node: node.name))
    return Environment(cluster.name, cluster.version(), nodes)


def _node(node: dict[str, Any]) -> Node:
    capacity, info = node["status"].get("capacity", {}), node["status"].get("nodeInfo", {})
    return Node(node["metadata"]["name"], int(quantity(str(capacity.get("cpu", "0")))),
                int(quantity(str(capacity.get("memory", "0")))), info.get("kernelVersion", ""),
                info.get("architecture", ""))
