"""Made-up runs of the official suite and of ours, in the form that the real ones have."""

import io
import json

import pytest

from conformance.exit_code import exit_code
from conformance.official import events
from conformance.official.comparison import GATEWAY
from conformance.outcome import Outcome, Result
from conformance.report.model import Component, Footer, Header, MeshUnderTest, Report, count
from conformance.requirement import Level
from conformance.verdict import verdicts

ACTIONS = {"passed": "pass", "failed": "fail", "skipped": "skip"}


def lines_of(tests, *, ended=True, root="TestConformance"):
    """The events of a run: `{"MeshPorts": "passed", "MeshPorts/No_port_set": ("failed", "what it printed")}`.

    Without `ended`, nothing ends after the last test has begun.
    """
    found = [{"Action": "start"}, {"Action": "run", "Test": root}]
    given = [(name, told if isinstance(told, tuple) else (told, "")) for name, told in tests.items()]
    for name, (_, printed) in given:
        found.append({"Action": "run", "Test": f"{root}/{name}"})
        if printed:
            found.append({"Action": "output", "Test": f"{root}/{name}", "Output": f"    suite.go:1: {printed}\n"})
    if ended:
        failed = any(told[0] == "failed" for _, told in given)
        found += [{"Action": ACTIONS[told[0]], "Test": f"{root}/{name}", "Elapsed": 0.25}
                  for name, told in reversed(given)]
        found += [{"Action": "fail" if failed else "pass", "Test": root, "Elapsed": 20.5},
                  {"Action": "fail" if failed else "pass", "Elapsed": 21}]
    return [json.dumps({"Time": "2026-11-20T10:00:00Z", "Package": "gateway-api"} | event) for event in found]


@pytest.fixture
def lines():
    """A maker of the lines of a run."""
    return lines_of


@pytest.fixture
def load():
    """Reads events from lines, or from a text."""
    def read(text):
        text = text if isinstance(text, bytes) else "".join(f"{line}\n" for line in text).encode()
        return events.load(io.BytesIO(text))

    return read


@pytest.fixture
def official(load):
    """A maker of what the official suite says."""
    return lambda tests: load(lines_of(tests))


@pytest.fixture
def report():
    """A maker of records: `report({"ROUTE-001": "passed"}, meshes=("istio",), versions=("v1",))`."""
    def make(outcomes, meshes=("istio",), versions=("v1",), api=GATEWAY):
        results = tuple(Result(requirement, Level.BEHAVIOUR, mesh, api, version, Outcome(outcome))
                        for mesh in meshes for version in versions for requirement, outcome in outcomes.items())
        header = Header(
            harness=Component("mesh-conformance", "0.1.0"), started="2026-11-20T10:00:00.000Z", command="run", seed=1,
            kubernetes="v1.34.4", meshes=tuple(MeshUnderTest(mesh, "1.31-dev") for mesh in meshes),
            apis={api: versions}, selected=tuple(sorted(outcomes)),
        )
        found = verdicts(results)
        footer = Footer("2026-11-20T10:00:12.500Z", 12.5, count(results), found, exit_code(results, found))
        return Report(header, results, footer)

    return make


@pytest.fixture
def claimed():
    """A maker of the official suite's own reports, as YAML reads them."""
    def make(failed=(), skipped=(), supported=("MeshConsumerRoute",), **changes):
        status = {"result": "failure" if failed else "success", "failedTests": list(failed),
                  "skippedTests": list(skipped), "statistics": {"Failed": len(failed), "Passed": 7, "Skipped": 0}}
        extended = {"result": "success", "statistics": {"Failed": 0, "Passed": 7, "Skipped": 0},
                    "supportedFeatures": list(supported), "unsupportedFeatures": ["MeshClusterIPMatching"]}
        return {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ConformanceReport", "mode": "default",
            "date": "2026-11-20T10:00:00Z", "gatewayAPIVersion": "v1.6.0", "gatewayAPIChannel": "standard",
            "implementation": {"organization": "istio", "project": "istio", "url": "https://istio.io/",
                               "version": "1.31-dev", "contact": ["https://istio.io/"]},
            "profiles": [{"name": "MESH-HTTP", "summary": "Core tests succeeded.", "core": status,
                          "extended": extended}],
        } | changes

    return make
