"""The whole SMI suite on a real Kubernetes: the reference mesh conforms there as in the sandbox, its mutants do not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance import selection
from conformance.outcome import Outcome
from conformance.report import record
from conformance.sandbox.mutants import find

pytestmark = pytest.mark.testbed

WITHIN = 900.0
"""Seconds for a run. It takes 3 to 4 minutes on two cores with nothing else to do."""
MUTANTS = ["weights-84-16", "outsiders-allowed", "path-unanchored", "metrics-of-one-client", "weight-of-any-type",
           "route-status-all-resolved"]
"""One for each API group: traffic, access, routes, metrics, definitions, HTTPRoutes."""


def conformance(kubeconfig, *words, expected=0):
    command = [sys.executable, "-m", "conformance.cli", *words, "--context", "testbed", "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN,
                          env={name: value for name, value in os.environ.items() if name != "KUBECONFIG"})
    assert done.returncode == expected, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def outcomes(kubeconfig, directory, *words, expected=0):
    conformance(kubeconfig, "run", "--provision", "--report-dir", str(directory), *words, expected=expected)
    return {result.requirement: result.outcome for result in record.read(directory / "report.jsonl").results}


@pytest.fixture(autouse=True)
def nothing_stays(real_kubeconfig):
    yield
    assert "nothing" in conformance(real_kubeconfig, "cleanup", "--dry-run")


def test_the_reference_mesh_conforms(real_kubeconfig, tmp_path):
    found = outcomes(real_kubeconfig, tmp_path)
    assert len(found) > 100
    others = {name: outcome for name, outcome in found.items() if outcome not in (Outcome.PASSED, Outcome.OBSERVED)}
    assert others == {"CONV-001": Outcome.NOT_APPLICABLE}


def test_the_reference_mesh_conforms_by_httproutes(real_kubeconfig, tmp_path):
    """With the definition that the harness brings along, in place of the Gateway API's own."""
    found = outcomes(real_kubeconfig, tmp_path, "--suite", "gateway")
    assert set(found.values()) == {Outcome.PASSED}
    assert len(found) == len(selection.rows(("gateway",)))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_what_it_fails_in_the_sandbox(real_kubeconfig, tmp_path, name):
    own = find(name).kills
    found = outcomes(real_kubeconfig, tmp_path, "--mutant", name, "--requirement", own, expected=1)
    assert found == {own: Outcome.FAILED}
