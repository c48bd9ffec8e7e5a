"""How precisely traffic is divided while there is much of it."""

from __future__ import annotations

from collections.abc import Mapping

from conformance import statistics
from conformance.performance import paired, paths
from conformance.performance.bench import Bench, judged
from conformance.performance.model import Figure
from conformance.service import HTTP_PORT, Service


def measure(bench: Bench, root: Service, backend: Service, *, expected: float) -> None:
    """Record the share of a root Service's requests that one backend's pods answer; `expected` is the wanted one.

    The interval is exact for independent draws (Clopper and Pearson); a proxy that takes turns does better.
    """
    findings = bench.findings
    way = paths.between(bench.topology, "split", "client", "v2", root)
    taken = [bench.run(way, port=HTTP_PORT, what=f"round {number} of {bench.effort.rounds}")
             for number in range(1, bench.effort.rounds + 1)]
    whole, invalid = judged(taken, where=way.name)
    findings.load(whole.summary(taken[0].load, {"path": way.name}))
    findings.invalid(invalid)
    if invalid:
        return
    pods = {bench.topology.pod(workload).name for workload in backend.workloads}
    shares = [_share(one.result.agents, pods) for one in taken]
    count = sum(answers for pod, answers in whole.agents.items() if pod in pods)
    low, high = statistics.clopper_pearson(count, whole.completed, paired.CONFIDENCE)
    findings.figure(Figure("split.share", "share", count / whole.completed, low, high, paired.CONFIDENCE, tuple(shares),
                           "", {"expected": f"{expected:g}"}))
    findings.value("split.deviation", "share", abs(count / whole.completed - expected),
                   {"expected": f"{expected:g}"})


def _share(agents: Mapping[str, int], pods: set[str]) -> float:
    return sum(count for pod, count in agents.items() if pod in pods) / max(1, sum(agents.values()))
