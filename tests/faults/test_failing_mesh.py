"""What a run leaves for whoever has to find out why a mesh failed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from conformance.exit_code import ExitCode
from conformance.outcome import Outcome


def test_a_failure_is_recorded_with_its_figures_and_dumped(run, tmp_path, capsys):
    stale = tmp_path / "report" / "failures" / "SPLIT-001"
    stale.mkdir(parents=True)
    began = datetime.now(UTC)
    code, report = run("--mutant", "weights-84-16", "--requirement", "SPLIT-003")
    result = report.results[0]
    assert (code, result.outcome) == (ExitCode.NONCONFORMANT, Outcome.FAILED)
    started = datetime.fromisoformat(report.header.started)
    assert abs(started - began) < timedelta(seconds=5)
    assert report.footer.duration > 1
    measured = result.samples[-1]
    assert measured.alpha == 1e-6
    assert measured.p_value < 1e-6
    assert all(low < high for low, high in measured.expected.values())
    assert {obj["kind"] for obj in result.applied} == {"Service", "TrafficSplit"}
    assert result.reproduce == "mesh-conformance run --mutant weights-84-16 --requirement SPLIT-003"
    assert result.reproduce in capsys.readouterr().out

    dump = tmp_path / "report" / "failures" / "SPLIT-003"
    assert "HTTP/1.1 200 OK" in (dump / "exchanges.txt").read_text()
    assert "kind: TrafficSplit" in (dump / "applied.yaml").read_text()
    assert "configs" in json.loads((dump / "proxy-client.json").read_text())
    assert "PRIVATE KEY" not in (dump / "proxy-client.json").read_text()
    assert "client is Running" in (dump / "pods.txt").read_text()
    assert not stale.exists()


def test_a_preview_judges_nothing(run, tmp_path, capsys):
    code, report = run("--dry-run", "--smi", "v1alpha2", "--requirement", "SPLIT-003,SPLIT-024,SPLIT-031")
    shown = capsys.readouterr().out
    assert (code, report) == (ExitCode.CONFORMANT, None)
    for line in ("be judged", "be not-applicable: split.smi-spec.io/v1alpha2", "be observed", "serves v1alpha2"):
        assert line in shown
    assert not (tmp_path / "report").exists()


def test_a_mesh_that_never_takes_a_change_in_is_waited_for_once_and_the_rest_goes_on(run):
    code, report = run("--mutant", "updates-ignored", "--requirement", "SPLIT-007,SPLIT-011")
    found = {result.requirement: result for result in report.results}
    assert code == ExitCode.NONCONFORMANT
    assert found["SPLIT-011"].outcome is Outcome.FAILED
    assert "not in effect within 5 s" in found["SPLIT-011"].message
    assert re.match(r"GET http://split-011-[0-9a-f]{4}-root-1\.", found["SPLIT-011"].samples[0].request)
    assert found["SPLIT-007"].outcome is Outcome.PASSED
