"""The histogram: precise, mergeable, and suspicious of what it reads."""

from __future__ import annotations

import math
import random

import pytest

from conformance.performance.histogram import LAST, LIMIT, Histogram, bounds, bucket


def test_every_value_lies_in_its_bucket_and_no_bucket_is_wider_than_a_128th():
    for index in range(LAST + 1):
        low, high = bounds(index)
        assert bucket(low) == bucket(high - 1) == index
        assert high - low <= max(1, low / 128)
    assert bucket(LIMIT) == bucket(10 * LIMIT) == LAST


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999, 0.9999])
def test_percentiles_are_within_half_a_percent_of_the_exact_ones(share):
    draw = random.Random(11)
    values = sorted(int(draw.lognormvariate(11.5, 1.5)) for _ in range(20_000))
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = values[math.ceil(share * len(values)) - 1]
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.004)


def test_the_ends_are_exact():
    histogram = Histogram()
    for value in (123_457, 998_877, 55_555_555):
        histogram.record(value)
    assert (histogram.percentile(0), histogram.percentile(1)) == (123_457, 55_555_555)
    assert histogram.mean == pytest.approx((123_457 + 998_877 + 55_555_555) / 3)


def test_a_negative_time_counts_as_none():
    histogram = Histogram()
    histogram.record(-5)
    assert (histogram.min, histogram.max, histogram.count) == (0, 0, 1)


def test_merging_is_the_same_as_counting_together():
    draw = random.Random(5)
    parts, whole = [Histogram() for _ in range(4)], Histogram()
    for number in range(8000):
        value = int(draw.expovariate(1e-5))
        parts[number % 4].record(value)
        whole.record(value)
    merged = Histogram()
    for part in parts:
        merged.merge(part)
    assert merged.to_json() == whole.to_json()
    merged.merge(Histogram())
    assert merged.to_json() == whole.to_json()


def test_it_survives_json():
    histogram = Histogram()
    for value in (0, 1, 255, 256, 10**9):
        histogram.record(value, 3)
    assert Histogram.from_json(histogram.to_json()).to_json() == histogram.to_json()
    assert Histogram.from_json(Histogram().to_json()).count == 0


@pytest.mark.parametrize("change", [
    {"unit": "ms"}, {"counts": [[1]]}, {"counts": [[-1, 3]]}, {"counts": [[LAST + 1, 3]]}, {"counts": [["a", 3]]},
    {"counts": [[300, -3]]}, {"count": 7}, {"min": 5}, {"max": 10**12}, {"counts": None}, {"sum": "many"}, {"max": -1},
])
def test_what_is_not_one_is_refused(change):
    histogram = Histogram()
    histogram.record(10_000, 3)
    with pytest.raises(ValueError, match=r"histogram|bucket"):
        Histogram.from_json(histogram.to_json() | change)


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="no percentile"):
        Histogram().percentile(0.5)
