"""Waiting, on a clock that only moves when somebody sleeps or a probe takes time."""

import pytest

from conformance.outcome import Nonconformance
from conformance.waiting import Deadline, NotConverged, NotHeld, NotYet, Undecided, consistently, eventually


class Time:
    def __init__(self):
        self.now = 100.0
        self.naps = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def wait(time):
    def waiting(probe, **options):
        values = {"what": "the split", "within": 10.0, "clock": time.clock, "sleep": time.sleep} | options
        return eventually(probe, **values)

    return waiting


def script(*answers):
    """A probe that gives these answers one by one, and the last one for ever; exceptions are raised."""
    left = list(answers)

    def probe():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return probe


def test_success_needs_a_row_and_a_failure_breaks_it(wait):
    waited = wait(script(NotYet("0 of 2"), 1, 2, NotYet("again"), 3, 4, 5, 6), consecutive=3)
    assert waited.last == 5
    assert waited.probes == 7
    assert waited.what == "the split"


def test_seconds_count_to_the_first_success_of_the_row(wait):
    waited = wait(script(NotYet("no"), NotYet("no"), "yes"), consecutive=3, interval=1.0, longest=1.0)
    assert (waited.seconds, waited.total, waited.probes) == (2.0, 4.0, 5)


@pytest.mark.parametrize("seen", [None, 0, "", [], True])
def test_anything_returned_but_false_is_a_success(wait, seen):
    assert wait(script(seen), consecutive=1).last == seen


def test_false_not_yet_and_failed_expectations_are_waited_out(wait):
    probe = script(False, NotYet("no endpoints"), Nonconformance("v2", "v1"), AssertionError(), "there")
    assert wait(probe, consecutive=1).probes == 5


def test_a_fault_of_the_probe_ends_the_wait_at_once(wait, time):
    with pytest.raises(OSError, match="unreachable"):
        wait(script(OSError("unreachable"), "never"))
    assert time.naps == []


def test_running_out_of_time_says_everything(wait, time):
    with pytest.raises(NotConverged) as caught:
        wait(script(NotYet("1 of 2 pods"), NotYet("still 1 of 2")), within=2.0)
    error = caught.value
    assert str(error).startswith("waited 2.0 s for the split, looked ")
    assert str(error).endswith("times; last: still 1 of 2")
    assert error.probes == len(time.naps) + 1
    assert isinstance(error.cause, NotYet)
    assert error.__cause__ is error.cause
    assert time.now == 102.0, "the last look is at the very end, and none after it"


def test_one_probe_is_made_whatever_the_time(wait):
    assert wait(script("there"), within=0.0, consecutive=1).probes == 1
    with pytest.raises(NotConverged, match="looked once; last: the probe said no"):
        wait(script(False), within=0.0)


def test_back_off_grows_to_its_bound_and_starts_again_after_a_success(wait, time):
    wait(script(*[NotYet("no")] * 6, 1, NotYet("no"), 1, 1), interval=0.1, longest=0.5, consecutive=2)
    assert time.naps == pytest.approx([0.1, 0.15, 0.225, 0.3375, 0.5, 0.5, 0.1, 0.1, 0.1])


def test_a_row_that_began_in_time_is_completed(wait):
    waited = wait(script(NotYet("no"), "yes"), within=1.0, interval=1.0, consecutive=3)
    assert (waited.seconds, waited.total) == (1.0, 3.0)


def test_a_row_that_breaks_after_the_time_does_not_get_another(wait):
    with pytest.raises(NotConverged, match="gone again"):
        wait(script(NotYet("no"), "yes", NotYet("gone again"), "yes"), within=1.0, interval=1.0, consecutive=2)


def test_of_a_look_that_outlasts_the_wait_it_is_not_known_whether_what_it_saw_was_there_in_time(wait, time):
    def slow():
        time.now += 5.0

    with pytest.raises(Undecided, match=r"there after 5\.0 s, and the look that saw it took 5\.0 s"):
        wait(slow, within=2.0, consecutive=1)


def test_what_is_seen_by_a_look_that_began_too_late_was_not_there_in_time(wait, time):
    def late():
        time.now += 0.5
        if time.now < 102.0:
            raise NotYet("no")

    with pytest.raises(NotConverged, match=r"only after 2.5 s, and had to be within 2 s"):
        wait(late, within=2.0, interval=1.5, consecutive=1)


def test_progress_is_told_at_most_once_a_second_with_the_reason(wait):
    told = []
    with pytest.raises(NotConverged):
        wait(script(NotYet("not in effect")), within=3.5, interval=0.1, longest=0.1,
             progress=lambda *what: told.append(what))  # fmt: skip
    assert [(what, reason) for what, _, reason in told] == [("the split", "not in effect")] * 3
    times = [seconds for _, seconds, _ in told]
    assert all(later - earlier >= 1.0 for earlier, later in zip([0.0, *times], times, strict=False))


def test_a_short_wait_says_nothing(wait):
    wait(script(1), progress=lambda *_: pytest.fail("progress was told"))


def test_consecutive_must_be_positive(wait):
    with pytest.raises(ValueError, match="at least 1"):
        wait(script(1), consecutive=0)


def hold(time, probe, **options):
    values = {"what": "silence", "during": 1.0, "interval": 0.25, "clock": time.clock, "sleep": time.sleep} | options
    return consistently(probe, **values)


def test_consistently_looks_until_the_end(time):
    waited = hold(time, script("quiet"))
    assert (waited.last, waited.probes, waited.total) == ("quiet", 5, 1.0)


def test_consistently_passes_a_nonconformance_through(time):
    violation = Nonconformance("nothing", "1 request")
    with pytest.raises(Nonconformance) as caught:
        hold(time, script(None, violation))
    assert caught.value is violation


@pytest.mark.parametrize("answer", [False, NotYet("noise")])
def test_consistently_says_when_it_broke(time, answer):
    with pytest.raises(NotHeld, match=r"silence had to hold for 1 s and did not after 0.2 s \(2 looks\)"):
        hold(time, script("quiet", answer))


def test_deadline(time):
    deadline = Deadline("the mesh to be installed", 5.0, clock=time.clock)
    time.now += 3.0
    assert (deadline.elapsed, deadline.remaining, deadline.expired) == (3.0, 2.0, False)
    deadline.check("no pods")
    time.now += 3.0
    assert (deadline.remaining, deadline.expired) == (0.0, True)
    with pytest.raises(NotConverged, match=r"waited 6.0 s for the mesh to be installed.*no pods"):
        deadline.check("no pods")
