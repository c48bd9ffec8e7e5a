"""Paired differences: the interval holds what it promises, finds what is there, and says when it cannot."""

from __future__ import annotations

import random

import pytest

from conformance.performance import paired
from conformance.performance.probes.growth import fit


def drifting(draw, rounds, added=0.0):
    """Rounds of two paths on a machine that drifts by more than the difference, with a stall now and then."""
    base, other = [], []
    level = 100e-6
    for _ in range(rounds):
        level *= draw.uniform(0.8, 1.25)
        base.append(level + draw.gauss(0, 3e-6) + (draw.random() < 0.1) * 500e-6)
        other.append(level + added + draw.gauss(0, 3e-6) + (draw.random() < 0.1) * 500e-6)
    return base, other


def test_identical_paths_are_called_different_at_most_as_often_as_promised():
    draw = random.Random(7)
    called = sum(paired.difference(*drifting(draw, 10)).differs for _ in range(300))
    assert called <= 9  # 1 % of 300 is 3; 10 or more have a chance of 1 in 900


@pytest.mark.parametrize("rounds", [8, 12, 20])
def test_the_interval_holds_the_truth(rounds):
    draw = random.Random(rounds)
    missed = 0
    for _ in range(200):
        found = paired.difference(*drifting(draw, rounds, added=57e-6))
        missed += not found.low <= 57e-6 <= found.high
    assert missed <= 7


def test_a_difference_is_found_although_the_machine_drifts_by_more():
    found = paired.difference(*drifting(random.Random(3), 12, added=57e-6))
    assert found.differs
    assert found.value == pytest.approx(57e-6, abs=10e-6)


@pytest.mark.parametrize(("rounds", "confidence"), [(1, 0.0), (2, 0.5), (5, 0.9375), (7, 0.984375), (8, 0.99)])
def test_few_rounds_promise_less(rounds, confidence):
    assert paired.estimate([float(n) for n in range(rounds)]).confidence == confidence


def test_few_rounds_reach_from_the_least_to_the_greatest():
    found = paired.estimate([3.0, 1.0, 2.0, 9.0, 5.0])
    assert (found.low, found.value, found.high) == (1.0, 3.0, 9.0)


def test_one_disturbed_round_moves_nothing():
    quiet = paired.estimate([57e-6 + n * 1e-7 for n in range(12)])
    disturbed = paired.estimate([57e-6 + n * 1e-7 for n in range(11)] + [1.0])
    assert disturbed.value == pytest.approx(quiet.value, abs=1e-6)
    assert disturbed.high < 1.0


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_no_estimate_without_numbers(samples):
    with pytest.raises(ValueError, match="no median"):
        paired.estimate(samples)


def test_unequal_rounds_are_not_paired():
    with pytest.raises(ValueError, match="cannot be paired"):
        paired.difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no base for a ratio"):
        paired.ratios([0.0, 2.0], [1.0, 1.0])


def test_orders_differ_between_rounds_and_repeat_with_the_seed():
    orders = paired.orders(["a", "b", "c"], 40, seed=5)
    assert orders == paired.orders(["a", "b", "c"], 40, seed=5)
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert {order[0] for order in orders} == {"a", "b", "c"}


def test_growth_is_found_through_outliers():
    draw = random.Random(1)
    samples = {size: [0.05 + size * 2e-5 + draw.gauss(0, 0.002) for _ in range(10)] for size in (10, 100, 1000)}
    samples[100][0] = 3.0
    growth = fit(samples)
    assert growth.slope.low <= 2e-5 <= growth.slope.high
    assert growth.slope.differs
    assert growth.at(500) == pytest.approx(0.06, abs=0.003)


def test_what_does_not_grow_has_no_slope():
    draw = random.Random(2)
    assert not fit({size: [0.05 + draw.gauss(0, 0.002) for _ in range(10)] for size in (10, 100, 1000)}).slope.differs


def test_growth_takes_two_sizes():
    with pytest.raises(ValueError, match="two sizes"):
        fit({10: [1.0, 2.0]})
