"""The traffic that a check of metrics sends, and what is known of it: who sent what to whom.

What a mesh reports is compared with what the suite knows: at the client's side with the answers that the client got,
at the server's side with what the servers saw. A tenth of the sample may be missing or double, because a mesh that
scrapes its proxies cuts a sample's edge.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from conformance.evidence import Evidence
from conformance.metrics import PERCENTILES, TrafficMetrics, window
from conformance.metrics_api import Subject
from conformance.outcome import Nonconformance
from conformance.service import HTTP_PORT, Service
from conformance.topology import Topology
from conformance.traffic import Answer, Batch, Latency, Request, Sample
from conformance.waiting import NotConverged, NotYet, Progress, eventually

T = TypeVar("T")

TOLERANCE: Final = 0.1
"""Share of a sample by which a reported count may differ."""
OK: Final = "/"
FAILING: Final = "/status/503"
SLOW: Final = "/delay/0.2"
SLOW_SECONDS: Final = 0.2
MARGIN: Final = 2.0
"""Seconds before the end of a window by which a sample must have been reported; its edges are not exact."""
USUAL_WINDOW: Final = 30.0
"""Seconds, where there is nothing yet that says."""
_CONCURRENCY: Final = 8


@dataclass(frozen=True)
class Count:
    """Successful and failed requests."""

    success: int = 0
    failure: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.success + self.failure

    def __add__(self, other: Count) -> Count:
        return Count(self.success + other.success, self.failure + other.failure)

    def __str__(self) -> str:
        return f"{self.success} successful and {self.failure} failed requests"

    def check(self, item: TrafficMetrics) -> None:
        """Hold that an item reports as many, give or take TOLERANCE. Raises Nonconformance."""
        allowed = TOLERANCE * self.total
        success, failure = item.counts
        if abs(success - self.success) > allowed or abs(failure - self.failure) > allowed:
            raise Nonconformance(f"{self} of {item.resource}, each give or take {allowed:g}", item.shown())


@dataclass
class Meter:
    """Sends the traffic of one check and keeps the truth about it, by pod."""

    topology: Topology
    evidence: Evidence
    progress: Progress | None = None
    answered: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """Answers by client workload, answering pod, and whether they were successes."""
    _samples: list[str] = field(default_factory=list)
    _ids: Iterator[str] = field(default_factory=lambda: (f"m{uuid.uuid4().hex[:12]}-{n}" for n in itertools.count(1)))

    def send(self, client: str, service: Service, count: int, paths: Sequence[str] = (OK,)) -> Sample:
        """Wait until a client reaches a Service, then send requests for these paths in turn."""

        def reached() -> None:
            answers = self._send(client, service, 4, (OK,)).answers
            if len(answers) < 4 or any(answer.status != 200 for answer in answers):
                raise NotYet(f"of 4 requests {sum(answer.status == 200 for answer in answers)} were answered with 200")

        eventually(reached, what=f"{client} to reach {service.name}", within=self.topology.mesh.convergence,
                   consecutive=1, progress=self.progress)
        return self._send(client, service, count, paths)

    def _send(self, client: str, service: Service, count: int, paths: Sequence[str]) -> Sample:
        self.topology.await_services()
        identifier = next(self._ids)
        requests = tuple(Request(f"http://{service.hosts[0]}:{HTTP_PORT}{path}") for path in paths)
        sample = self.topology.agent(client).run(Batch(identifier, requests, count, _CONCURRENCY))
        self._samples.append(identifier)
        self.evidence.exchanged(f"{count} requests from {client} to {service.name}", sample.exchanges)
        for outcome, times in sample.counts.items():
            if isinstance(outcome, Answer) and outcome.pod:
                self.answered[client, outcome.pod, (outcome.status or 0) < 500] += times
        return sample

    def pods(self, workload: str) -> dict[str, Subject]:
        """Return a workload's pods by name."""
        return {pod["metadata"]["name"]: Subject("pods", pod["metadata"]["name"], pod["metadata"]["namespace"])
                for pod in self.topology.pods_of(workload)}

    def pod(self, workload: str) -> Subject:
        """Return a workload's pod."""
        known = self.topology.pod(workload)
        return Subject("pods", known.name, known.namespace)

    def scale(self, workload: str, replicas: int) -> None:
        """Change the number of a workload's pods and wait until all are ready and reached. Raises NotConverged."""
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment",
                      "metadata": {"name": workload, "namespace": self.topology.namespace("app")}}
        self.topology.cluster.patch(deployment, {"spec": {"replicas": replicas}})

        def ready() -> None:
            found = self.topology.cluster.get("apps/v1", "Deployment", workload, self.topology.namespace("app"))
            if found.get("status", {}).get("readyReplicas", 0) < replicas:
                raise NotYet(f"{found.get('status', {}).get('readyReplicas', 0)} of {replicas} pods are ready")

        eventually(ready, what=f"{replicas} pods of {workload}", within=60.0, consecutive=1, longest=0.2,
                   progress=self.progress)

    def seen_by(self, workload: str) -> Count:
        """Return the requests of this check that the servers of a workload saw, all its pods together."""
        return sum((self._received(subject) for subject in self.pods(workload).values()), Count())

    def answers(self, client: str, pod: str) -> Count:
        """Return the answers that a client got from a pod."""
        return Count(self.answered[client, pod, True], self.answered[client, pod, False])

    def _received(self, pod: Subject) -> Count:
        agent, found = self.topology.agent_of(pod.namespace, pod.name), Count()
        for identifier in self._samples:
            for kind in agent.received(identifier).requests:
                failed = kind.path.startswith("/status/5")
                found += Count(0, kind.count) if failed else Count(kind.count)
        return found

    # --- what the mesh reports of it ---

    def reports(self, look: Callable[[], T], judge: Callable[[T], object], *, of: Callable[[T], TrafficMetrics | None],
                what: str) -> T:
        """Wait until the mesh reports this check's traffic, then judge. Raises Nonconformance.

        `of` finds the item in what `look` returns. Its window bounds the first wait: a sample that is reported later
        than that is none of the window's. Once anything is there, the mesh's limit is left for the rest of it.
        """
        item = of(look())
        seconds = (window(item.raw) if item else None) or USUAL_WINDOW

        def there() -> None:
            item = of(look())
            if item is None or _is_idle(item):
                raise NotYet(f"nothing of it is reported: {item.shown() if item else 'no item'}")

        self._until(there, max(self.topology.mesh.convergence, seconds - MARGIN), f"{what} to be reported")

        def judged() -> T:
            found = look()
            judge(found)
            return found

        return self._until(judged, self.topology.mesh.convergence, f"{what} to be reported in full")

    def _until(self, probe: Callable[[], T], within: float, what: str) -> T:
        try:
            waited = eventually(probe, what=what, within=within, consecutive=1, interval=0.05, longest=0.5,
                                progress=self.progress)
        except NotConverged as error:
            if isinstance(error.cause, Nonconformance):
                cause = error.cause
                details = f"{cause.details}; " if cause.details else ""
                raise Nonconformance(cause.wanted, cause.got, f"{details}not so within {within:g} s") from None
            raise Nonconformance(f"{what} within {within:g} s", error.reason) from None
        self.evidence.took(what, waited.seconds, waited.probes)
        return waited.last


def check_latencies(item: TrafficMetrics, seen: Latency) -> None:
    """Hold that percentiles ascend, and that they are those of a sample of which a fifth was slow.

    `seen` is what the client saw of it, which is never less than what a server took. Raises Nonconformance.
    """
    p99, p90, p50 = (item.latency(name) for name in PERCENTILES)
    known = [value for value in (p50, p90, p99) if value is not None]
    if known != sorted(known):
        raise Nonconformance("p50 ≤ p90 ≤ p99", item.shown())
    most = max(2 * (seen.p50 or 0.0), SLOW_SECONDS / 2)
    if p50 is not None and p50 > most:
        raise Nonconformance(f"a p50 of at most {most:.3f} s, as most requests were fast", item.shown())
    least = SLOW_SECONDS * 0.75  # a histogram's bucket may end there
    if p99 is not None and p99 < least:
        raise Nonconformance(f"a p99 of at least {least:.3f} s, as a fifth of the requests took {SLOW_SECONDS} s",
                             item.shown())


def _is_idle(item: TrafficMetrics) -> bool:
    try:
        return not item.total
    except Nonconformance:
        return False  # there is something, though it cannot be read: to be judged
