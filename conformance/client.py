"""A client of a check: sends samples through the mesh, waits for effect, measures once, and judges."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from conformance.agents import AgentError
from conformance.evidence import Evidence
from conformance.expect import Allowed, Denied, Expectation, Only, Refusal, Tally
from conformance.outcome import Nonconformance
from conformance.service import HTTP_PORT, Service
from conformance.smi import Account
from conformance.topology import Topology
from conformance.traffic import Answer, Batch, Failure, Request, Sample
from conformance.waiting import NotConverged, Progress, Waited, eventually

CONCURRENCY: Final = 8
REQUEST_TIMEOUT: Final = 10.0
DENIAL_TIMEOUT: Final = 2.0
LOOK_TIMEOUT: Final = 1.5
"""Seconds for a request of a look, which is repeated until the mesh's limit."""
SILENCE: Final = 0.4
"""Seconds after which a datagram counts as unanswered, where no answer is expected."""
CONTROL: Final = 50
"""Size of the sample that a control takes."""
OBSERVED: Final = 200
"""Size of a sample that is recorded and not judged."""


@dataclass(frozen=True)
class Call:
    """What is sent: everything about a request but how often."""

    host: str
    port: int = HTTP_PORT
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    protocol: Literal["http", "h2c", "tcp", "udp"] = "http"
    timeout: float = REQUEST_TIMEOUT
    body: str = ""

    def request(self) -> Request:
        """Return it as the agent takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Request(f"{self.protocol}://{host}:{self.port}{self.path}", self.method, tuple(self.headers.items()),
                       self.body, self.protocol)

    def __str__(self) -> str:
        headers = "".join(f" {name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.protocol}://{self.host}:{self.port}{self.path}{headers}"


class ControlFailed(Exception):  # noqa: N818 - the field's word
    """Traffic does not even go where it should before anything was asked of the mesh: nothing can be judged."""


class Client:
    """A sample client, in the mesh or outside it.

    Every request has a connection of its own: connections that outlive a change of configuration would show the
    old one, and a mesh that divides connections rather than requests is judged fairly.
    """

    def __init__(self, workload: str, topology: Topology, evidence: Evidence, progress: Progress | None = None) -> None:
        self.workload = workload
        self._topology = topology
        self._evidence = evidence
        self._progress = progress
        self._ids = (f"{uuid.uuid4().hex[:12]}-{number}" for number in itertools.count(1))

    def sees(self, service: Service, expectation: Expectation, *, requests: int | None = None, **call: Any) -> None:
        """Wait until traffic to a Service is as expected, then measure once and judge that one sample.

        `requests` overrides the size that the expectation asks for, for controls; `call` are fields of Call.
        Raises Nonconformance: when it never came to be so within the mesh's limit, or when the sample says no.
        """
        sent = self._call(service, call)
        self._converge(sent, expectation)
        sample, seen = self._measure(sent, requests or expectation.size)
        try:
            finding = expectation.judge(seen)
        except Refusal as refusal:
            self._evidence.saw(sample, self.workload, str(sent), seen, refusal.finding)
            raise
        self._evidence.saw(sample, self.workload, str(sent), seen, finding)

    def is_allowed(self, service: Service, **call: Any) -> None:
        """Wait until a Service may be used, then measure once. Raises Nonconformance."""
        self.sees(service, Allowed(service), **call)

    def is_denied(self, service: Service, **call: Any) -> None:
        """Wait until a Service may not be used, then measure once: no server sees anything. Raises Nonconformance."""
        silent = call.get("protocol") == "udp"
        timeout = SILENCE if silent else DENIAL_TIMEOUT
        self.sees(service, Denied(), requests=CONCURRENCY if silent else None, **{"timeout": timeout, **call})

    @property
    def account(self) -> Account:
        """The client's identity."""
        return self._topology.account(self.workload)

    def control(self, service: Service, **call: Any) -> None:
        """Show that a Service is reached as it is, so that what follows can tell. Raises ControlFailed."""
        try:
            self.sees(service, Only(service), requests=CONTROL, **call)
        except Nonconformance as error:
            raise ControlFailed(f"the control failed, so that nothing can be judged: {error}") from error

    def observes(self, service: Service, *, requests: int = OBSERVED, **call: Any) -> Tally:
        """Measure once without judging."""
        sent = self._call(service, call)
        sample, seen = self._measure(sent, requests)
        self._evidence.saw(sample, self.workload, str(sent), seen)
        return seen

    def probe(self, call: Call, requests: int) -> Tally:
        """Look at the client's side only, for waiting."""
        return self._seen(call, self._send(next(self._ids), call, requests), {})

    def _call(self, service: Service, fields: Mapping[str, Any]) -> Call:
        return Call(**{"host": service.hosts[0], **fields})

    def _converge(self, call: Call, expectation: Expectation) -> Waited[None]:
        limit = self._topology.mesh.convergence
        # A request that hangs would use up the time of many looks.
        hasty = replace(call, timeout=min(call.timeout, LOOK_TIMEOUT))

        def look() -> None:
            expectation.plausible(self.probe(hasty, expectation.probe))

        try:
            waited = eventually(look, what=f"{call} to be as expected", within=limit, interval=0.005,
                                progress=self._progress)
        except NotConverged as error:
            details = f"not in effect within {limit:g} s, looked {error.probes} times"
            if isinstance(error.cause, Nonconformance):
                raise Nonconformance(error.cause.wanted, error.cause.got, details) from None
            raise Nonconformance(expectation.wanted(call.port), error.reason, details) from None
        self._evidence.took(f"{self.workload}: {call}", waited.seconds, waited.probes)
        return waited

    def _measure(self, call: Call, requests: int) -> tuple[str, Tally]:
        """Take one sample and what all servers saw of it."""
        sample = next(self._ids)
        answers = self._send(sample, call, requests)
        servers = self._topology.servers()
        with ThreadPoolExecutor(len(servers)) as pool:
            received = dict(zip(servers, pool.map(lambda agent: agent.received(sample).total, servers.values()),
                                strict=True))
        return sample, self._seen(call, answers, {name: count for name, count in received.items() if count})

    def _send(self, sample: str, call: Call, requests: int) -> Sample:
        self._topology.await_services()
        batch = Batch(sample, (call.request(),), count=requests, concurrency=CONCURRENCY, timeout=call.timeout)
        taken = self._topology.agent(self.workload).run(batch)
        self._evidence.exchanged(str(call), taken.exchanges)
        return taken

    def _seen(self, call: Call, sample: Sample, received: Mapping[str, int]) -> Tally:
        answers: Counter[tuple[str, int]] = Counter()
        failures: Counter[str] = Counter()
        kinds = {outcome.kind for outcome in sample.counts if isinstance(outcome, Failure)}
        if "unsent" in kinds and "timeout" not in kinds:
            raise AgentError(f"{self.workload} could not send {len(sample)} requests in time, though none timed out")
        for outcome, count in sample.counts.items():
            if not isinstance(outcome, Answer):
                failures[outcome.kind] += count
                continue
            workload = self._topology.workload_of(outcome.pod) if outcome.pod else None
            if workload is None or outcome.port is None or outcome.status not in (200, None):
                failures[f"HTTP {outcome.status}" if outcome.status else "garbage"] += count
            else:
                answers[workload, outcome.port] += count
        return Tally(call.port, dict(answers), dict(failures), received)
