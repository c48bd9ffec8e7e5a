"""How long a change of configuration takes to have an effect, drawn many times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance import smi
from conformance.agents import Agent
from conformance.cluster import Object
from conformance.objects import Objects, Services
from conformance.service import HTTP_PORT, Service
from conformance.smi import ServedApis
from conformance.topology import Topology
from conformance.traffic import Answer, Batch, Request
from conformance.waiting import NotYet, eventually

WITHIN: Final = 60.0
"""Seconds that a change may take; the mesh's own limit is judged by the SMI suite, here the figure is what counts."""
SMALLEST_PAUSE: Final = 0.002


@dataclass
class Effects:
    """Changes a TrafficSplit to and fro and times each change, from sending it to the first answer that shows it.

    The times end with an answer that a client in the mesh got, so they include one request through the API server.
    """

    topology: Topology
    apis: ServedApis
    objects: Objects
    services: Services
    _batches: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def draws(self, count: int) -> list[float]:
        """Return the seconds that `count` changes took. Raises NotConverged when one never has an effect."""
        root, backends, split = self._apply({"v2": 100, "v3": 0})
        self.until_answered_by(root, backends[0])
        taken = []
        for number in range(count):
            old, new = backends[number % 2], backends[(number + 1) % 2]
            change = {"backends": [{"service": new.name, "weight": 100}, {"service": old.name, "weight": 0}]}
            begun = time.monotonic()
            self.objects.change(split, change)
            self.until_answered_by(root, new)
            taken.append(time.monotonic() - begun)
            # The next change must not meet the tail of this one: other proxies may still be taking it in.
            time.sleep(0.1)
        return taken

    def split(self, weights: Mapping[str, int]) -> tuple[Service, Service]:
        """Divide a Service's traffic between workloads, once it is in effect; return it and the last one's Service."""
        root, backends, _ = self._apply(weights)
        self.until_answered_by(root, backends[-1])
        return root, backends[-1]

    def _apply(self, weights: Mapping[str, int]) -> tuple[Service, list[Service], Object]:
        root = self.services("root", next(iter(weights)))
        backends = {self.services("backend", workload): weight for workload, weight in weights.items()}
        named = {service.name: weight for service, weight in backends.items()}
        split = smi.traffic_split(self.apis, self.objects.name("split"), root.namespace, root.name, named)
        self.objects.create(split)
        return root, list(backends), split

    def until_answered_by(self, root: Service, backend: Service) -> None:
        """Wait until a client in the mesh gets its answers from a backend's pods."""
        wanted = {self.topology.pod(workload).name for workload in backend.workloads}
        first_answer(self.topology.agent("client"), root.hosts[0], lambda pod: pod in wanted, self._batches)


def first_answer(
    agent: Agent, host: str, wanted: Callable[[str | None], bool], numbers: itertools.count[int],
    what: str = "the change to have an effect",
) -> None:
    """Ask one request at a time, each with a connection of its own, until an answer comes from a wanted pod.

    Raises NotConverged, AgentError.
    """
    def look() -> None:
        batch = Batch(f"effect-{next(numbers)}", (Request(f"http://{host}:{HTTP_PORT}/"),), count=1, timeout=5.0)
        outcome = agent.run(batch).outcomes[0]
        if not isinstance(outcome, Answer) or outcome.status != 200 or not wanted(outcome.pod):
            raise NotYet(str(outcome))

    eventually(look, what=what, within=WITHIN, consecutive=1, interval=SMALLEST_PAUSE, longest=SMALLEST_PAUSE)
