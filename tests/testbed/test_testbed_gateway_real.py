"""Istio judged by HTTPRoutes on a real Kubernetes, by this harness and by the Gateway API's own suite: do they agree?

What is needed is built first, which takes 15 to 35 minutes where it has not been built before. Where a registry refuses
a module, everything here is left out, and pytest's summary says why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from cluster_contents import PASSING, everything

from conformance import paths
from conformance.exit_code import ExitCode
from conformance.official import Relation, TestOutcome, pairs, read_claims, read_events
from conformance.report import record
from conformance.waiting import NotYet, eventually
from testbed import gateway, istio, official
from testbed.__main__ import REFUSED

pytestmark = pytest.mark.testbed

WITHIN = 400.0  # seconds for one command
BUILT_WITHIN = 5400.0
SELECTED = tuple(sorted({pair.requirement for pair in pairs().pairs}))
"""What has a counterpart; test_testbed_istio_real judges the rest."""
NOT_CLAIMED = "MeshClusterIPMatching"
"""What Istio does not claim to do either, and needs a minute to fail: routes for a Service by its address alone."""


@pytest.fixture(scope="module")
def tools(real_kubeconfig):
    """The directory of istioctl; Istio's images are on the node, and the suite is built."""
    for words in (["istio"], ["gateway", "--build"]):
        done = subprocess.run([sys.executable, "-m", "testbed", *words], capture_output=True, text=True, check=False,
                              timeout=BUILT_WITHIN, cwd=paths.fixtures().parent)
        if done.returncode == REFUSED:
            pytest.skip(f"nothing of the Gateway API is proved here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
    return str(istio.tools(istio.istio()))


@pytest.fixture(scope="module")
def run(real_kubeconfig, tools):
    """Runs a command, with the exit codes that it may end with."""
    environment = {**os.environ, "PATH": os.pathsep.join((tools, os.environ["PATH"]))}

    def command(*words, wanted=(0,)):
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False,
                              timeout=WITHIN, env=environment, cwd=paths.fixtures().parent)
        assert done.returncode in wanted, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return command


@pytest.fixture(scope="module")
def before(cluster):
    return everything(cluster, PASSING)


@pytest.fixture(scope="module")
def judged(run, cluster, before, real_kubeconfig, tmp_path_factory):
    """A directory with our record of Istio and what the official suite left, of the same installation."""
    output = tmp_path_factory.mktemp("gateway")
    place = ("--context", "testbed", "--kubeconfig", str(real_kubeconfig), "--mesh", str(istio.MESH))
    run("conformance.cli", "provision", *place)
    try:
        with official.served(cluster, gateway.objects(gateway.definitions()), print):
            run("conformance.cli", "run", *place, "--suite", "gateway", "--requirement", ",".join(SELECTED),
                "--report-dir", str(output / "ours"), wanted=(ExitCode.CONFORMANT, ExitCode.NONCONFORMANT))
            run("testbed", "gateway", "--output", str(output), "--without", NOT_CLAIMED)
    finally:
        run("conformance.cli", "remove", *place)
    return output


def test_the_official_suite_runs_to_its_end(judged):
    found, claims = read_events(judged / official.EVENTS), read_claims(judged / official.REPORT)
    by_outcome = {outcome: {test.name for test in found.whole if test.outcome is outcome} for outcome in TestOutcome}
    assert len(by_outcome[TestOutcome.PASSED]) >= 14
    assert not by_outcome[TestOutcome.FAILED]
    assert {pair.test for pair in pairs().pairs} <= by_outcome[TestOutcome.PASSED]
    assert (claims.api, claims.project, claims.version) == (pairs().api, "istio", istio.VERSION)


def test_every_part_that_the_table_names_is_there(judged):
    found = read_events(judged / official.EVENTS).tests
    missing = [f"{pair.test}/{name}" for pair in pairs().pairs for name in pair.parts
               if f"{pair.test}/{name}" not in found]
    assert missing == []


def test_both_judge_every_pair_and_do_not_disagree(run, judged):
    told = run("conformance.cli", "report", "official", str(judged / "ours" / "report.jsonl"), str(judged),
               "--format", "json")
    found = json.loads(told)
    relations = {(pair["requirement"], pair["test"]): pair["relation"] for pair in found["pairs"]}
    assert set(relations.values()) <= {Relation.AGREE, Relation.COMPATIBLE}, relations
    assert len(relations) == len(pairs().pairs)
    assert found["claimed_without_evidence"] == {}
    assert record.read(judged / "ours" / "report.jsonl").header.meshes[0].version == istio.VERSION


def test_a_feature_that_was_skipped_is_not_taken_for_supported(run, judged, tmp_path):
    """The suite itself takes it for supported: it is told so, and leaves out the only test of it."""
    lines = (judged / official.EVENTS).read_text().splitlines()
    name = "TestConformance/MeshConsumerRoute"
    kept = [event for event in map(json.loads, lines) if not event.get("Test", "").startswith(f"{name}/")]
    changed = [{**event, "Action": "skip"} if event.get("Test") == name and event["Action"] == "pass" else event
               for event in kept]
    (tmp_path / official.EVENTS).write_text("".join(json.dumps(event) + "\n" for event in changed))
    told = run("conformance.cli", "report", "official", str(judged / "ours" / "report.jsonl"),
               str(tmp_path / official.EVENTS), "--claims", str(judged / official.REPORT), "--format", "json")
    assert set(json.loads(told)["claimed_without_evidence"]) == {"MeshConsumerRoute"}


def test_nothing_of_either_stays(judged, cluster, before):
    def same():
        if left := everything(cluster, PASSING) ^ before:
            raise NotYet(f"left or missing: {sorted(left)}")

    eventually(same, what="the cluster to be as it was", within=20, consecutive=1)
