"""The score: its arithmetic by hand, its bounds, and that it is none rather than a guess."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from smp_samples import FIGURES, load, run

from conformance.performance.smp import rules, score
from conformance.performance.smp.consumed import Consumed, consumed
from conformance.performance.smp.score import RESOURCES, WeightError

FULL = Consumed("both", 2, 1.0, 1e9, 0.5, 2e9, 4.0, 0.002, 1000.0, 10.0, 10e9)


def test_by_hand():
    # compute: 0.9, 0.95, 0.6; memory: 0.9, 0.8
    assert score.of(FULL).value == pytest.approx(100 * ((0.9 + 0.95 + 0.6) / 3 + (0.9 + 0.8) / 2) / 2)
    weighed = score.of(FULL, {"node.cpu": 0.5, "proxy.memory": -0.5})
    compute = (0.9 + 0.95 + 1.5 * 0.6) / 3.5
    memory = (0.5 * 0.9 + 0.8) / 1.5
    assert weighed.value == pytest.approx(100 * (compute + memory) / 2)


def test_from_a_run():
    found = score.score(run())
    assert found.value == pytest.approx(100 * ((3 - (0.252 + 0.02 + 0.6) / 8) / 3
                                               + (2 - 250.2e6 / (16 << 30)) / 2) / 2)
    assert (found.p99, found.rate, found.missing) == (0.0005, 1000.0, ())


def test_idle_is_100_and_full_is_0():
    idle = replace(FULL, proxy_cpu=0.0, proxy_memory=0.0, control_cpu=0.0, control_memory=0.0, node_cpu=0.0)
    assert score.of(idle).value == 100.0
    full = replace(FULL, proxy_cpu=99.0, proxy_memory=1e12, control_cpu=99.0, control_memory=1e12, node_cpu=99.0)
    assert score.of(full).value == 0.0


def test_more_use_is_never_a_better_score():
    draw = random.Random(3)
    for _ in range(500):
        weights = {name: draw.uniform(-0.5, 0.5) for name in RESOURCES}
        use = replace(FULL, proxy_cpu=draw.expovariate(0.3), node_cpu=draw.expovariate(0.3),
                      control_memory=draw.expovariate(1e-9))
        found = score.of(use, weights).value
        assert 0 <= found <= 100
        assert score.of(replace(use, proxy_cpu=use.proxy_cpu + 1), weights).value <= found


@pytest.mark.parametrize(("change", "named"), [
    ({"proxy_cpu": None}, "proxy.cpu{path=both}"), ({"proxy_memory": None}, "proxy.memory{path=both}"),
    ({"control_cpu": None}, "control_plane.cpu{path=both}"), ({"node_cpu": math.nan}, "node.cpu{path=both}"),
    ({"control_memory": -1.0}, "control_plane.memory{path=both}"), ({"p99": None}, "p99 of the path both"),
    ({"rate": None}, "rate of the path both"), ({"p99": math.inf}, "p99 of the path both"),
    ({"cores": 0.0}, "the cores of the nodes"), ({"memory": math.nan}, "the memory of the nodes"),
])
def test_without_an_input_there_is_no_score(change, named):
    found = score.of(replace(FULL, **change))
    assert found.value is None
    assert named in found.missing
    text = score.render(found)
    assert text.startswith("score none")
    assert named in text
    assert "nan" not in text


def test_a_run_that_measured_nothing_has_no_score():
    found = score.score(run(figures=()))
    assert found.value is None
    assert len(found.missing) == 7


def test_another_path_is_another_score():
    found = score.score(run(), path="direct")
    assert found.value is None
    assert "proxy.cpu{path=direct}" in found.missing


def test_the_latency_is_that_of_the_plain_load():
    assert consumed(run()).p99 == 0.0005
    closed = run(load(requested=None))
    assert consumed(closed).rate is None
    assert consumed(run(figures=FIGURES[-1:])).p99 is None


def test_weights_as_people_give_them():
    assert score.parse_weights(["proxy.cpu=+50%", "node.cpu=-0.2", "proxy.memory = 10 %"]) == {
        "proxy.cpu": 0.5, "node.cpu": -0.2, "proxy.memory": pytest.approx(0.1)}


@pytest.mark.parametrize(("text", "said"), [
    ("proxy.cpu", "write NAME=WEIGHT"), ("proxy.cpu=lots", "neither a number"), ("proxy.cpu=", "neither a number"),
    ("proxy.cpu=51%", "from -50% to +50%"), ("proxy.cpu=nan", "from -50% to +50%"), ("proxy.gpu=1%", "known are"),
])
def test_weights_that_are_none(text, said):
    with pytest.raises(WeightError) as caught:
        score.parse_weights([text])
    assert said in str(caught.value)


def test_the_definition_and_the_values_stand_beside_the_score():
    text = score.render(score.of(FULL, {"node.cpu": 0.5}))
    assert text.startswith("score 81.8 of 100, path both, p99 2.000 ms at 1000.0/s\n")
    assert score.definition({"node.cpu": 0.5}) in text
    assert "node.cpu (w = +50%)" in text
    for name in RESOURCES:
        assert name in text
    assert "0.9500" in text


def test_the_documentation_has_the_definition_and_every_rule():
    text = (Path(__file__).parents[2] / "docs" / "smp.md").read_text(encoding="utf-8")
    assert score.definition() in text
    assert rules.describe() in text
