"""Runs against runs: what is compared, what is refused, and what is said. About 3 s."""

import dataclasses
import random

import pytest
from sample_runs import PLACE, figure, full_run, run_of

from conformance.performance.comparing.compare import Incomparable, compare, markdown, render
from conformance.performance.model import Figure, Invalidity, Node, ProbeResult, Run


def runs(tag, count, middle, draw, **changes):
    return [run_of(f"{tag}{n}", figure("latency", [middle * draw.uniform(0.98, 1.02) for _ in range(5)]), **changes)
            for n in range(count)]


def verdicts(comparison):
    return {change.key: change.verdict for change in comparison.changes}


def test_runs_are_compared_when_there_are_enough():
    draw = random.Random(1)
    found = compare(runs("a", 5, 1.0, draw), runs("b", 5, 1.2, draw))
    change, = found.changes
    assert (change.verdict, change.counted, change.sizes) == ("worse", "runs", (5, 5))
    assert change.low <= 0.2 <= change.high
    assert change.relative == pytest.approx(0.2, abs=0.03)
    assert change.p_value == pytest.approx(2 / 252)
    assert found.regressed
    assert found.conclusive
    assert not found.notes


@pytest.mark.parametrize(("better", "middle", "verdict"), [
    ("lower", 1.3, "worse"), ("lower", 0.7, "better"), ("higher", 1.3, "better"), ("higher", 0.7, "worse"),
    ("", 1.3, "changed"), ("lower", 1.0, "no difference"),
])
def test_the_verdict_knows_the_direction(better, middle, verdict):
    draw = random.Random(2)

    def side(tag, level):
        return [run_of(f"{tag}{n}", figure("rate", [level * draw.uniform(0.98, 1.02)], better=better))
                for n in range(5)]

    found = compare(side("a", 1.0), side("b", middle))
    assert verdicts(found) == {"rate": verdict}
    assert found.regressed == (verdict == "worse")


def test_four_runs_a_side_cannot_tell_at_one_percent_and_their_rounds_say_so():
    draw = random.Random(3)
    found = compare(runs("a", 4, 1.0, draw), runs("b", 4, 1.0, draw))
    assert found.changes[0].counted == "rounds"
    assert "Repeat runs to be sure, 5 a side or more" in found.notes[0]
    assert compare(runs("c", 4, 1.0, draw), runs("d", 4, 2.0, draw), alpha=0.05).changes[0].counted == "runs"


def test_a_single_run_a_side_needs_a_clear_change():
    draw = random.Random(4)
    before = run_of("a", figure("latency", [draw.uniform(1.0, 1.1) for _ in range(10)]))
    nearly = run_of("b", figure("latency", [draw.uniform(1.12, 1.22) for _ in range(10)]))
    clearly = run_of("c", figure("latency", [draw.uniform(1.3, 1.4) for _ in range(10)]))
    close = compare([before], [nearly]).changes[0]
    assert close.p_value < 0.01  # the test alone would have called it a change
    assert close.verdict == "no difference"
    found = compare([before], [clearly])
    assert found.changes[0].verdict == "worse"
    assert "The noise between runs is unknown for 1 of 1 figures" in found.notes[0]


def test_one_run_among_the_others_forbids_a_change_between_rounds():
    draw = random.Random(5)
    before = runs("a", 2, 1.0, draw)
    after = [*runs("b", 1, 1.5, draw), *runs("c", 1, 1.0, draw)]
    assert verdicts(compare(before, after)) == {"latency": "no difference"}
    assert verdicts(compare(before, runs("d", 2, 1.5, draw))) == {"latency": "worse"}


def test_too_few_values_are_named_and_no_news_is_no_good_news():
    found = compare([run_of("a", figure("fit", [1.0]))], [run_of("b", figure("fit", [9.0]))])
    assert not found.changes
    assert found.left[0].key == "fit"
    assert "has 1 and 1 values" in found.left[0].why
    assert not found.conclusive
    assert "Nothing could be compared" in render(found)


def test_a_comparison_that_could_see_nothing_says_so():
    found = compare([run_of("a", figure("f", [1, 1.1, 1.2]))], [run_of("b", figure("f", [5, 5.1, 5.2]))])
    change, = found.changes
    assert change.smallest is None
    assert not found.conclusive
    assert "none: too few" in render(found)


def test_new_gone_and_invalid_figures_are_kept_apart():
    draw = random.Random(6)

    def side(names, invalid=()):
        figures = tuple(figure(name, [draw.uniform(1, 1.1) for _ in range(6)]) for name in names)
        return figures, invalid

    lag = Invalidity("schedule lag", "4.20 ms", "1 ms", "both")
    before = run_of("a", *side(["kept", "lost", "closed"])[0])
    kept = ProbeResult("latency-overhead", "t", side(["kept", "fresh"])[0])
    moved = Run(run_of("b").header, (kept,))
    found = compare([before], [moved])
    assert (set(found.new), set(found.gone)) == ({"fresh"}, {"lost", "closed"})
    assert not found.conclusive
    gated = Run(moved.header, (dataclasses.replace(kept, invalid=(lag,)),))
    found = compare([before], [gated])
    assert not found.gone
    assert [left.key for left in found.left] == ["lost", "closed"]
    assert "schedule lag 4.20 ms, allowed 1 ms" in found.left[0].why
    assert any("latency-overhead is invalid, or part of it, in b" in note for note in found.notes)


def test_the_same_name_in_another_unit_is_not_compared():
    before, after = run_of("a", figure("cost", [1, 2, 3])), run_of("b", figure("cost", [1, 2, 3], unit="cores"))
    found = compare([before], [after])
    assert "not the same figure" in found.left[0].why


OTHER = dataclasses.replace(PLACE, nodes=(Node("node-0", 4, 24 * 2**30, "6.1.0", "amd64"),))


@pytest.mark.parametrize(("changes", "said"), [
    ({"environment": OTHER}, "nodes: 1 of 2 cores, 24.0 GiB, amd64, kernel 6.1.0 against 1 of 4 cores"),
    ({"environment": dataclasses.replace(PLACE, cpu_model="Intel")}, "CPU model: AMD EPYC against Intel"),
    ({"environment": dataclasses.replace(PLACE, cluster="kind")}, "cluster: sandbox against kind"),
    ({"environment": dataclasses.replace(PLACE, kubernetes="v1.35.0")}, "Kubernetes: v1.34.1 against v1.35.0"),
    ({"environment": dataclasses.replace(PLACE, nodes=())}, "against none"),
    ({"harness": "0.3.0"}, "harness: 0.2.0 against 0.3.0"),
    ({"mesh": "istio"}, "mesh: reference against istio"),
])
def test_runs_that_do_not_belong_together_are_refused(changes, said):
    before, after = run_of("a", figure("f", [1, 2, 3, 4])), run_of("b", figure("f", [1, 2, 3, 4]), **changes)
    with pytest.raises(Incomparable, match="the runs cannot be compared") as raised:
        compare([before], [after])
    assert any(said in difference for difference in raised.value.differences)
    forced = compare([before], [after], force=True)
    assert any(said in difference for difference in forced.differences)
    assert "Compared although" in render(forced)


def test_what_changes_with_every_cluster_is_no_difference():
    nodes = (Node("another-name", 2, 24 * 2**30 + 10**6, "6.1.0", "amd64"),)
    before = run_of("a", figure("f", [1, 2, 3, 4]))
    after = run_of("b", figure("f", [1, 2, 3, 4]), environment=dataclasses.replace(PLACE, nodes=nodes),
                   mesh_version="2.0", seed=8)
    assert not compare([before], [after]).differences


def test_meshes_are_compared_when_that_is_the_question():
    before, after = run_of("a", figure("f", [1, 2, 3, 4])), run_of("b", figure("f", [1, 2, 3, 4]), mesh="istio")
    assert compare([before], [after], across_meshes=True).changes
    with pytest.raises(Incomparable, match="one side mixes meshes"):
        compare([before, dataclasses.replace(after)], [run_of("c", figure("f", [1, 2]))], across_meshes=True)


def test_a_side_of_two_releases_is_refused():
    some = [run_of(name, figure("f", [1, 2, 3]), mesh_version=version) for name, version in (("a", "1"), ("b", "2"))]
    with pytest.raises(Incomparable, match="one side mixes versions of the mesh: 1 and 2"):
        compare(some, [run_of("c", figure("f", [1, 2, 3]))])


@pytest.mark.parametrize("force", [False, True])
def test_a_run_counts_once_and_a_side_has_one(force):
    run = run_of("a", figure("f", [1, 2, 3]))
    with pytest.raises(Incomparable, match="the run a is given 2 times"):
        compare([run], [run], force=force)
    with pytest.raises(Incomparable, match="the baseline has no runs"):
        compare([], [run], force=force)


@pytest.mark.parametrize("alpha", [0, 1, -1, 2])
def test_alpha_is_a_rate(alpha):
    run = run_of("a", figure("f", [1, 2, 3]))
    with pytest.raises(ValueError, match="rate of false alarms"):
        compare([run], [run_of("b")], alpha=alpha)


def test_the_report_says_it_all_and_worse_comes_first():
    found = compare([full_run("a", 1)], [full_run("b", 2, slower=1.6)])
    text = render(found)
    assert "figures compared: " in text
    lines = [line for line in text.splitlines() if line.startswith(("worse", "no difference"))]
    assert lines[0].startswith("worse")
    assert lines[-1].startswith("no difference")
    assert "could have seen" in text
    assert "throughput-ceiling is invalid" in text


def test_markdown_is_escaped():
    key = {"path": "<script>|`x`*"}
    hostile = [Figure("f", "s", 1.0, samples=(1.0, 1.1, 1.2), labels=key)]
    text = markdown(compare([run_of("a|b", *hostile)], [run_of("[c](d)\x1b", *hostile)]))
    assert "<script>" not in text
    assert "&lt;script&gt;\\|\\`x\\`\\*" in text
    assert "\\[c\\]\\(d\\)" in text
    assert "\x1b" not in text
