"""When new Services have arrived at the cluster: its DNS names them, and its nodes send their traffic on.

Nodes take up to a second for that, at kube-proxy's own pace, and it is none of the mesh's doing. Who connects before
then waits in vain; worse, the kernel remembers the attempt for two minutes, and what is sent later from the same port
is lost as well. So nobody connects to the Services of a check before one that was created after them, and that has
nothing to do with the mesh, answers: nodes learn of Services in the order of their creation.
"""

from __future__ import annotations

import itertools
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Final

from conformance.agents import AgentError
from conformance.service import HTTP_PORT, WORKLOAD_LABEL, Service, cluster_names
from conformance.traffic import Answer, Batch, Request
from conformance.waiting import NotYet, Progress, eventually

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.topology import Topology

WITHIN: Final = 30.0
_PATIENCE: Final = 0.25  # seconds for one attempt: what has not come by then never will


class Arrival:
    """Knows whether Services were created since the last look, and waits for them."""

    def __init__(self, cluster: Cluster, labels: Object, progress: Progress | None = None) -> None:
        self._cluster = cluster
        self._labels = labels
        self._progress = progress
        self._numbers = itertools.count(1)
        self._due = False
        self._lock = Lock()

    def expect(self) -> None:
        """Note that a Service was created."""
        self._due = True

    def wait(self, topology: Topology) -> None:
        """Wait until the Services that were created so far can be reached, as far as the cluster is concerned.

        Raises NotConverged, ClusterError. Does nothing where no workload is outside the mesh.
        """
        with self._lock:
            outside = topology.outside()
            if self._due and outside:
                self._follow(topology, outside[0], outside[-1])
            self._due = False

    def _follow(self, topology: Topology, client: str, server: str) -> None:
        name, pod = f"arrival-{next(self._numbers)}", topology.pod(server)
        host = cluster_names(name, pod.namespace)[0]
        described = Service(name, pod.namespace, (host,), frozenset([server]), {WORKLOAD_LABEL: server}).manifest()
        service = described | {"metadata": described["metadata"] | {"labels": self._labels}}
        scout, request = topology.agent(client), Request(f"http://{host}:{HTTP_PORT}/")

        def look() -> None:
            batch = Batch(name, (request,), count=1, concurrency=1, timeout=_PATIENCE, deadline=4 * _PATIENCE)
            try:
                (outcome,) = scout.run(batch).counts
            except AgentError as error:
                raise NotYet(str(error)) from error
            if not isinstance(outcome, Answer) or outcome.status != HTTPStatus.OK:
                raise NotYet(f"{client} asks it: {outcome}")

        self._cluster.create(service)
        try:
            eventually(look, what=f"the cluster to know a new Service, {host}", within=WITHIN, consecutive=1,
                       interval=0.01, longest=0.1, progress=self._progress)
        finally:
            self._cluster.delete(service)
