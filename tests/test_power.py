"""What the suites' samples can tell, and that all of them are known."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from conformance import paths, power, statistics
from conformance.cli import main
from conformance.client import CONTROL
from conformance.expect import Allowed, Denied, Expectation, Only, Spread, Weights
from conformance.power import Power, power_of
from conformance.rehearsal import Planned, Rehearsal, rehearse
from conformance.report import record
from conformance.requirement import catalogue
from conformance.service import Service


@pytest.fixture(scope="module")
def rehearsals():
    return rehearse(paths.suites())


def echo(name, *workloads, ports=None):
    return Service(name, "app", (name,), frozenset(workloads or [name]), {}, ports or {"http": (8080, 8080)})


def sized(expectation, size=None):
    return Planned("client", expectation, 8080, size or expectation.size)


# --- the suites ---


def test_the_whole_suite_raises_a_false_alarm_seldom_enough(rehearsals):
    assert power.false_alarm(rehearsals) <= statistics.FALSE_ALARM_SUITE
    assert power.false_alarm(rehearsals) >= 10 * statistics.ALPHA, "the splits are judged by their shares"


def test_every_judged_requirement_is_rehearsed_to_its_end(rehearsals):
    assert {one.requirement.id for one in rehearsals} == {row.id for row in catalogue(paths.suites()) if row.judged}
    assert [f"{one.requirement.id}: {one.trouble}" for one in rehearsals if one.trouble] == []


def test_what_some_checks_judge(rehearsals):
    found = {one.requirement.id: one.samples for one in rehearsals}
    (shares,) = found["SPLIT-003"]
    assert (type(shares.expectation), shares.client, shares.size) == (Weights, "client", shares.expectation.size)
    assert {one.client for one in found["SPLIT-014"]} == {"client", "second-client"}
    assert {one.port for one in found["SPLIT-019"]} == {8080, 9090}
    assert {type(one.expectation) for one in found["TARGET-003"]} == {Allowed, Denied}


def test_a_run_judges_what_was_rehearsed(rehearsals, tmp_path):
    wanted = {"SPLIT-014": 1, "TARGET-018": 0}  # and so many controls
    command = [sys.executable, "-m", "conformance.cli", "run", "--requirement", ",".join(wanted),
               "--report-dir", str(tmp_path / "report"), "-q"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results = {result.requirement: result for result in record.read(tmp_path / "report" / "report.jsonl").results}
    planned = {one.requirement.id: one.samples for one in rehearsals}
    for name, controls in wanted.items():
        judged = [(one.client, one.size) for one in planned[name]] + [("client", CONTROL)] * controls
        assert sorted((sample.client, sample.size) for sample in results[name].samples) == sorted(judged)


# --- one sample ---


def test_shares():
    found = power_of(sized(Weights({echo("a"): 90, echo("b"): 10})))
    assert (found.judged, found.false_alarm) == ("shares 90.0% : 10.0%", statistics.ALPHA)
    assert found.deviation == "90.0% served as 84.0% or 96.0%"
    assert found.caught >= 0.9999
    small = power_of(sized(Weights({echo("a"): 90, echo("b"): 10}), 200))
    assert small.caught < 0.2, "a smaller sample tells less"


def test_a_share_close_to_all_can_only_be_shifted_one_way():
    found = power_of(sized(Weights({echo("a"): 99, echo("b"): 1}, effect=0.4)))
    assert found.deviation == "99.0% served as 95.0%"


def test_three_shares_are_as_good_as_the_worst():
    weights = Weights({echo("a"): 5, echo("b"): 2, echo("c"): 1})
    found = power_of(sized(weights))
    assert found.judged == "shares 62.5% : 25.0% : 12.5%"
    each = [
        min(statistics.power(found.size, p, p + sign * 0.2 * (p * (1 - p)) ** 0.5, statistics.ALPHA / 3)
            for sign in (-1, 1)) for p in (0.625, 0.25, 0.125)
    ]
    assert found.caught == pytest.approx(min(each))


def test_one_share_is_no_matter_of_chance():
    found = power_of(sized(Weights({echo("a"): 1, echo("b"): 0}), 500))
    assert (found.judged, found.false_alarm) == ("nobody else answers", 0.0)


def test_spread_counts_the_endpoints_of_the_port():
    service = echo("a", "v1", "v2", ports={"http": (8080, 8080), "other": (9090, 9090)})
    found = power_of(sized(Spread(service, echo("b", "v2", "v3")), 100))
    assert found.judged == "each of 3 endpoints answers"
    assert found.false_alarm == pytest.approx(3 * 0.8**100)
    assert power_of(sized(Spread(echo("a")))).false_alarm == 0


@pytest.mark.parametrize("expectation", [Only(echo("a")), Allowed(echo("a")), Denied()])
def test_a_leak_that_is_caught(expectation):
    found = power_of(sized(expectation, 100))
    assert found.false_alarm == 0
    leak = float(found.deviation.split("%")[0]) / 100
    assert 1 - (1 - leak) ** 100 == pytest.approx(found.caught, abs=1e-5)


class Unheard(Expectation):
    size = 10

    def wanted(self, port):
        return ""

    def plausible(self, seen):
        pass

    def judge(self, seen):
        raise AssertionError


def test_an_expectation_without_figures_is_an_error():
    with pytest.raises(TypeError, match="the false-alarm rate of Unheard is not known"):
        power_of(sized(Unheard()))


# --- suites that cannot be counted ---

SUITE = '''
from conformance.expect import Weights
from conformance.requirement import requirement

@requirement("X-001", level="M", versions=("v1alpha4",), api="split.smi-spec.io")
def test_one({arguments}):
    """Something holds."""
    {body}
'''


def rehearsed(tmp_path, body, arguments="client, service"):
    (tmp_path / "test_x.py").write_text(textwrap.dedent(SUITE).format(body=body, arguments=arguments))
    (found,) = rehearse(tmp_path)
    return found


def test_a_check_that_cannot_be_rehearsed_is_not_passed_over(tmp_path):
    found = rehearsed(tmp_path, "client.sees(service, None)", arguments="client, magic")
    assert found.trouble == "cannot be rehearsed with magic"
    assert not power.holds([found])
    assert "X-001 is not counted in full: cannot be rehearsed with magic" in power.render([found])


def test_a_check_that_stops_is_not_counted_in_full(tmp_path):
    body = "a = service('a', 'v1'); client.sees(a, Weights({a: 1}), requests=7); raise ValueError('broken')"
    found = rehearsed(tmp_path, body)
    assert [one.size for one in found.samples] == [7]
    assert found.trouble == "its rehearsal ended with ValueError: broken"


def test_controls_and_observations_are_no_verdicts(tmp_path):
    found = rehearsed(tmp_path, "a = service('a', 'v1'); client.control(a); client.observes(a); client.is_denied(a)")
    assert [type(one.expectation) for one in found.samples] == [Denied]


def test_too_many_checks_are_said(rehearsals):
    (shares,) = (one for one in rehearsals if one.requirement.id == "SPLIT-003")
    assert power.holds([shares] * 100)
    assert not power.holds([shares] * 101)


# --- the command ---


def test_the_command_prints_the_table(capsys):
    assert main(["requirements", "--statistics", "--requirement", "SPLIT-003,SPLIT-012,SPLIT-023"]) == 0
    out = capsys.readouterr().out
    assert "90.0% served as 84.0% or 96.0%" in out
    assert "3 samples are judged, each once; 0 of 2 judged requirements need none." in out
    assert "probability of at most 1.0e-06; 1e-04 is allowed" in out


def test_the_command_prints_markdown(capsys):
    assert main(["requirements", "--statistics", "--requirement", "SPLIT-003", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| requirement")


def test_statistics_are_not_printed_as_json(capsys):
    assert main(["requirements", "--statistics", "--format", "json"]) == 2
    assert "leave out --format json" in capsys.readouterr().err


def test_what_is_not_judged_has_no_statistics(capsys):
    assert main(["requirements", "--statistics", "--requirement", "SPLIT-023"]) == 4
    assert "none of these requirements is judged" in capsys.readouterr().err


def test_a_power_is_never_written_as_more_than_it_is():
    rehearsal = Rehearsal(next(row for row in catalogue(paths.suites()) if row.judged),
                          (sized(Weights({echo("a"): 1, echo("b"): 1})),))
    caught = power_of(rehearsal.samples[0]).caught
    written = float(power.render([rehearsal]).splitlines()[2].split()[-1])
    assert 0 <= caught - written < 1.1e-5
    assert isinstance(power_of(rehearsal.samples[0]), Power)
