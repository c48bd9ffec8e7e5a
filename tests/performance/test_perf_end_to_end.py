"""Every probe in the sandbox, on real sidecars: briefly, and whatever else the machine does. About 3 minutes.

What a busy machine makes of the figures is not judged here: it has to be figures, or the gates have to say why not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.performance import record
from conformance.performance.smp import messages

SUITE = Path(__file__).parents[2] / "suites" / "performance"
MACHINE = {"schedule lag", "node CPU", "steal", "client CPU", "achieved rate", "dropped requests", "usage"}
"""Gates that a busy machine closes; the others would be faults of probe, mesh or sandbox."""
EXPECTED = {
    "latency-overhead": {"latency", "latency.noise", "latency.overhead"},
    "throughput-ceiling": {"throughput", "throughput.left"},
    "connection-churn": {"latency", "latency.overhead"},
    "body-sizes": {"latency", "latency.overhead"},
    "resource-use": {"proxy.cpu", "proxy.memory", "proxy.cpu.per_request", "control_plane.cpu", "control_plane.memory",
                     "node.cpu", "node.cpu.overhead"},
    "weight-accuracy": {"split.share", "split.deviation"},
    "time-to-effect": {"effect.time", "effect.time.longest"},
    "pod-start": {"start.time", "start.overhead"},
    "rolling-restart": {"restart.errors", "restart.longest", "restart.duration"},
}


def perf(*options):
    command = [sys.executable, "-m", "conformance.cli", "perf", "run", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    done = perf("--report-dir", str(directory), "--rounds", "2", "--seconds", "0.6", "--rate", "200",
                "--probe", ",".join(EXPECTED))
    return done, directory / "performance"


@pytest.fixture(scope="module")
def run(finished):
    done, directory = finished
    assert (directory / "performance.json").exists(), done.stdout + done.stderr
    return record.read(directory / "performance.json")


@pytest.mark.parametrize("probe", EXPECTED)
def test_a_probe_finds_figures_or_says_why_not(run, probe):
    result = next(result for result in run.results if result.probe == probe)
    # With so few requests a high percentile has no figure, which is as it should be.
    excused = [found for found in result.invalid if found.gate in MACHINE or found.gate == "sample size"]
    assert list(result.invalid) == excused
    if not [found for found in result.invalid if found.gate in MACHINE]:
        assert {figure.name for figure in result.figures} == EXPECTED[probe]
    for figure in result.figures:
        assert figure.low is None or figure.low <= figure.value <= figure.high


def test_answers_are_right_while_under_load(run):
    for result in run.results:
        for load in result.loads if result.probe != "rolling-restart" else ():
            assert not load.errors, (result.probe, load.labels, load.errors)


def test_the_sidecars_are_in_the_way_and_cost_something(run):
    found = {figure.key: figure for figure in run.figures}
    key = "throughput.left{path=both}"
    if key in found:
        assert found[key].value < 0.9


def test_everything_is_written(finished, run):
    done, directory = finished
    for name in ("performance.html", "metrics.prom", "summary.md", "allure/environment.properties"):
        assert (directory / name).stat().st_size > 100, done.stdout
    assert "# EOF" in (directory / "metrics.prom").read_text()
    assert len(list((directory / "fortio").glob("*.json"))) == sum(len(result.loads) for result in run.results)
    for file in (directory / "smp").glob("smp-result-*.json"):
        messages.read(file)


def test_the_exit_code_says_whether_all_of_it_may_be_used(finished, run):
    done, _ = finished
    assert done.returncode == (0 if all(result.valid for result in run.results) else 3), done.stdout


def test_all_probes_are_tried_here_or_known_to_take_long():
    names = set(re.findall(r'@probe\("([a-z-]+)"\)', "".join(file.read_text() for file in SUITE.glob("test_*.py"))))
    assert names - set(EXPECTED) == {"effect-growth", "policy-growth", "smp-config"}


def test_a_configuration_of_smp_is_run(tmp_path):
    file = tmp_path / "test.yaml"
    file.write_text(
        "test:\n  smp_version: v0.0.1\n  id: 8a0bd0b5\n  name: check\n  duration: 2s\n  clients:\n"
        "    - internal: true\n      protocol: 1\n      connections: 4\n      rps: 50\n"
        "      endpoint_urls: ['http://server:8090/bytes/10']\nmesh:\n  type: 3\n")
    done = perf("--report-dir", str(tmp_path / "report"), "--config", str(file))
    run = record.read(tmp_path / "report" / "performance" / "performance.json")
    assert run.header.labels["smp_test_id"] == "8a0bd0b5"
    assert run.results[0].loads[0].agents, done.stdout
    assert sum(run.results[0].loads[0].agents.values()) == pytest.approx(100, abs=5)


@pytest.mark.parametrize(("url", "said"), [
    ("http://example.com/", "not part of the run"), ("http://server:8090/a b", "line"),
])
def test_nothing_but_the_run_itself_is_put_under_load(tmp_path, url, said):
    file = tmp_path / "test.yaml"
    file.write_text(f"duration: 1s\nclients:\n  - rps: 5\n    connections: 1\n    endpoint_urls: ['{url}']\n")
    done = perf("--report-dir", "none", "--config", str(file))
    assert done.returncode in (2, 3)
    assert said in done.stdout + done.stderr
