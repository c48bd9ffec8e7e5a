"""What users demand of figures, read and judged; a threshold never passes silently."""

import dataclasses

import pytest
from sample_runs import figure, run_of

from conformance.performance.comparing.compare import Threshold, ThresholdError, judge, violations
from conformance.performance.model import Figure, Invalidity, Run


@pytest.mark.parametrize(("text", "sign", "limit", "labels"), [
    ("latency.overhead{percentile=p99} <= 2ms", "<=", 0.002, {"percentile": "p99"}),
    ("latency.overhead<300us", "<", 300e-6, {}),
    ("latency.overhead < 300 µs", "<", 300e-6, {}),
    ("proxy.memory{path=both, place = 'a,b'} <= 80MiB", "<=", 80 * 2**20, None),
    ('x{a="", b=c}>=1e3/s', ">=", 1000, {"a": "", "b": "c"}),
    ("throughput{} > 1000 /s", ">", 1000, {}),
    ("cpu <= 0.25cores", "<=", 0.25, {}),
    ("cpu <= 250 mcores", "<=", 0.25, {}),
    ("split.error <= .5%", "<=", 0.005, {}),
    ("errors <= 0", "<=", 0, {}),
    ("drift >= -1.5s", ">=", -1.5, {}),
])
def test_thresholds_are_read(text, sign, limit, labels):
    if labels is None:
        with pytest.raises(ThresholdError, match="for a label"):
            Threshold.parse(text)
        return
    threshold = Threshold.parse(text)
    assert (threshold.sign, threshold.labels) == (sign, labels)
    assert threshold.limit == pytest.approx(limit)


@pytest.mark.parametrize(("text", "said"), [
    ("", "is not of the form"), ("latency", "is not of the form"), ("latency == 3s", "is not of the form"),
    ("latency <= fast", "is not of the form"), ("latency <= nan s", "is not of the form"),
    ("Latency <= 3s", "is not of the form"), ("latency{path <= 3s", "is not of the form"),
    ("latency{path} <= 3s", "'path' for a label"), ("latency{a=b,a=c} <= 3s", "'a=c' for a label"),
    ("latency <= 3 weeks", "unit 'weeks'; known are ns us"), ("latency <= 3ms extra", "is not of the form"),
    ("latency <= 1e999s", "too large"), ("a" * 100_000 + " <= 3s", "is not of the form"), ("\x1b[2J <= 3", r"\\x1b"),
])
def test_what_cannot_be_meant_is_an_error(text, said):
    with pytest.raises(ThresholdError, match=said) as raised:
        Threshold.parse(text)
    assert len(str(raised.value)) < 600
    assert "\x1b" not in str(raised.value)


RUN = run_of(
    "run",
    Figure("latency.overhead", "s", 0.002, 0.0018, 0.0022, 0.99, (), "lower", {"path": "both", "percentile": "p99"}),
    Figure("latency.overhead", "s", 0.0002, 0.00018, 0.00022, 0.99, (), "lower", {"path": "both", "percentile": "p50"}),
    Figure("errors", "count", 3.0),
)


@pytest.mark.parametrize(("text", "violated", "doubt"), [
    ("latency.overhead{percentile=p99} <= 1ms", True, ""),
    ("latency.overhead{percentile=p99} <= 1.9ms", True, "reaches across"),
    ("latency.overhead{percentile=p99} <= 2.1ms", False, "reaches across"),
    ("latency.overhead{percentile=p99,path=both} <= 3ms", False, ""),
    ("latency.overhead{percentile=p99} >= 3ms", True, ""),
    ("errors <= 2", True, "no interval"),
    ("errors < 3", True, "no interval"),
    ("errors <= 3", False, "no interval"),
])
def test_a_value_beyond_the_limit_violates_and_an_interval_across_it_is_uncertain(text, violated, doubt):
    judged, = judge(RUN, [Threshold.parse(text)])
    assert (judged.violated, judged.certain) == (violated, not doubt)
    assert doubt in judged.doubt
    assert ("violates" in str(judged)) == violated
    assert ("uncertain" in str(judged)) == bool(doubt)
    assert bool(violations(RUN, [Threshold.parse(text)])) == violated


def test_every_figure_that_matches_is_judged():
    judged = judge(RUN, [Threshold.parse("latency.overhead <= 1ms")])
    assert [verdict.violated for verdict in judged] == [True, False]


@pytest.mark.parametrize(("text", "said"), [
    ("latency.overhed <= 1ms", "matches no valid figure; the run has errors, latency.overhead"),
    ("latency.overhead{path=client} <= 1ms", "of that name there are latency.overhead{path=both,percentile=p99}"),
    ("latency.overhead <= 1", "not in the unit of .*write it in ns or us"),
    ("errors <= 1ms", "not in the unit of errors; write a bare number"),
])
def test_a_threshold_that_speaks_of_nothing_is_an_error(text, said):
    with pytest.raises(ThresholdError, match=said.replace("{", r"\{")):
        judge(RUN, [Threshold.parse(text)])


def test_what_passed_no_gate_does_not_hold_a_threshold():
    lag = Invalidity("schedule lag", "4 ms", "1 ms", "both")
    gone = Run(RUN.header, (dataclasses.replace(RUN.results[0], figures=(), invalid=(lag,)),))
    with pytest.raises(ThresholdError, match="the run has none; invalid is latency-overhead: both: schedule lag 4 ms"):
        judge(gone, [Threshold.parse("latency.overhead <= 1ms")])
    part = run_of("run", figure("latency", [1.0, 1.1]), invalid=(lag,))
    judged, = judge(part, [Threshold.parse("latency <= 5s")])
    assert not judged.violated
    assert "part of latency-overhead is invalid" in judged.doubt
