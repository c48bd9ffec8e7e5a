"""Where a mesh cannot be held to anything that was selected, no workload is deployed for it; the report says why."""

from __future__ import annotations

import pytest

from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.topology import Topology


@pytest.fixture
def deployed(monkeypatch):
    """Note which topologies are deployed."""
    provision, made = Topology.provision, []

    def noted(topology):
        made.append(topology.run)
        provision(topology)

    monkeypatch.setattr(Topology, "provision", noted)
    return made


def test_no_workload_is_deployed_for_nothing(run, deployed):
    code, report = run("--smi", "v1alpha2", "--requirement", "SPLIT-024,SPLIT-025")
    assert code == ExitCode.NOTHING
    assert {result.outcome for result in report.results} == {Outcome.NOT_APPLICABLE}
    assert deployed == []
    [found] = report.header.meshes
    assert (found.version, found.proxy) == ("0.1.0", None)
    assert report.header.kubernetes.startswith("v1.")
    assert report.header.apis["split.smi-spec.io"] == ("v1alpha2",)


def test_one_requirement_that_applies_is_enough_and_the_header_knows_the_proxy_from_the_first_result_on(run, deployed):
    code, report = run("--smi", "v1alpha2", "--requirement", "SPLIT-006,SPLIT-024,CONV-001")
    outcomes = {result.requirement: result.outcome for result in report.results}
    assert (code, outcomes["SPLIT-006"], outcomes["SPLIT-024"]) == (
        ExitCode.CONFORMANT, Outcome.PASSED, Outcome.NOT_APPLICABLE)
    assert len(deployed) == 1
    assert report.header.meshes[0].proxy.name == "envoy"
