"""The probes' plugin: what a probe finds becomes figures, files and the right exit code."""

from __future__ import annotations

import matplotlib.figure  # noqa: F401 - pytester forgets what a test imported, and numpy cannot be loaded twice
import pytest
from sample_runs import header

from conformance import cli, paths
from conformance.exit_code import ExitCode
from conformance.performance import record

pytest_plugins = ["pytester"]

HEAD = """
import pytest
from conformance.cluster import ClusterError
from conformance.performance.model import Invalidity
from conformance.performance.probe import probe
from conformance.probing import HEADER
from conformance.smi import NotServed
from sample_runs import header

@pytest.fixture(scope="session")
def mesh(request):
    return request.param

@pytest.fixture(autouse=True)
def known(request):
    request.config.stash[HEADER] = header()
"""
FOUND = """
@probe("found")
def test_found(mesh, findings):
    '''Something that is found.'''
    findings.median("latency.overhead", "s", [0.001, 0.0012, 0.0011, 0.0010, 0.0012, 0.0011, 0.0012, 0.0011],
                    {"path": "both", "percentile": "p50"})
"""
INVALID = """
@probe("disturbed")
def test_disturbed(mesh, findings):
    '''Something that is disturbed.'''
    findings.invalid([Invalidity("steal", "9 %", "2 %", "both")])
"""


def failing(error):
    return f"""
@probe("failing")
def test_failing(mesh, findings):
    '''Something that fails.'''
    raise {error}
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run probes as `mesh-conformance perf run` does; returns the exit code and the record."""

    def go(source, *options):
        suite = pytester.mkdir("suites")
        monkeypatch.setattr(paths, "suites", lambda: suite)
        (suite / "performance").mkdir()
        (suite / "performance" / "test_demo.py").write_text(HEAD + source)
        directory = pytester.path / "report"
        code = cli.main(["perf", "run", "--report-dir", str(directory), *options])
        found = directory / "performance" / "performance.json"
        return code, record.read(found) if found.exists() else None

    return go


def test_what_is_found_is_recorded_and_passes(run, capsys):
    code, found = run(FOUND)
    assert code == ExitCode.CONFORMANT
    assert [figure.key for figure in found.figures] == ["latency.overhead{path=both,percentile=p50}"]
    assert "1.10 [1.00, 1.20] ms" in capsys.readouterr().out


@pytest.mark.parametrize(("threshold", "expected"), [
    ("latency.overhead{path=both} <= 2ms", ExitCode.CONFORMANT),
    ("latency.overhead{path=both} <= 0.5ms", ExitCode.NONCONFORMANT),
    ("latency.overhead{path=client} <= 2ms", ExitCode.ERROR),  # speaks of no figure
    ("latency.overhead <= 2", ExitCode.ERROR),  # without a unit it speaks of no time
    ("latency.overhead <= 2 furlongs", ExitCode.USAGE),
])
def test_a_threshold_decides(run, threshold, expected):
    assert run(FOUND, "--threshold", threshold)[0] == expected


def test_an_invalid_measurement_is_no_pass(run, capsys):
    code, found = run(FOUND + INVALID)
    assert code == ExitCode.ERROR
    assert [result.valid for result in found.results] == [True, False]
    assert "INVALID  both: steal 9 %, allowed 2 %" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "expected"), [
    ('ClusterError("asking", "no answer")', ExitCode.ERROR),
    ('KeyError("a bug")', ExitCode.ERROR),
    ('NotServed("split.smi-spec.io is not served")', ExitCode.NOTHING),
])
def test_what_goes_wrong_is_no_pass(run, error, expected):
    code, found = run(failing(error))
    assert code == expected
    assert found is None


def test_a_probe_that_fails_takes_nothing_from_the_others(run):
    code, found = run(FOUND + failing('ClusterError("asking", "no answer")'))
    assert code == ExitCode.ERROR
    assert [result.probe for result in found.results] == ["found"]


def test_a_regression_against_a_baseline_fails(run, pytester):
    code, found = run(FOUND)
    assert code == ExitCode.CONFORMANT
    baseline = pytester.path / "baseline.json"
    better = [value / 10 for value in found.figures[0].samples]
    figure = type(found.figures[0])("latency.overhead", "s", 0.0001, 0.0001, 0.0001, 0.99, tuple(better), "lower",
                                    {"path": "both", "percentile": "p50"})
    result = type(found.results[0])("found", "Something", (figure,))
    record.write(baseline, type(found)(header("run-0"), (result,)))
    (pytester.path / "report" / "performance" / "performance.json").unlink()
    assert cli.main(["perf", "run", "--report-dir", "none", "--baseline", str(baseline)]) == ExitCode.NONCONFORMANT
    assert cli.main(["perf", "run", "--report-dir", "none", "--baseline", "none.json"]) == ExitCode.USAGE


@pytest.mark.parametrize("options", [
    ("--probe", "unheard-of"), ("--rounds", "0"), ("--rounds", "many"), ("--seconds", "-1"), ("--seconds", "1h30"),
    ("--rate", "0"), ("--rate", "nan"), ("--seed", "1.5"), ("--config", "none.yaml"),
])
def test_options_that_cannot_be_meant_are_usage_errors(run, options):
    code, found = run(FOUND, *options)
    assert code == ExitCode.USAGE
    assert found is None


def test_a_selection_is_kept_to(run):
    assert run(FOUND + INVALID, "--probe", "fou*")[0] == ExitCode.CONFORMANT


def test_nothing_is_measured_side_by_side(run):
    assert run(FOUND, "-n", "2")[0] == ExitCode.USAGE
