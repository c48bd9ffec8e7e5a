"""When requests are meant to be sent."""

from itertools import islice, pairwise

import pytest

from conformance.performance.load.fields import CommandError
from conformance.performance.load.schedule import SECOND, Schedule, read_schedule


def first(count, *schedule):
    return list(islice(Schedule(*schedule).times(), count))


def test_uniform_times_do_not_drift():
    # 3/s has no whole step: after a million requests a sum of rounded steps would be a third of a millisecond off.
    times = islice(Schedule("uniform", 3.0).times(), 1_000_000, 1_000_001)
    assert abs(next(times) - 1_000_000 * SECOND / 3) <= 1


def test_uniform_steps_differ_by_rounding_alone():
    gaps = {after - before for before, after in pairwise(first(10_000, "uniform", 7_777.0))}
    assert max(gaps) - min(gaps) <= 1


def test_bursts_come_at_once_and_keep_the_mean_rate():
    times = first(160, "burst", 1000.0, 16)
    assert [times.count(time) for time in sorted(set(times))] == [16] * 10
    assert sorted(set(times)) == [number * 16_000_000 for number in range(10)]


def test_poisson_has_the_rate_the_variance_and_the_memory_of_its_seed():
    times = first(40_000, "poisson", 2000.0, 1, 5)
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(500_000, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)  # of exponential gaps
    assert times == first(40_000, "poisson", 2000.0, 1, 5)
    assert times[:10] != first(10, "poisson", 2000.0, 1, 6)


@pytest.mark.parametrize("shape", ["uniform", "poisson", "burst"])
@pytest.mark.parametrize("rate", [0.7, 3.0, 999.9])
@pytest.mark.parametrize("end", [0, 1, SECOND // 3, SECOND, 7 * SECOND])
def test_count_is_what_the_times_say(shape, rate, end):
    schedule = Schedule(shape, rate, 4, 1)
    assert schedule.count(end) == sum(1 for time in first(10_000, shape, rate, 4, 1) if time < end)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ({}, "schedule.rate is missing"),
        ({"rate": 0}, "schedule.rate: need a number from 0.001"),
        ({"rate": -1}, "schedule.rate"),
        ({"rate": float("nan")}, "schedule.rate"),
        ({"rate": True}, "schedule.rate"),
        ({"rate": 1, "shape": "sine"}, "schedule.shape: need uniform or poisson or burst, not 'sine'"),
        ({"rate": 1, "burst": 0}, "schedule.burst"),
        ({"rate": 1, "seed": 1.5}, "schedule.seed"),
        ({"rate": 1, "jitter": 1}, "schedule.jitter: there is no such field"),
        ([1], "schedule: .* is no JSON object"),
    ],
)
def test_what_is_no_schedule_is_said(command, message):
    with pytest.raises(CommandError, match=message):
        read_schedule(command)
