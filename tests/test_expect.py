"""Expectations must be able to fail: each judgement is tried on a tally that it must refuse."""

from __future__ import annotations

import random

import pytest

from conformance.expect import Allowed, Denied, Only, Spread, Tally, Weights
from conformance.outcome import Nonconformance
from conformance.service import Service


def service(name, *workloads, target=8080, port=8080):
    return Service(name, "demo", (name,), frozenset(workloads), {}, {"http": (port, target)})


STABLE, CANARY, ROOT = service("stable", "v1"), service("canary", "v2"), service("root", "v1", "v2")


def tally(v1=0, v2=0, failures=None, received=None, port=8080):
    answers = {endpoint: count for endpoint, count in ((("v1", 8080), v1), (("v2", 8080), v2)) if count}
    return Tally(port, answers, failures or {}, received if received is not None else {"v1": v1, "v2": v2})


def test_weights_accept_what_is_within_the_interval_and_report_it():
    finding = Weights({STABLE: 90, CANARY: 10}).judge(tally(1790, 210))
    low, high = finding.expected["v2:8080"]
    assert low < 210 < high
    assert finding.alpha == 1e-6
    assert finding.p_value > 0.1


def test_intervals_are_named_like_the_counts_that_they_are_of():
    both = service("both", "v1", "v2")
    expected = Weights({both: 1, service("gone"): 0, service("idle", "v1", "v2"): 0}).judge(tally(10, 20)).expected
    assert expected == {"v1:8080, v2:8080": (30, 30), "nobody": (0, 0)}


@pytest.mark.parametrize(("v1", "v2"), [(1680, 320), (1000, 1000), (2000, 0), (0, 2000)])
def test_weights_refuse_84_to_16_and_worse(v1, v2):
    with pytest.raises(Nonconformance, match=r"wanted 90\.0% from v1:8080"):
        Weights({STABLE: 90, CANARY: 10}).judge(tally(v1, v2))


def test_weights_message_has_counts_interval_and_rate():
    with pytest.raises(Nonconformance) as caught:
        Weights({STABLE: 90, CANARY: 10}).judge(tally(1680, 320))
    for part in ("1680 from v1:8080", "320 from v2:8080", "outside", "1e-06"):
        assert part in str(caught.value)


def test_sample_size_of_weights_catches_84_to_16_as_promised():
    expectation, draw, caught = Weights({STABLE: 90, CANARY: 10}), random.Random(7), 0
    for _ in range(200):
        canary = sum(draw.random() < 0.16 for _ in range(expectation.size))
        try:
            expectation.judge(tally(expectation.size - canary, canary))
        except Nonconformance:
            caught += 1
    assert caught >= 199  # at least 0.9999 of the time by design


def test_weight_zero_is_refused_at_the_first_leak():
    Weights({STABLE: 1, CANARY: 0}).judge(tally(1000))
    with pytest.raises(Nonconformance, match="not expected: v2:8080"):
        Weights({STABLE: 1, CANARY: 0}).judge(tally(999, 1))


def test_services_that_share_a_workload_cannot_be_told_apart():
    with pytest.raises(ValueError, match="indistinguishable"):
        Weights({STABLE: 1, service("twin", "v1"): 1}).judge(tally(10))


def test_only_refuses_strangers_failures_and_what_servers_saw_in_silence():
    Only(STABLE).judge(tally(100))
    for refused, why in (
        (tally(99, 1), "not expected: v2:8080"),
        (tally(99, failures={"HTTP 503": 1}), "1 requests failed"),
        (tally(100, received={"v1": 100, "v2": 3}), "must see nothing of it received requests: v2 3"),
    ):
        with pytest.raises(Nonconformance, match=why):
            Only(STABLE).judge(refused)


def test_only_knows_the_target_port_of_each_backend():
    other = service("other", "v1", target=8081)
    with pytest.raises(Nonconformance, match="not expected: v1:8080"):
        Only(other).judge(tally(100))


def test_only_catches_a_leak_of_one_percent():
    assert 0.99 ** Only(STABLE).size <= 1e-4


def test_spread_wants_everyone():
    Spread(ROOT).judge(tally(90, 110))
    with pytest.raises(Nonconformance, match="no answer from v2:8080"):
        Spread(ROOT).judge(tally(200))
    with pytest.raises(AssertionError):
        Spread(ROOT).plausible(tally(60))


def test_an_empty_sample_is_never_a_pass():
    for expectation in (Only(STABLE), Spread(ROOT), Weights({STABLE: 1, CANARY: 1})):
        with pytest.raises(ValueError, match="empty sample"):
            expectation.judge(tally())


def test_denied_means_that_no_server_saw_anything():
    refused = Tally(8080, {}, {"HTTP 403": 30, "reset": 10}, {"v1": 0})
    Denied().judge(refused)
    Denied().plausible(refused)


@pytest.mark.parametrize("seen", [
    Tally(8080, {("v1", 8080): 1}, {"HTTP 403": 39}, {"v1": 1}),
    Tally(8080, {}, {"HTTP 403": 40}, {"v1": 1}),  # refused on the way back only
    Tally(8080, {("v1", 8080): 4}, {}, {}),  # a look while waiting, which asks no server
])
def test_a_denial_that_reached_a_server_is_none(seen):
    with pytest.raises(Nonconformance, match="must be denied"):
        Denied().judge(seen)


def test_nothing_sent_is_not_denied():
    with pytest.raises(ValueError, match="empty sample"):
        Denied().judge(Tally(8080))


def test_allowed_means_all_of_them():
    Allowed(STABLE).judge(tally(v1=40))
    with pytest.raises(Nonconformance, match="1 requests failed"):
        Allowed(STABLE).judge(tally(v1=39, failures={"HTTP 403": 1}))


def test_a_small_share_has_to_show_in_a_sample_that_is_large_enough_and_not_while_waiting():
    rare = Spread(STABLE, CANARY, rarest=1 / 250)
    assert rare.size == 3447
    rare.plausible(tally(v1=60))
    rare.judge(tally(v1=3440, v2=7))
    with pytest.raises(Nonconformance, match="no answer from v2"):
        rare.judge(tally(v1=3447))


def test_shares_of_answers_are_none_where_each_request_was_copied_to_a_server():
    shares = Weights({STABLE: 90, CANARY: 10})
    seen = {"v1": 1790, "v2": 210}
    shares.judge(tally(**seen, received={"v1": 1800, "v2": 310}))  # a few were tried again
    shares.judge(tally(**seen, received={}))
    for received in ({"v1": 1790, "v2": 2210}, {"v1": 3580, "v2": 420}):
        with pytest.raises(Nonconformance, match=r"or more than once: v\d received \d+ and answered \d+"):
            shares.judge(tally(**seen, received=received))
    Weights({STABLE: 1, CANARY: 1}).judge(tally(10, 10, received={"v1": 13, "v2": 10}))
    with pytest.raises(Nonconformance, match="v1 received 14 and answered 10"):
        Weights({STABLE: 1, CANARY: 1}).judge(tally(10, 10, received={"v1": 14, "v2": 10}))
