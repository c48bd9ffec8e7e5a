"""A beacon: a change made right after another one, whose effect shows that the mesh has taken both in.

Some checks expect traffic to stay as it is (weight 0, a backend that is missing). Looking at that traffic cannot
tell a mesh that does right from one that has not noticed yet, so a split of a Service of its own is created after
the change under test and waited for at every client; an HTTPRoute where that is what is changed. A mesh on which it
never takes effect is given its whole documented limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.client import Call, Client
from conformance.cluster import Object
from conformance.evidence import Evidence
from conformance.expect import Expectation, Only
from conformance.objects import Objects, Services
from conformance.service import Service
from conformance.waiting import NotConverged, Progress, eventually

Lit = Callable[[str, Service, Sequence[Service]], Object]
"""Renders what divides the traffic for a Service over others: the name of the object, the Service, the others."""


class Beacon:
    """Lights a new beacon for each change of one check. `lit` renders it: an object of the kind that is changed."""

    def __init__(
        self, objects: Objects, services: Services, lit: Lit, clients: Sequence[Client],
        backends: tuple[Service, Service], within: float, evidence: Evidence, progress: Progress | None = None,
    ) -> None:
        self._objects = objects
        self._services = services
        self._lit = lit
        self._clients = clients
        self._backends = backends
        self._within = within
        self._evidence = evidence
        self._progress = progress

    def __call__(self) -> None:
        """Wait until a beacon that is created now is in effect at every client, at most the mesh's limit."""
        root = self._services("beacon", "v1")
        beacon = self._lit(self._objects.name("beacon"), root, self._backends)
        self._objects.create(beacon)
        what = "a new split" if beacon["kind"] == "TrafficSplit" else f"a new {beacon['kind']}"
        until_lit(what, self._clients, Call(root.hosts[0]), Only(*self._backends), 4, within=self._within,
                  evidence=self._evidence, progress=self._progress)


def until_lit(
    what: str, clients: Sequence[Client], call: Call, lit: Expectation, requests: int, *, within: float,
    evidence: Evidence, progress: Progress | None = None,
) -> None:
    """Wait until a call goes as it does when a beacon is lit, for every client, and record how long that took.

    Each look sends so many `requests` per client. A beacon that is not lit `within` the mesh's limit (seconds) is
    recorded, and no more: the check judges.
    """
    def look() -> None:
        for client in clients:
            lit.plausible(client.probe(call, requests))

    try:
        waited = eventually(look, what=f"{what} to be in effect", within=within, consecutive=2, interval=0.015,
                            longest=0.1, progress=progress)
    except NotConverged as error:
        evidence.took(f"{what}: not in effect", error.seconds, error.probes)
    else:
        evidence.took(f"{what} in effect at every client", waited.seconds, waited.probes)
