"""A stage: a cluster with its mesh and the sample workloads, which a run finds standing and leaves standing.

Usually a run sets up its own. Who makes many short runs sets up one and lends it to each.
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.cluster import Cluster
from conformance.topology import Topology


@dataclass(frozen=True)
class Stage:
    """What is lent to a run: the cluster, and the workloads that stand there."""

    cluster: Cluster
    topology: Topology
