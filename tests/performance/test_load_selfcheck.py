"""The self-checks: that they pass with the engine, in short, and that each of them can fail."""

from dataclasses import replace

import pytest

from conformance.performance import selfcheck
from conformance.performance.command import Load
from conformance.performance.histogram import Histogram
from conformance.performance.selfcheck import Loopback, SelfCheckError, stalled_percentile


@pytest.fixture(scope="module")
def loopback(tmp_path_factory):
    return Loopback(tmp_path_factory.mktemp("loopback"))


def test_the_truth_of_a_stall():
    # 5,000 requests, 1,000 of them in the stall, 1 ms apart: the 50 longest waits are above the 99th percentile.
    assert stalled_percentile(0.99, seconds=5, stalled=1, per_second=1000) == pytest.approx(0.950)
    assert stalled_percentile(0.99, seconds=10, stalled=1, per_second=1000) == pytest.approx(0.900)
    assert stalled_percentile(0.5, seconds=5, stalled=1, per_second=1000) == 0


def test_a_stalled_server(loopback):
    check = selfcheck.stall(loopback, seconds=2.0, stalled=1.0, per_second=500.0)
    assert check.passed, check
    assert check.expected == "980 ms ± 2%"


def test_a_stall_is_not_in_the_service_time(loopback):
    with loopback.server(stall={"after": 0.5, "for": 0.5}) as url:
        result = loopback.measure(Load(url, 200.0, 1.5, warmup=0.0, connections=1))
    # One request was under way; all others waited for its connection.
    assert result.response.percentile(0.9) > 0.3e9
    assert result.service.percentile(0.9) < 0.1e9
    assert result.service.max > 0.45e9


def test_a_known_delay_and_a_known_rate(loopback):
    # Bounds of this test, not of the check: other tests run beside it.
    with loopback.server() as plain, loopback.server(delay=0.02) as delayed:
        medians = [loopback.measure(Load(url, 100.0, 0.5, warmup=0.1)).service.percentile(0.1)
                   for url in (plain, delayed)]
    assert medians[1] - medians[0] == pytest.approx(20_000_000, abs=2_000_000)
    with loopback.server(rate=500.0) as url:
        assert loopback.measure(Load(url, None, 1.0, connections=30)).achieved == pytest.approx(500, rel=0.1)


class Told(Loopback):
    """A loopback whose engine says something else than it found."""

    def __init__(self, loopback, change):
        self._run = loopback._run
        self.change = change

    def measure(self, load):
        return self.change(super().measure(load))


def in_all(ns, count=1000):
    histogram = Histogram()
    histogram.record(ns, count)
    return histogram


def of_a_short_stall(loopback, **said):
    """What is found of a stall of 200 ms when the engine says this."""
    return selfcheck.stall(Told(loopback, lambda result: replace(result, **said)), seconds=0.4, stalled=0.2,
                           per_second=200.0)


@pytest.mark.parametrize(("response", "passed"), [(190_000_000, False), (200_000_000, True), (210_000_000, False)])
def test_an_engine_that_hides_a_stall_fails(loopback, response, passed):
    assert of_a_short_stall(loopback, response=in_all(response), unsent=0).passed is passed


def test_an_engine_that_sends_less_fails(loopback):
    assert not of_a_short_stall(loopback, response=in_all(200_000_000), unsent=5).passed


def test_an_engine_that_misses_a_delay_fails(loopback):
    times = iter([100_000, 1_900_000] * 2)
    told = Told(loopback, lambda result: replace(result, service=in_all(next(times))))
    check = selfcheck.delay(told, rounds=2, seconds=0.1)
    assert not check.passed
    assert check.found.startswith("1800 µs (median of 2 differences")


def test_an_engine_that_miscounts_fails(loopback):
    told = Told(loopback, lambda result: replace(result, completed=result.completed * 2))
    assert not selfcheck.rate(told, per_second=300.0, seconds=0.5).passed


def test_failed_requests_are_no_measurement(loopback):
    with pytest.raises(SelfCheckError, match=r"requests failed on loopback: \{'refused': "):
        loopback.measure(Load("http://127.0.0.1:1/", 50.0, 0.1, warmup=0.0, timeout=0.2))


def test_what_does_not_run_is_said(loopback, tmp_path):
    with pytest.raises(SelfCheckError, match=r"ended with status 2: load: target\.url: need http://HOST"):
        loopback.measure(Load("https://127.0.0.1/", 50.0, 0.1))
    with pytest.raises(SelfCheckError, match="did not start: exit status 2"), loopback.server(port=99_999):
        pass


def test_all_of_them_are_run(monkeypatch):
    told = []
    for name in ("stall", "delay", "rate"):
        monkeypatch.setattr(selfcheck, name, lambda _, name=name: name)
    assert selfcheck.run(told.append) == ("stall", "delay", "rate")
    assert len(told) == 3


def test_the_harness_reads_what_the_engine_says(loopback):
    with loopback.server() as url:
        load = Load(url, 100.0, 0.3, warmup=0.1, agents=("target",), answer_bytes=16, body="hello", method="POST")
        result = loopback.measure(load)
    assert result.completed == result.sent == result.scheduled == 30
