"""Each gate closes on what it is for, says what it found, and stays open otherwise."""

from __future__ import annotations

import pytest
from perf_data import histogram, said

from conformance.performance.command import Load, parse
from conformance.performance.validity import CLOSED, DISTURBED, beyond, gates, saturated

OPEN_LOOP = Load("http://server.app:8090/", rate=1000.0, seconds=2.0)
CLOSED_LOOP = Load("http://server.app:8090/", rate=None, seconds=2.0)


def closed_gates(load=OPEN_LOOP, limits=None, **parts):
    return [found.gate for found in gates(load, parse(said(**parts)), limits)]


def test_an_undisturbed_load_is_valid():
    assert closed_gates() == []


@pytest.mark.parametrize(("gate", "parts"), [
    ("achieved rate", {"sent": 1950}),
    ("dropped requests", {"unsent": 3}),
    ("errors", {"errors": {"reset": 5}}),
    ("client CPU", {"cpu": {"user": 1.0, "system": 0.6}}),
    ("schedule lag", {"lag": histogram(50_000, 2_000_000, times=1000).to_json()}),
    ("steal", {"node": {"busy": 0.4, "steal": 0.05}}),
    ("node CPU", {"node": {"busy": 0.99, "steal": 0.0}}),
])
def test_a_gate_closes(gate, parts):
    assert closed_gates(**parts) == [gate]


@pytest.mark.parametrize("parts", [
    {"sent": 1985},
    {"errors": {"reset": 2}},
    {"cpu": {"user": 0.7, "system": 0.6}},
    {"node": {"busy": 0.94, "steal": 0.019}},
    {"node": None},
])
def test_a_gate_stays_open_up_to_its_limit(parts):
    assert closed_gates(**parts) == []


def test_what_failed_is_named():
    load = parse(said(errors={"reset": 7, "status": 90}))
    assert "97 of 2097 (status 90, reset 7)" in str(gates(OPEN_LOOP, load)[0])


def test_nothing_answered_is_no_result():
    empty = histogram().to_json()
    parts = {"completed": 0, "service": empty, "response": empty, "errors": {"refused": 2000}}
    assert closed_gates(limits=DISTURBED, **parts) == ["answers"]


def test_errors_may_be_the_figure():
    assert closed_gates(limits=DISTURBED, errors={"reset": 500}) == []


@pytest.mark.parametrize(("share", "requests", "closes"), [
    (0.5, 20, False), (0.9, 100, False), (0.9, 99, True), (0.99, 1000, False), (0.99, 999, True), (0.999, 9999, True),
    (1.0, 1, False),
])
def test_a_percentile_takes_requests_beyond_it(share, requests, closes):
    assert [found.gate for found in beyond(requests, share)] == (["sample size"] if closes else [])


def test_a_closed_loop_may_fill_the_node_but_the_ceiling_is_not_the_clients():
    assert closed_gates(CLOSED_LOOP, node={"busy": 1.0, "steal": 0.0}) == []
    busy = said(cpu={"user": 1.0, "system": 0.95})
    assert closed_gates(CLOSED_LOOP, CLOSED, cpu=busy["cpu"]) == []
    assert [found.gate for found in saturated(parse(busy))] == ["client CPU"]
    assert not saturated(parse(said()))


def test_a_random_schedule_may_be_short_by_chance():
    load = Load("http://server.app:8090/", rate=1000.0, seconds=2.0, shape="poisson")
    assert closed_gates(load, sent=1900) == []
    assert closed_gates(load, sent=1700) == ["achieved rate"]


def test_it_says_where():
    assert gates(OPEN_LOOP, parse(said(unsent=1)), where="both")[0].where == "both"
