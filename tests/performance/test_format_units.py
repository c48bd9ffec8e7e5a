"""A figure in the wrong unit is noticed wherever the other figures contradict it."""

import json
import re
from pathlib import Path

import pytest

from conformance.performance import formats
from conformance.performance.formats import FormatError
from conformance.performance.formats.foreign import Foreign, percent, shown
from conformance.performance.formats.plausible import check
from conformance.performance.formats.quantities import duration, number

DATA = Path(__file__).parent / "data"


def document(name):
    return json.loads((DATA / name).read_text())


def scaled(value, factor):
    """Return JSON with each number in it multiplied."""
    if isinstance(value, dict):
        return {key: scaled(item, factor) for key, item in value.items()}
    if isinstance(value, list):
        return [scaled(item, factor) for item in value]
    return value * factor if isinstance(value, int | float) else value


def fortio_times(name, factor):
    """Return fortio's JSON with every latency, and no count, multiplied."""
    data = document(name)
    hist = data["DurationHistogram"]
    hist.update({key: hist[key] * factor for key in ("Min", "Max", "Sum", "Avg", "StdDev")})
    for bucket in hist["Data"]:
        bucket.update(Start=bucket["Start"] * factor, End=bucket["End"] * factor)
    for entry in hist["Percentiles"]:
        entry["Value"] *= factor
    return json.dumps(data)


def test_fortio_in_milliseconds_is_refused():
    with pytest.raises(FormatError, match=r"the mean latency.*milliseconds where seconds are meant"):
        formats.read(fortio_times("fortio-max.json", 1000))


def test_fortio_in_thousands_of_seconds_is_refused():
    with pytest.raises(FormatError, match=r"the slowest latency.*check the unit|the mean latency.*never pauses"):
        formats.read(fortio_times("fortio-max.json", 1e-3))


def test_fortio_whose_percentiles_alone_are_in_milliseconds_is_refused():
    data = document("fortio-10us.json")
    for entry in data["DurationHistogram"]["Percentiles"]:
        entry["Value"] *= 1000
    with pytest.raises(FormatError, match=r"the maximum, expected at least p99\.9"):
        formats.read(json.dumps(data))


def test_fortio_whose_buckets_alone_are_in_milliseconds_is_refused():
    data = document("fortio-10us.json")
    for bucket in data["DurationHistogram"]["Data"]:
        bucket.update(Start=bucket["Start"] * 1000, End=bucket["End"] * 1000)
    with pytest.raises(FormatError, match=r"\$\.DurationHistogram\.Data, expected buckets from Min"):
        formats.read(json.dumps(data))


def test_a_duration_in_seconds_where_nanoseconds_are_meant_is_refused():
    data = document("fortio-10us.json") | {"ActualDuration": 4}
    with pytest.raises(FormatError, match="cannot read this fortio result"):
        formats.read(json.dumps(data))


def test_a_paced_run_in_milliseconds_is_at_least_warned_of():
    result = formats.read(fortio_times("fortio-10us.json", 1000))
    assert any("or a wrong unit" in warning for warning in result.warnings)


def test_vegeta_in_microseconds_is_refused():
    data = document("vegeta-normal.json")
    data["latencies"] = scaled(data["latencies"], 1e-3)
    with pytest.raises(FormatError, match="the slowest latency, expected at least 5 us"):
        formats.read(json.dumps(data))


def test_vegeta_in_nanoseconds_that_were_milliseconds_is_refused():
    data = document("vegeta-normal.json")
    data["latencies"] = scaled(data["latencies"], 10**6)
    with pytest.raises(FormatError, match="the fastest latency, expected at most the"):
        formats.read(json.dumps(data))


def test_k6_in_seconds_is_refused():
    data = document("k6-export.json")
    data["metrics"]["http_req_duration"] = scaled(data["metrics"]["http_req_duration"], 1e-3)
    with pytest.raises(FormatError, match="seconds where milliseconds are meant"):
        formats.read(json.dumps(data))


def test_oha_whose_two_means_disagree_is_refused():
    data = document("oha-normal.json")
    data["metrics"]["latency_ms"] = scaled(data["metrics"]["latency_ms"], 1e-3)
    with pytest.raises(FormatError, match=r"\$\.metrics\.latency_ms\.mean, expected the 0\.313915 ms"):
        formats.read(json.dumps(data))


def test_autocannon_in_seconds_is_refused():
    data = document("autocannon-closed.json")
    data["latency"] = {name: value * 1e-3 if name != "totalCount" else value for name, value in data["latency"].items()}
    with pytest.raises(FormatError, match=r"\$\.latency\.\w+, expected a whole number"):
        formats.read(json.dumps(data))


def test_wrk_that_says_seconds_for_milliseconds_is_refused():
    text = (DATA / "wrk-latency.txt").read_text()
    with pytest.raises(FormatError, match="the fastest latency"):
        formats.read(re.sub(r"(\d)ms", r"\1s", text))


def test_ab_in_seconds_is_refused():
    text = (DATA / "ab-normal.txt").read_text().replace("4.376 seconds", "0.004 seconds")
    with pytest.raises(FormatError, match="the fastest latency"):
        formats.read(text)


BASE = Foreign("x", seconds=10.0, achieved=100.0, connections=4, requests=1000, mean=0.001, min=0.0005, max=0.01,
               percentiles={0.5: 0.001, 0.99: 0.005})


def changed(**fields):
    return Foreign(**{**vars(BASE), **fields})


def test_a_sound_result_passes_unchanged():
    assert check(BASE) == BASE


@pytest.mark.parametrize(("fields", "where"), [
    ({"percentiles": {0.5: 0.006, 0.99: 0.005}}, "p99"),
    ({"percentiles": {0.5: 0.0001}}, "p50"),
    ({"percentiles": {0.5: 0.02}}, "the maximum"),
    ({"mean": 0.02}, "the mean"),
    ({"mean": 0.0001}, "the mean"),
    ({"achieved": 1e5}, "the rate"),
    ({"achieved": 0.1}, "the rate"),
    ({"unpaced": True, "mean": 0.0006, "requests": 400, "achieved": 40.0}, "the mean latency"),
    ({"mean": 100.0, "max": 200.0, "connections": 30}, "the mean latency"),
])
def test_a_contradiction_is_refused_where_it_is(fields, where):
    with pytest.raises(FormatError) as caught:
        check(changed(**fields))
    assert caught.value.place == where


@pytest.mark.parametrize(("fields", "warning"), [
    ({"achieved": 150.0}, "1000 requests in 10 s are 100/s"),
    ({"requested": 200.0}, "100/s were achieved of the 200/s"),
    ({"max": 100.0}, "took longer than the run"),
    ({"connections": 1, "mean": 0.02, "max": 0.1}, "2.0 times what 1 connections have"),
    ({"resolution": 1e-4}, "hides what a sidecar adds"),
    ({"percentiles": {}}, "a mean without percentiles"),
    ({"errors": {"timeout": 3}}, r"3 of 1000 requests failed \(timeout 3\)"),
])
def test_what_is_odd_is_warned_of(fields, warning):
    assert any(re.search(warning, line) for line in check(changed(**fields)).warnings)


@pytest.mark.parametrize(("text", "seconds", "step"), [
    ("1.20ms", 0.0012, 1e-5), ("66.00us", 66e-6, 1e-8), ("936us", 936e-6, 1e-6), ("1.5m", 90.0, 6.0),
    ("2.00h", 7200.0, 36.0), ("7ns", 7e-9, 1e-9), ("3.01s", 3.01, 0.01),
])
def test_durations(text, seconds, step):
    assert duration(text) == (pytest.approx(seconds), pytest.approx(step))


@pytest.mark.parametrize("text", ["", "1.2", "ms", "-1ms", "1,2ms", "1e3s", "nans", "1.2 ms", "1" * 40 + "s",
                                  "\u0661s"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


def test_numbers_and_names():
    assert number("12.50") == 12.5
    with pytest.raises(ValueError, match="is no number"):
        number("12k")
    assert [percent(share) for share in (0.5, 0.999, 0.025, 0.00001)] == ["p50", "p99.9", "p2.5", "p0.001"]
    assert [shown(value) for value in (0, 2.5, 0.0012, 3e-5, 2e-9)] == ["0 s", "2.5 s", "1.2 ms", "30 us", "2 ns"]
