"""Mutants side by side in sandboxes that stand: what goes wrong with one run is said, and touches no other."""

from __future__ import annotations

import json
import sys

import psutil
import pytest

from conformance import jury, series
from conformance.jury import Jury
from conformance.kill_matrix import Kill
from conformance.outcome import Outcome
from conformance.report import record
from conformance.sandbox.mutants import MUTANTS, find
from conformance.sandbox.mutants.definitions import MUTANTS as DEFINITIONS

SPLITS = find("zero-is-one")
"""A mutant of the control plane."""

FAKE = """
import json, pathlib, sys
for line in sys.stdin:
    task = json.loads(line)
    {}
    print("done", flush=True)
"""


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Let processes do something else instead of runs."""
    def say(what):
        script = tmp_path / "fake.py"
        script.write_text(FAKE.format(what))
        real = jury.subprocess.Popen
        monkeypatch.setattr(jury.subprocess, "Popen", lambda _, **options: real([sys.executable, script], **options))

    return say


def test_only_what_a_standing_sandbox_can_replace_is_replaced_there():
    alone = {name for name, mutant in MUTANTS.items() if not mutant.replaceable}
    assert alone == {"metrics-unavailable", "metrics-open", "weights-unscaled", "not-converted"}
    assert any(mutant.replaceable for mutant in DEFINITIONS)


def test_a_run_without_a_report_is_trouble_and_says_what_it_said(said):
    said("pathlib.Path(task['directory'], 'output').write_text('it broke')")
    with Jury() as judges:
        kill = judges.judge(SPLITS, [SPLITS.kills])
    assert kill.verdict.startswith("error: no report")
    assert kill.verdict.endswith("it broke")


def test_a_process_that_ends_is_replaced(said, tmp_path):
    said("open(f'{sys.path[0]}/starts', 'a').write('x'); sys.exit(1)")
    with Jury() as judges:
        assert [judges.judge(SPLITS, [SPLITS.kills]).trouble[:9] for _ in range(2)] == ["no report"] * 2
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_run_that_does_not_end_is_given_up(said, monkeypatch):
    monkeypatch.setattr(jury, "RUN_WITHIN", 0.5)
    said("import time; time.sleep(60)")
    with Jury() as judges:
        assert judges.judge(SPLITS, [SPLITS.kills]).verdict == "error: no end within 0.5 s"
    assert not [child for child in psutil.Process().children() if "fake.py" in str(child.cmdline())]


def test_processes_share_compiled_modules(said, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = tmp_path / "environment"
    said(f"import os; pathlib.Path({str(found)!r}).write_text(json.dumps(dict(os.environ)))")
    with Jury(str(tmp_path / "bytecode")) as judges:
        judges.judge(SPLITS, ["SPLIT-001"])
    environment = json.loads(found.read_text())
    assert environment["PYTHONPYCACHEPREFIX"] == str(tmp_path / "bytecode")
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_mutants_in_one_sandbox_do_not_touch_each_other():
    """Traffic, policy and definitions are each broken, and are whole again in the run after it."""
    one, two, three = SPLITS, find("open-until-named"), find("udproute-misnamed")
    own = [mutant.kills for mutant in (one, two, three)]
    with Jury() as judges:
        assert [judges.judge(mutant, own) for mutant in (one, three, two, None, three)] == [
            Kill(one, (one.kills,)), Kill(three, (three.kills,)), Kill(two, (two.kills,)), Kill(None),
            Kill(three, (three.kills,)),
        ]
        assert len(judges._all) == 1


def test_requests_of_an_earlier_run_are_not_counted_in_a_later_one(tmp_path):
    """The control plane finds them in access logs for half a minute: names must tell the two runs apart."""
    with series.Series() as runs:
        for directory in (tmp_path / "first", tmp_path / "second"):
            runs.run(series.Task("", ["METRIC-013"], str(directory)))
            (result,) = record.read(directory / "report.jsonl").results
            assert result.outcome is Outcome.PASSED, result.message


def test_a_sandbox_that_is_not_as_it_was_is_not_used_again(monkeypatch, tmp_path):
    left = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "left-over"}}
    with series.Series() as runs:
        runs.run(series.Task("", ["CRD-001"], str(tmp_path / "first")))
        stand = runs._stand
        namespace = stand.stage.topology.namespace()
        stand.stage.cluster.create(left | {"metadata": left["metadata"] | {"namespace": namespace}})
        monkeypatch.setattr(series, "SETTLED_WITHIN", 0.2)
        runs.run(series.Task("", ["CRD-001"], str(tmp_path / "second")))
        assert runs._stand is None
