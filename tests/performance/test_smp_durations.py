"""Durations as Go writes them, both ways."""

from __future__ import annotations

import random

import pytest

from conformance.performance import durations
from conformance.performance.durations import DurationError

# What Go's time.ParseDuration gives, in nanoseconds.
PARSED = {
    "0": 0, "+0": 0, "-0": 0, "5s": 5 * 10**9, "30s": 30 * 10**9, "1478s": 1478 * 10**9, "-5s": -5 * 10**9,
    "+5s": 5 * 10**9,
    "5.0s": 5 * 10**9, "5.6s": 5_600_000_000, "5.s": 5 * 10**9, ".5s": 500_000_000, "1.004s": 1_004_000_000,
    "10ns": 10, "11us": 11_000, "12µs": 12_000, "12\u03bcs": 12_000, "13ms": 13_000_000, "14s": 14 * 10**9,
    "15m": 900 * 10**9, "16h": 57_600 * 10**9, "1m30s": 90 * 10**9, "1.5h": 5400 * 10**9, "3h30m": 12_600 * 10**9,
    "10.5s4m": 250_500_000_000, "-2m3.4s": -123_400_000_000, "1h2m3s4ms5us6ns": 3_723_004_005_006,
    "39h9m14.425s": 140_954_425_000_000, "0.3333333333333333333h": 1_200_000_000_000 - 1,
    "9223372036854775807ns": (1 << 63) - 1, "-9223372036854775808ns": -(1 << 63), "0.9ns": 0,
}
# Refused by Go, and a part of what is said about them.
REFUSED = {
    "": "not a duration", "3": "no unit", "-": "not a duration", "s": "number was expected", ".": "number was expected",
    "-.": "number was expected", ".s": "number was expected", "+.s": "number was expected", "1d": "unknown unit 'd'",
    "1m30": "no unit", "1 m": "unknown unit", "1..5s": "no unit", "--5s": "not a duration", "1e3s": "unknown unit",
    "3000000h": "292 years", "9223372036854775808ns": "292 years", "nan": "number was expected",
    "inf": "number was expected", "30S": "unknown unit 'S'", "٣s": "number was expected", "1s-2s": "not a duration",
    " 1s": "number was expected", "1s ": "unknown unit 's '", "9" * 5000 + "s": "too long", "1m30s\n": "unknown unit",
}


@pytest.mark.parametrize("text", PARSED)
def test_reads_what_go_reads(text):
    assert durations.nanoseconds(text) == PARSED[text]
    assert durations.parse(text) == pytest.approx(PARSED[text] / 1e9)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_refuses_what_go_refuses_and_says_why(text):
    with pytest.raises(DurationError) as caught:
        durations.parse(text)
    assert REFUSED[text] in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0s"), (1e-9, "1ns"), (1.1e-6, "1.1µs"), (0.0022, "2.2ms"), (3.3, "3.3s"), (245, "4m5s"), (245.001, "4m5.001s"),
    (18367.001, "5h6m7.001s"), (480.000000001, "8m0.000000001s"), (3600, "1h0m0s"), (-90, "-1m30s"), (0.25, "250ms"),
])
def test_shows_as_go_does(seconds, text):
    assert durations.show(seconds) == text


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300])
def test_shows_no_time_that_is_none(seconds):
    with pytest.raises(DurationError):
        durations.show(seconds)


def test_what_is_shown_is_read_back():
    draw = random.Random(5)
    for _ in range(2000):
        seconds = draw.choice([-1, 1]) * draw.randrange(10 ** draw.randrange(1, 17)) / 1e9
        assert durations.parse(durations.show(seconds)) == pytest.approx(seconds, abs=5e-10)
