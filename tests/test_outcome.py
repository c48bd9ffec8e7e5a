"""Outcomes, the rules of the verdict, and the exit code."""

import itertools
import pickle
import random

import pytest

from conformance.exit_code import ExitCode, exit_code
from conformance.outcome import Case, Nonconformance, Outcome, Result, outcome_of
from conformance.requirement import Level
from conformance.verdict import Capability, Compliance, verdicts

API = "split.smi-spec.io"
O = Outcome  # noqa: E741 - tables read better


def result(outcome, level="B", number=1, *, judged=True, mesh="reference"):
    return Result(f"SPLIT-{number:03}", Level(level), mesh, API, "v1alpha4", Outcome(outcome), judged=judged)


def results(*pairs):
    return [result(outcome, level, number) for number, (outcome, level) in enumerate(pairs, 1)]


def case(number):
    return Case("reference", API, "v1alpha4", f"SPLIT-{number:03}")


def one(found, **extra):
    (verdict,) = verdicts(found, **extra)
    return verdict


def test_nonconformance_says_wanted_and_got_and_survives_a_worker():
    error = Nonconformance("90 %", "84 %", "of 2000 requests")
    assert str(error) == "wanted 90 %\n   got 84 %\nof 2000 requests"
    assert isinstance(error, AssertionError)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.wanted, copy.got, copy.details) == ("90 %", "84 %", "of 2000 requests")


@pytest.mark.parametrize(("error", "judged", "outcome"), [
    (None, True, O.PASSED),
    (None, False, O.OBSERVED),
    (Nonconformance("a", "b"), True, O.FAILED),
    (Nonconformance("a", "b"), False, O.OBSERVED),
    (AssertionError("the harness's own"), True, O.ERROR),
    (OSError("broken"), True, O.ERROR),
    (OSError("broken"), False, O.ERROR),
    (KeyboardInterrupt(), True, O.ERROR),
])  # fmt: skip
def test_only_a_nonconformance_is_a_failure_of_the_mesh(error, judged, outcome):
    assert outcome_of(error, judged=judged) is outcome


@pytest.mark.parametrize(("outcome", "level", "judged"), [
    ("passed", "N", True), ("failed", "O", True), ("known-failure", "N", True), ("passed", "B", False),
    ("observed", "B", True),
])  # fmt: skip
def test_outcome_and_judging_must_agree(outcome, level, judged):
    with pytest.raises(ValueError, match="its outcome cannot be"):
        result(outcome, level, judged=judged)


def test_optional_results_are_not_judged_whatever_the_caller_says():
    assert not result("skipped", "O", judged=True).judged


CAPABILITY, COMPLIANCE = Capability, Compliance


@pytest.mark.parametrize(("pairs", "capability", "compliance"), [
    ([("passed", "M"), ("passed", "B"), ("passed", "S")], "full", "conformant"),
    ([("passed", "M"), ("failed", "S")], "partial", "conformant"),
    ([("passed", "M"), ("failed", "B")], "partial", "nonconformant"),
    ([("passed", "M"), ("failed", "M")], "partial", "nonconformant"),
    ([("passed", "M"), ("known-failure", "B")], "partial", "nonconformant"),
    ([("failed", "M")], "none", "nonconformant"),
    ([("failed", "S")], "none", "conformant"),
    ([("passed", "M"), ("error", "B")], "partial", "incomplete"),
    ([("passed", "M"), ("skipped", "B")], "partial", "incomplete"),
    ([("failed", "M"), ("error", "B")], "none", "nonconformant"),
    ([("passed", "M"), ("unsupported", "B")], "partial", "conformant"),
    ([("unsupported", "M"), ("unsupported", "B")], "none", "incomplete"),
    ([("passed", "M"), ("not-applicable", "B")], "full", "conformant"),
    ([("not-applicable", "M")], "none", "incomplete"),
    ([("passed", "M"), ("observed", "N")], "full", "conformant"),
    ([("passed", "M"), ("error", "N")], "full", "conformant"),
    ([("observed", "N")], "none", "incomplete"),
])  # fmt: skip
def test_rules_of_the_verdict(pairs, capability, compliance):
    verdict = one(results(*pairs))
    assert (verdict.capability, verdict.compliance) == (capability, compliance)


def test_nothing_executed_has_no_verdict_or_an_incomplete_one():
    assert verdicts([]) == ()
    verdict = one([], expected=[case(1)])
    assert (verdict.capability, verdict.compliance, verdict.missing) == ("none", "incomplete", 1)


def test_missing_and_left_out_requirements_make_it_incomplete_but_hide_no_violation():
    passed = [result("passed")]
    assert one(passed, expected=[case(1)]).compliance is Compliance.CONFORMANT
    truncated = one(passed, expected=[case(1), case(2)])
    assert (truncated.compliance, truncated.capability, truncated.missing) == ("incomplete", "partial", 1)
    assert truncated.reason == "1 without a result"
    narrowed = one(passed, left_out=[case(1), case(2), case(2), case(3)])
    assert (narrowed.compliance, narrowed.left_out) == ("incomplete", 2)
    assert one([result("failed")], expected=[case(2)]).compliance is Compliance.NONCONFORMANT


def test_verdicts_are_kept_apart_by_mesh_and_name_what_was_violated():
    first, second = verdicts([result("failed", number=7), result("passed", mesh="another")])
    assert (first.mesh, first.compliance) == ("another", "conformant")
    assert str(second) == ("reference, split.smi-spec.io v1alpha4: nonconformant, capability none (violates SPLIT-007)")
    assert second.counts == {Outcome.FAILED: 1}


def test_properties_of_verdict_and_exit_code():
    """What must hold of every combination, over random ones."""
    choices = [(o, lv) for o, lv in itertools.product(Outcome, Level) if not (
        (o.judgement and not lv.judged) or (o is O.OBSERVED and lv.judged))]  # fmt: skip
    source = random.Random(20261120)
    for _ in range(3000):
        found = results(*source.choices(choices, k=source.randint(1, 6)))
        verdict = one(found)
        code = exit_code(found, [verdict])
        judged = [r for r in found if r.judged]
        if verdict.compliance is Compliance.CONFORMANT:
            assert any(r.outcome.judgement for r in judged)
            assert not any(r.outcome in {O.ERROR, O.SKIPPED} for r in judged)
            assert not any(r.outcome.failing and r.level.binding for r in judged)
        if code is ExitCode.CONFORMANT:
            assert any(r.outcome.judgement for r in found)
            assert not any(r.outcome is O.ERROR for r in found)
            assert not any(r.outcome is O.FAILED and r.level.binding for r in found)
        if verdict.capability is Capability.FULL:
            assert all(r.outcome in {O.PASSED, O.NOT_APPLICABLE} for r in judged)
        shuffled = source.sample(found, len(found))
        assert one(shuffled) == verdict
        # Another violation never makes anything better.
        worse = [*found, result("failed", "M", 99)]
        assert one(worse).compliance is Compliance.NONCONFORMANT
        assert exit_code(worse, [one(worse)]) is ExitCode.NONCONFORMANT


@pytest.mark.parametrize(("pairs", "code"), [
    ([("passed", "B")], 0),
    ([("passed", "B"), ("failed", "S")], 0),
    ([("passed", "B"), ("known-failure", "M")], 0),
    ([("known-failure", "M")], 0),
    ([("passed", "B"), ("unsupported", "B")], 0),
    ([("passed", "B"), ("failed", "M"), ("error", "B")], 1),
    ([("passed", "B"), ("error", "B")], 3),
    ([("passed", "B"), ("error", "N")], 3),
    ([("passed", "B"), ("skipped", "B")], 3),
    ([("passed", "B"), ("skipped", "N")], 0),
    ([("error", "B")], 3),
    ([("unsupported", "B")], 4),
    ([("observed", "N")], 4),
    ([], 4),
])  # fmt: skip
def test_exit_codes(pairs, code):
    found = results(*pairs)
    assert exit_code(found, verdicts(found)) == code


def test_exit_code_of_truncated_narrowed_and_interrupted_runs():
    passed = [result("passed")]
    assert exit_code(passed, verdicts(passed, expected=[case(2)])) is ExitCode.ERROR
    assert exit_code(passed, verdicts(passed, left_out=[case(2)])) is ExitCode.CONFORMANT
    assert exit_code([result("failed")], [], interrupted=True) == 130
