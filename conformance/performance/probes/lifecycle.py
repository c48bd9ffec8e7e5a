"""Pods that come and go: how long a new one takes until it serves, and what a rolling restart costs those who ask."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.objects import Services
from conformance.performance.bench import Bench, Measured, judged
from conformance.performance.paths import BOTH, DIRECT, Path, between
from conformance.performance.probes.effects import first_answer
from conformance.performance.validity import DISTURBED
from conformance.service import HTTP_PORT

ENDS: Final[Mapping[str, tuple[str, str]]] = {DIRECT: ("plain-client", "outside"), BOTH: ("client", "app")}
"""Of the ways: who asks, and the role of the namespace in which new pods are started."""


@dataclass
class Lifecycle:
    """Starts and restarts pods while they are asked for."""

    bench: Bench
    services: Services
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def starts(self, way: str, count: int) -> list[float]:
        """Return the seconds from creating a workload to the first answer of its pod through its Service, each time.

        Raises NotConverged, ProvisionError.
        """
        client, role = ENDS[way]
        topology, taken = self.bench.topology, []
        for number in range(1, count + 1):
            name = f"fresh-{next(self._numbers)}"
            self.bench.tell(f"  {self.bench.findings.probe.name}: {way}, pod {number} of {count}")
            service = self.services(f"{name}-{role}", name, role=role)
            begun = time.monotonic()
            try:
                topology.start(name, {"app": name}, role=role)
                first_answer(topology.agent(client), service.hosts[0], lambda pod: pod is not None, self._numbers,
                             f"a new pod of {name} to answer")
                taken.append(time.monotonic() - begun)
                topology.settle([name])
            finally:
                topology.withdraw(name)
        return taken

    def restart(self, way: str, rate: float) -> tuple[Measured, float]:
        """Restart one of two pods behind a Service while it is asked; return the load, and the seconds it took."""
        client, role = ENDS[way]
        topology = self.bench.topology
        names = [f"rolling-{next(self._numbers)}" for _ in range(2)]
        try:
            for name in names:
                topology.deploy(name, {"rolling": way}, role=role)
            service = self.services(f"rolling-{role}", selector={"rolling": way}, role=role)
            first_answer(topology.agent(client), service.hosts[0], lambda pod: pod is not None, self._numbers)
            path = between(topology, way, client, names[0], service)
            return self._while_restarting(path, names[0], rate)
        finally:
            for name in names:
                topology.withdraw(name)

    def _while_restarting(self, path: Path, name: str, rate: float) -> tuple[Measured, float]:
        found: list[float | Exception] = []
        load_begun = threading.Event()

        def restart() -> None:
            load_begun.wait()
            time.sleep(1.0)  # so that the load sees how it was before
            begun = time.monotonic()
            try:
                self.bench.topology.restart(name)
                found.append(time.monotonic() - begun)
            except Exception as error:  # noqa: BLE001 - raised again in the probe's own thread
                found.append(error)

        thread = threading.Thread(target=restart)
        thread.start()
        try:
            measured = self.bench.run(path, port=HTTP_PORT, what="restarting", begun=load_begun, rate=rate,
                                      seconds=max(10.0, self.bench.effort.seconds), connections=32)
        finally:
            load_begun.set()  # also when it failed before
            thread.join()
        if isinstance(found[0], Exception):
            raise found[0]
        return measured, found[0]

    def restarts(self, way: str, count: int, rate: float) -> None:
        """Record, over several rolling restarts, the share of requests that failed, by kind, and how long each took."""
        findings = self.bench.findings
        taken = [self.restart(way, rate) for _ in range(count)]
        whole, invalid = judged([measured for measured, _ in taken], DISTURBED, way)
        findings.load(whole.summary(taken[0][0].load, {"path": way}))
        findings.invalid(invalid)
        if invalid:
            return
        for kind, number in whole.errors.items():
            findings.note(f"{way}: {count} restarts failed {number} of {whole.completed + whole.failed} requests with "
                          f"{kind}.")
        results = [measured.result for measured, _ in taken]
        failed = [result.failed / (result.completed + result.failed) for result in results]
        findings.median("restart.errors", "share", failed, {"path": way})
        findings.median("restart.longest", "s", [measured.percentile(1.0) for measured, _ in taken], {"path": way})
        findings.median("restart.duration", "s", [seconds for _, seconds in taken], {"path": way})
