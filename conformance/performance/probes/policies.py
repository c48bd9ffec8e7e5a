"""Many TrafficTargets in front of one workload, and what they add to its response time."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance import smi
from conformance.objects import Objects
from conformance.performance import paired
from conformance.performance.bench import Series
from conformance.performance.paths import DIRECT, Path, between, path
from conformance.performance.probes.effects import Effects
from conformance.smi import EVERYTHING, Account, Rule, ServedApis
from conformance.topology import GUARDED, Topology


@dataclass
class Policy:
    """TrafficTargets that allow the guarded workload to be used: by the client, and by ever more that do not exist."""

    topology: Topology
    apis: ServedApis
    objects: Objects
    effects: Effects
    _rule: Rule | None = None
    _count: int = field(default=0)

    def grow_to(self, count: int) -> None:
        """Apply targets until there are `count`, and wait until the newest is in effect. Raises NotExpressible."""
        namespace = self.topology.namespace(GUARDED)
        if self._rule is None:
            self._rule = Rule("HTTPRouteGroup", self.objects.name("everything"))
            self.objects.create(smi.http_route_group(self.apis, self._rule.name, namespace, [EVERYTHING]))
        for number in range(self._count, count):
            source = self.topology.account("client") if number == 0 else Account(f"absent-{number}", namespace)
            self.objects.create(smi.traffic_target(
                self.apis, self.objects.name("target"), namespace, self.topology.account(GUARDED), [self._rule],
                [source], port=smi.usual_port(self.apis, 8080)))
        self._count = max(count, self._count)
        self.effects.until_answered_by(self.topology.service(GUARDED), self.topology.service(GUARDED))

    def ways(self) -> tuple[Path, Path]:
        """Return the direct way, and the one to the guarded workload."""
        return path(self.topology, DIRECT), between(self.topology, GUARDED, "client", GUARDED)


def added(series: Series) -> list[float]:
    """Return by how much the median response time of the guarded way exceeds the direct one's, in each round."""
    if not {DIRECT, GUARDED} <= set(series.valid):
        return []
    return paired.differences(series.percentiles(DIRECT, 0.5), series.percentiles(GUARDED, 0.5))
