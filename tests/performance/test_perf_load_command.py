"""The harness's half of a load: the command, and a result that is not believed until it has been checked."""

from __future__ import annotations

import pytest
from perf_data import histogram, said

from conformance.performance.bench import merged
from conformance.performance.command import Load, LoadError, parse


def test_the_command_of_an_open_loop_has_a_schedule():
    command = Load("http://server.app:8090/", rate=500.0, seconds=3.0, shape="poisson", seed=4).command()
    assert command["mode"] == "open"
    assert command["schedule"] == {"shape": "poisson", "rate": 500.0, "burst": 16, "seed": 4}
    assert command["duration"] == 3.0


def test_the_command_of_a_closed_loop_has_none():
    command = Load("http://server.app:8090/", rate=None, seconds=3.0, body="hello").command()
    assert command["mode"] == "closed"
    assert "schedule" not in command
    assert command["target"]["body"] == "hello"


def test_a_result_is_read():
    result = parse(said())
    assert result.completed == 2000
    assert result.achieved == 1000.0
    assert result.cpu == pytest.approx(0.2)
    assert result.timeline[0].p50 == pytest.approx(100e-6)


@pytest.mark.parametrize(("part", "place"), [
    ({"completed": -1}, "completed"),
    ({"completed": "2000"}, "completed"),
    ({"elapsed": 0}, "elapsed"),
    ({"errors": {"reset": -3}}, "errors"),
    ({"node": {"busy": 1.5, "steal": 0}}, "busy"),
    ({"timeline": {"interval": 1, "rows": [[1, 2]]}}, "rows"),
    ({"service": {"unit": "s"}}, "service"),
    ({"response": histogram(1, 2, 3).to_json()}, "timed"),
])
def test_a_result_that_cannot_be_is_refused(part, place):
    with pytest.raises(LoadError, match=place):
        parse(said(**part))


def test_a_result_without_a_field_is_refused():
    whole = said()
    del whole["lag"]
    with pytest.raises(LoadError, match="lag"):
        parse(whole)


def test_loads_are_merged_by_count_and_time():
    quick = parse(said())
    slow = parse(said(elapsed=6.0, node={"busy": 0.8, "steal": None}, errors={"reset": 2}, agents={"pod-b": 2000}))
    both = merged([quick, slow])
    assert both.completed == 4000
    assert both.service.count == 4000
    assert both.elapsed == 8.0
    assert both.busy == pytest.approx(0.7)
    assert both.steal == 0.0
    assert both.errors == {"reset": 2}
    assert both.agents == {"pod-a": 2000, "pod-b": 2000}
    assert len(both.timeline) == 8
