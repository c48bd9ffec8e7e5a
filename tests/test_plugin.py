"""The plugin: what a check raises becomes the right outcome, record and exit code, with and without workers."""

from __future__ import annotations

import tempfile

import pytest

from conformance import checks, cli, paths
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record
from conformance.report.lock import DirectoryLock

pytest_plugins = ["pytester"]

HEAD = """
from types import SimpleNamespace

import pytest
from conformance.checks import Unjudged
from conformance.cluster import ClusterError
from conformance.outcome import Nonconformance, Outcome
from conformance.requirement import requirement
from conformance.smi import NotExpressible

@pytest.fixture(scope="session")
def mesh(request):
    return request.param

def row(number, level="B", **more):
    return requirement(f"DEMO-{number:03}", level=level, versions=("v1alpha4",), api="demo.example", **more)
"""

CHECKS = {
    "passes": ("B", "pass", Outcome.PASSED, ExitCode.CONFORMANT),
    "violates": ("B", 'raise Nonconformance("bread", "stone")', Outcome.FAILED, ExitCode.NONCONFORMANT),
    "should": ("S", 'raise Nonconformance("bread", "cake")', Outcome.FAILED, ExitCode.CONFORMANT),
    "cluster": ("B", 'raise ClusterError("asking", "no answer")', Outcome.ERROR, ExitCode.ERROR),
    "bug": ("B", 'raise KeyError("oops")', Outcome.ERROR, ExitCode.ERROR),
    "plain assert": ("B", "assert 1 == 2", Outcome.ERROR, ExitCode.ERROR),
    "observed": ("N", "pass", Outcome.OBSERVED, ExitCode.NOTHING),
    "odd but open": ("N", 'raise Nonconformance("x", "y")', Outcome.OBSERVED, ExitCode.NOTHING),
    "bug while observing": ("O", "1 / 0", Outcome.ERROR, ExitCode.ERROR),
    "not expressible": ("B", 'raise NotExpressible("no such field")', Outcome.NOT_APPLICABLE, ExitCode.NOTHING),
    "unsupported": ("B", 'raise Unjudged(Outcome.UNSUPPORTED, "not served")', Outcome.UNSUPPORTED, ExitCode.NOTHING),
    "skipped": ("B", 'pytest.skip("left out")', Outcome.SKIPPED, ExitCode.ERROR),
}


def check(number, level, body):
    return f'@row({number}, "{level}")\ndef test_{number}(mesh):\n    """Demands something."""\n    {body}\n\n'


@pytest.fixture
def run(pytester, monkeypatch):
    """Run checks as `mesh-conformance run` does; returns the exit code, the output and the record."""

    def go(source, *options):
        suite = pytester.mkdir("suites")
        monkeypatch.setattr(paths, "suites", lambda: suite)
        monkeypatch.setattr(checks, "dump", lambda *_: [])  # there is no cluster to ask
        (suite / "smi").mkdir()
        (suite / "smi" / "test_demo.py").write_text(HEAD + source)
        directory = pytester.path / "report"
        code = cli.main(["run", "--report-dir", str(directory), *options])
        found = directory / "report.jsonl"
        return code, record.read(found) if found.exists() else None

    return go


@pytest.mark.parametrize("name", CHECKS)
def test_outcome_and_exit_code(run, name, capsys):
    level, body, outcome, code = CHECKS[name]
    exit_code, report = run(check(1, level, body))
    assert [result.outcome for result in report.results] == [outcome]
    assert exit_code == code == report.footer.exit_code
    bugs = ("bug", "plain assert", "bug while observing")
    assert (">  " in capsys.readouterr().out) == (name in bugs)  # a traceback shows the source line
    assert report.results[0].reproduce == "mesh-conformance run --requirement DEMO-001"


def test_a_violation_is_told_in_words_and_a_bug_with_its_traceback(run, capsys):
    run(check(1, "B", CHECKS["violates"][1]) + check(2, "B", CHECKS["bug"][1]))
    output = capsys.readouterr().out
    assert "wanted bread" in output
    assert "got stone" in output
    assert "KeyError" in output
    assert "raise Nonconformance" not in output


def test_an_error_in_cleaning_up_is_an_error(run):
    source = '''
@pytest.fixture
def objects():
    yield
    raise ClusterError("removing", "stuck")

@row(1)
def test_1(mesh, objects):
    """Demands something."""
'''
    code, report = run(source)
    assert (code, report.results[0].outcome) == (ExitCode.ERROR, Outcome.ERROR)
    assert "stuck" in report.results[0].message


@pytest.mark.parametrize(("other", "bugs"), [('ClusterError("deleting", "no server")', 0), ('KeyError("oops")', 1)])
def test_several_errors_in_cleaning_up_are_all_told_in_words_but_for_bugs(run, capsys, other, bugs):
    source = f'''
@pytest.fixture
def service():
    yield
    raise ClusterError("removing", "stuck")

@pytest.fixture
def objects():
    yield
    raise {other}

@row(1)
def test_1(mesh, objects, service):
    """Demands something."""
'''
    code, report = run(source)
    assert (code, report.results[0].outcome) == (ExitCode.ERROR, Outcome.ERROR)
    first, second = sorted(report.results[0].message.splitlines())
    assert (first, second) in [("deleting: no server", "removing: stuck"),
                               ("removing: stuck", "unexpected KeyError: 'oops'")]
    assert capsys.readouterr().out.count("Exception Group Traceback") == bugs


def test_an_error_in_setting_up_is_an_error_of_each_check(run):
    source = """
@pytest.fixture(scope="session")
def cluster():
    raise ClusterError("opening", "no server")
""" + "".join(check(number, "B", "pass").replace("(mesh)", "(mesh, cluster)") for number in (1, 2))
    code, report = run(source)
    assert code == ExitCode.ERROR
    assert [result.outcome for result in report.results] == [Outcome.ERROR] * 2
    assert all("no server" in result.message for result in report.results)


@pytest.mark.parametrize(("disturbances", "outcome"), [([], Outcome.FAILED), (["pod v1 has restarted"], Outcome.ERROR)])
def test_a_violation_seen_while_pods_were_disturbed_is_an_error(run, capsys, disturbances, outcome):
    source = f'''
class Topology:
    run = "x"
    cluster = SimpleNamespace(list=lambda *_, **__: ([], "1"))

    def outside(self):
        return ()

    def disturbances(self):
        return {disturbances!r}

    def renew(self):
        print("lost pods were looked for")

@pytest.fixture
def topology():
    return Topology()

@row(1)
def test_1(mesh, topology):
    """Demands something."""
    raise Nonconformance("bread", "stone")

@row(2)
def test_2(mesh):
    """Comes later."""
'''
    _, report = run(source)
    assert report.results[0].outcome is outcome
    assert ("restarted" in report.results[0].message) == bool(disturbances)
    assert ("lost pods were looked for" in capsys.readouterr().out) == bool(disturbances)


UNCLEAN = """
@pytest.fixture
def objects():
    yield
    raise ClusterError("deleting", "no answer")

@row(1, "{level}")
def test_1(mesh, objects):
    \"\"\"Demands something.\"\"\"
    {body}
"""


@pytest.mark.parametrize(("body", "level", "outcome"), [
    ('raise Unjudged(Outcome.UNSUPPORTED, "not claimed")', "B", Outcome.ERROR),
    ('raise NotExpressible("no such field")', "B", Outcome.ERROR),
    ('pytest.skip("not now")', "B", Outcome.ERROR),
    ('raise Nonconformance("bread", "stone")', "S", Outcome.ERROR),
    ('raise Nonconformance("bread", "stone")', "B", Outcome.FAILED),
])
def test_what_could_not_be_cleaned_up_is_told_whatever_came_before(run, body, level, outcome):
    code, report = run(check(2, "B", "pass") + UNCLEAN.format(body=body, level=level))
    [result] = [result for result in report.results if result.requirement == "DEMO-001"]
    assert result.outcome is outcome
    assert "deleting: no answer" in result.message
    assert len(result.message.splitlines()) >= 2, "what came before is told, too"
    assert code == (ExitCode.NONCONFORMANT if outcome is Outcome.FAILED else ExitCode.ERROR)


def test_a_known_failure_does_not_hide_what_could_not_be_cleaned_up(run, tmp_path):
    known = tmp_path / "known.yaml"
    known.write_text('- requirement: DEMO-001\n  reason: it is so\n  link: https://example.com/1\n  since: "1.0"\n')
    code, report = run(check(2, "B", "pass") + UNCLEAN.format(body='raise Nonconformance("a", "b")', level="B"),
                       "--known-failing", str(known))
    assert code == ExitCode.ERROR
    assert Outcome.ERROR in {result.outcome for result in report.results}


@pytest.mark.parametrize("plain", [
    "def test_plain():\n    assert 1 == 2\n",
    """
@pytest.fixture(scope="session")
def thing():
    yield
    raise RuntimeError("something is left")

def test_plain(thing):
    pass
""",
])
def test_what_fails_beside_the_checks_is_not_hidden_by_their_verdict(run, plain):
    code, _ = run(check(1, "B", "pass") + plain)
    assert code == ExitCode.ERROR


@pytest.mark.parametrize(("options", "code"), [
    (["--collect-only"], ExitCode.CONFORMANT),
    (["-m", "nope"], ExitCode.NOTHING),
    (["--requirement", "DEMO-999"], ExitCode.USAGE),
])
def test_a_run_that_measures_nothing_leaves_an_earlier_report_alone(run, pytester, options, code):
    _, before = run(check(1, "B", "pass"))
    ended = cli.main(["run", "--report-dir", str(pytester.path / "report"), *options])
    assert record.read(pytester.path / "report" / "report.jsonl") == before
    assert ended == code


def test_a_report_directory_in_use_is_a_mistake_of_usage_whatever_was_selected(run, pytester):
    directory = pytester.path / "report"
    lock = DirectoryLock(directory)
    try:
        code, _ = run(check(1, "B", "pass"), "--requirement", "DEMO-001")
    finally:
        lock.release()
    assert code == ExitCode.USAGE


def test_a_pass_while_pods_were_disturbed_is_an_error(run):
    source = """
class Topology:
    def disturbances(self):
        return ["pod guarded-1 is gone"]

    def renew(self):
        pass

@pytest.fixture
def topology():
    return Topology()

@row(1)
def test_1(mesh, topology):
    \"\"\"Demands that something is denied: so it is where nobody is there.\"\"\"
"""
    code, report = run(source)
    assert (code, report.results[0].outcome) == (ExitCode.ERROR, Outcome.ERROR)
    assert "guarded-1 is gone" in report.results[0].message


def test_workers_report_as_one_run(run, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    source = "".join(check(number, "B", "pass") for number in range(1, 7))
    code, report = run(source, "-n", "2")
    assert code == ExitCode.CONFORMANT
    assert sorted(result.requirement for result in report.results) == [f"DEMO-{n:03}" for n in range(1, 7)]
    assert {result.worker for result in report.results} <= {"gw0", "gw1"}
    assert not list(place.iterdir())


def test_an_interrupted_run_says_so_and_is_no_pass(run):
    code, report = run(check(1, "B", "pass") + check(2, "B", "raise KeyboardInterrupt"))
    assert code == ExitCode.INTERRUPTED
    assert report.footer.interrupted
    assert report.footer.verdicts[0].compliance == "incomplete"


def test_selection_is_by_id_glob_and_level(run):
    source = check(1, "B", "pass") + check(2, "M", "pass") + check(3, "N", "pass")
    code, report = run(source, "--requirement", "demo-00*", "--level", "M")
    assert code == ExitCode.CONFORMANT
    assert [result.requirement for result in report.results] == ["DEMO-002"]
    assert report.footer.verdicts[0].left_out == 1


def test_pytests_keywords_find_a_requirement_by_its_id(run):
    _, report = run(check(1, "B", "pass") + check(2, "M", "pass"), "-k", "DEMO-002")
    assert [result.requirement for result in report.results] == ["DEMO-002"]


@pytest.mark.parametrize("number", ["-1", "two", ""])
def test_a_number_of_workers_that_there_cannot_be(number, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "-n", number])
    assert ended.value.code == ExitCode.USAGE
    assert "is no number of workers" in capsys.readouterr().err


def test_help_says_that_other_options_are_pytests(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "[PYTEST OPTIONS]" in told
    assert "Options that are not listed here go to pytest" in told
    assert "B (behaviour)" in told


@pytest.mark.parametrize(("options", "code", "complaint"), [
    (["--requirement", "DEMO-9"], ExitCode.USAGE, "no requirement matches"),
    (["--requirement", "DEMO-001", "--level", "O"], ExitCode.NOTHING, "no requirement has one of these"),
    (["--level", "X"], ExitCode.USAGE, "no requirement level"),
    (["--mesh", "referense"], ExitCode.USAGE, "Did you mean 'reference'"),
    (["--smi", "v9"], ExitCode.USAGE, "no SMI version or dialect"),
    (["--context", "x", "--mutant", "y"], ExitCode.USAGE, "for the sandbox"),
    (["--kubeconfig", "/nowhere"], ExitCode.USAGE, "No such file"),
    (["--report-dir", "/dev/null/x"], ExitCode.ERROR, "--report-dir"),
    (["--colour-of-the-mesh"], ExitCode.USAGE, "unrecognized arguments"),
    (["DEMO-001"], ExitCode.USAGE, "did you mean --requirement DEMO-001?"),
])
def test_what_cannot_be_meant_is_refused_before_anything_runs(run, capsys, options, code, complaint):
    exit_code, report = run(check(1, "B", "pass"), *options)
    assert exit_code == code
    assert report is None
    shown = capsys.readouterr()
    assert complaint in shown.err + shown.out
    assert "Traceback" not in shown.err + shown.out


def test_tests_that_are_no_checks_are_left_alone(pytester):
    pytester.makepyfile("def test_plain():\n    assert 1 + 1 == 2\n")
    result = pytester.runpytest_inprocess("-p", "conformance.plugin")
    result.assert_outcomes(passed=1)
    assert not (pytester.path / "conformance-report").exists()


def test_the_marker_of_probes_is_known_to_who_only_reads_the_catalogue(pytester):
    pytester.makepyfile("""
        from conformance.performance.probe import probe
        @probe("one")
        def test_one():
            "Measures nothing."
    """)
    result = pytester.runpytest_inprocess("-p", "conformance.plugin", "-W", "error::pytest.PytestUnknownMarkWarning")
    result.assert_outcomes(passed=1)
