"""Loads in interleaved rounds: their order, what people are told meanwhile, and what becomes of too few answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from perf_data import said

from conformance.performance import bench as benches
from conformance.performance import paired, paths
from conformance.performance.bench import Bench, Effort
from conformance.performance.findings import Findings
from conformance.performance.paths import BOTH, DIRECT
from conformance.performance.probe import Probe
from conformance.performance.probes import overhead, policies
from conformance.service import Service
from conformance.topology import GUARDED


@dataclass
class Agent:
    """Answers every load as an undisturbed engine does; `progress` is what it says while one runs."""

    name: str
    asked: list[tuple[str, int]]
    result: dict
    progress: dict | None = None

    def load(self, command, progress):
        self.asked.append((self.name, command["schedule"]["seed"]))
        if self.progress:
            progress(self.progress)
        return self.result


@dataclass
class Topology:
    """Workloads of which those named plain-* are not in the mesh."""

    asked: list[tuple[str, int]] = field(default_factory=list)
    result: dict = field(default_factory=said)
    progress: dict | None = None

    def in_mesh(self, name):
        return not name.startswith("plain-")

    def service(self, name):
        return Service(name, "app", (f"{name}.app",), frozenset([name]), {"workload": name}, {"http": (8080, 8080)})

    def agent(self, name):
        return Agent(name, self.asked, self.result, self.progress)


def bench(topology, rounds=6, lines=None):
    told = [] if lines is None else lines
    return Bench(topology, Effort(rounds, 2.0, 1000.0, seed=3), Findings(Probe("a-probe", "A probe")), told.append)


def ways(topology):
    return [paths.path(topology, name) for name in (DIRECT, BOTH)]


def test_a_path_knows_whose_sidecars_it_passes():
    topology = Topology()
    assert paths.path(topology, DIRECT).proxied == ()
    assert paths.path(topology, BOTH).proxied == ("client", "server")
    mixed = paths.between(topology, "mixed", "plain-client", "v2", topology.service("root"), "tcp")
    assert (mixed.proxied, mixed.url()) == (("v2",), "tcp://root.app:8090")


def test_rounds_are_interleaved_each_with_a_seed_of_its_own():
    topology = Topology()
    series = bench(topology).rounds(ways(topology))
    assert {name: len(found) for name, found in series.rounds.items()} == {DIRECT: 6, BOTH: 6}
    assert series.valid == (DIRECT, BOTH)
    orders = paired.orders([DIRECT, BOTH], 6, seed=3)
    clients = {DIRECT: "plain-client", BOTH: "client"}
    assert topology.asked == [(clients[name], 3 + number) for number, order in enumerate(orders, 1) for name in order]


def test_people_are_told_of_rounds_and_of_long_loads(monkeypatch):
    monkeypatch.setattr(benches, "TELL_EVERY", -1.0)
    topology = Topology(result=said(errors={"reset": 1}),
                        progress={"phase": "measuring", "left": 1.4, "rate": 998.7, "errors": 2})
    lines = []
    bench(topology, 2, lines).rounds(ways(topology)[:1])
    assert [line for line in lines if "phase" not in line and "measuring" not in line][-1] == (
        "  a-probe: round 2 of 2, 0 s left, 1 errors")
    assert "  a-probe, round 2 of 2, direct: measuring, 1 s left, 999/s, 2 errors" in lines


def test_percentiles_with_too_few_answers_have_no_figure():
    findings = Findings(Probe("a-probe", "A probe"))
    assert overhead.reported(findings, 150, {"p50": 0.5, "p90": 0.9, "p99": 0.99}, BOTH) == {"p50": 0.5, "p90": 0.9}
    (invalid,) = findings.result().invalid
    assert (invalid.gate, invalid.where) == ("sample size", "both, p99")


def test_what_policies_add_is_the_difference_within_rounds():
    topology = Topology()
    guarded = paths.between(topology, GUARDED, "client", GUARDED)
    series = bench(topology).rounds([paths.path(topology, DIRECT), guarded])
    assert policies.added(series) == pytest.approx([0.0] * 6)
    series.invalid[DIRECT] = series.invalid[GUARDED] = bench(Topology(result=said(unsent=1)), 1).rounds(
        ways(topology)[:1]).invalid[DIRECT]
    assert policies.added(series) == []


def test_ratios_are_recorded_with_the_rounds_behind_them():
    findings = Findings(Probe("a-probe", "A probe"))
    findings.ratio("throughput.left", [10.0, 20.0, 40.0], [5.0, 5.0, 20.0], {"path": BOTH})
    (figure,) = findings.result().figures
    assert (figure.unit, figure.value, figure.samples, figure.better) == ("share", 0.5, (0.5, 0.25, 0.5), "higher")
