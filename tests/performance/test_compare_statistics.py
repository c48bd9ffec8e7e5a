"""The test behind comparisons keeps its promises: few false alarms, and the power that is stated. About 15 s."""

import itertools
import math
import random
from statistics import median

import pytest
from sample_runs import figure, run_of

from conformance.performance.comparing.compare import compare
from conformance.performance.comparing.permutation import EXACT, Block, Dealings, deviation
from conformance.performance.comparing.shift import shift

TRIALS = 500


def lognormal(draw, count):
    return [300 * math.exp(draw.gauss(0, 0.3)) for _ in range(count)]


def heavy(draw, count):
    """Cauchy's distribution, which has no mean."""
    return [300 + 10 * math.tan(math.pi * (draw.random() - 0.5)) for _ in range(count)]


def twofold(draw, count):
    return [draw.choice((300, 400)) * math.exp(draw.gauss(0, 0.01)) for _ in range(count)]


def drifting(draw, count, correlation=0.7):
    """Rounds each of which is like the one before."""
    state, values = draw.gauss(0, 1), []
    for _ in range(count):
        values.append(300 * math.exp(0.1 * state))
        state = correlation * state + math.sqrt(1 - correlation**2) * draw.gauss(0, 1)
    return values


def side(tag, make, draw, runs, rounds, figures, between=0.0):
    return [
        run_of(f"{tag}{number}", *(
            figure(f"f{index}", [value * level for value in make(draw, rounds)])
            for index in range(figures) for level in [math.exp(draw.gauss(0, between))]))
        for number in range(runs)
    ]


def false_alarms(make, runs, rounds, figures, between=0.0, trials=TRIALS):
    draw = random.Random(11)
    return sum(
        any(change.verdict != "no difference" for change in compare(
            side("a", make, draw, runs, rounds, figures, between),
            side("b", make, draw, runs, rounds, figures, between)).changes)
        for _ in range(trials)
    )


@pytest.mark.parametrize("make", [lognormal, heavy, twofold, drifting])
@pytest.mark.parametrize(("rounds", "figures"), [(5, 1), (5, 6)])
def test_identical_single_runs_are_rarely_called_different(make, rounds, figures):
    assert false_alarms(make, 1, rounds, figures) <= 0.01 * figures * TRIALS


@pytest.mark.parametrize("make", [lognormal, drifting])
def test_ten_rounds_as_a_run_has_them(make):
    assert false_alarms(make, 1, 10, 2, trials=30) == 0


@pytest.mark.parametrize("make", [lognormal, heavy, twofold, drifting])
def test_runs_that_differ_as_a_whole_are_noise_once_there_are_enough(make):
    # 10 % from run to run, far more than from round to round: the family-wise rate is 1 % for all figures together.
    assert false_alarms(make, 5, 3, 6, between=0.1) <= 0.02 * TRIALS


@pytest.mark.parametrize(("runs", "figures", "least"), [(5, 1, 0.7), (6, 10, 0.5), (7, 10, 0.75)])
def test_a_change_of_a_tenth_is_found_as_often_as_stated(runs, figures, least):
    """With 3 % from run to run it is found, in 100 trials, 81, 61 and 85 times."""
    draw = random.Random(9)
    trials, found = 60, 0
    for _ in range(trials):
        before, after = (
            side(tag, lambda d, n: [300 * math.exp(d.gauss(0, 0.02)) for _ in range(n)], draw, runs, 5, figures, 0.03)
            for tag in "ab")
        slower = [run_of(run.header.run, figure("f0", [value * 1.1 for value in run.figures[0].samples]),
                         *run.figures[1:]) for run in after]
        found += compare(before, slower).changes[0].verdict == "worse"
    assert found >= least * trials


def test_the_smallest_change_that_could_be_seen_is_found_about_every_second_time():
    draw = random.Random(4)

    def sides(factor, tag):
        return side(tag, lambda d, n: [factor * math.exp(d.gauss(0, 0.01)) for _ in range(n)], draw, 6, 3, 1, 0.03)

    calm = [compare(sides(1, "a"), sides(1, "b")).changes[0] for _ in range(30)]
    smallest = median(change.smallest / change.before for change in calm)
    found = sum(compare(sides(1, "a"), sides(1 + smallest, "b")).changes[0].verdict == "worse" for _ in range(60))
    assert 15 <= found <= 50


def test_p_values_are_those_of_all_dealings():
    rows = ((1.0, 2.0, 3.0, 7.0, 8.0, 9.0), (5.0, 1.0, 4.0, 2.0, 6.0, 3.0))
    value = Dealings([Block(3, rows)]).p_values()
    assert value[0][0] == pytest.approx(2 / 20)
    assert value[0][1] == pytest.approx(_by_hand(rows[1], 3))


def _by_hand(row, size):
    def extreme(chosen):
        return abs(sum(row[index] for index in chosen) - size * sum(row) / len(row))

    ways = list(itertools.combinations(range(len(row)), size))
    return sum(extreme(way) >= extreme(range(size)) - 1e-9 for way in ways) / len(ways)


def test_many_changed_figures_do_not_hide_each_other_nor_drag_in_others():
    draw = random.Random(2)
    rows = tuple(tuple(draw.gauss(0, 1) + (20 if place >= 5 and row < 15 else 0) for place in range(10))
                 for row in range(40))
    p_values, = Dealings([Block(5, rows)]).p_values()
    assert all(value == pytest.approx(2 / 252) for value in p_values[:15])
    assert all(value > 0.01 for value in p_values[15:])


def test_blocks_of_other_sizes_add_their_chances():
    draw = random.Random(3)
    small = Block(5, (tuple(draw.gauss(0, 1) + (20 if place >= 5 else 0) for place in range(10)),))
    large = Block(6, (tuple(draw.gauss(0, 1) + (30 if place >= 6 else 0) for place in range(12)),))
    alone = Dealings([small]).p_values()[0][0]
    together = Dealings([small, large]).p_values()
    assert together[0][0] >= alone
    assert together[1][0] == pytest.approx(2 / 924, rel=0.01)


def test_a_figure_that_is_less_extreme_is_never_surer():
    draw = random.Random(12)
    for _ in range(20):
        rows = tuple(tuple(draw.gauss(0, 1) for _ in range(10)) for _ in range(12))
        dealings = Dealings([Block(5, rows)])
        p_values, = dealings.p_values()
        order = dealings._dealt[0].order
        assert [p_values[row] for row in order] == sorted(p_values)


def test_one_outlier_does_not_hide_a_change():
    draw = random.Random(13)
    row = [draw.gauss(0, 1) + (8 if place >= 10 else 0) for place in range(20)]
    assert Dealings([Block(10, ((500.0, *row[1:]),))]).p_values()[0][0] < 0.01


def test_a_change_has_an_interval_without_zero():
    draw = random.Random(14)
    for _ in range(60):
        tails = side("a", heavy, draw, 6, 3, 4), side("b", lambda d, n: [v + 15 for v in heavy(d, n)], draw, 6, 3, 4)
        for change in compare(*tails).changes:
            assert change.verdict == "no difference" or not change.low <= 0 <= change.high


@pytest.mark.parametrize("values", [(1.0,) * 10, (1.0,) * 9 + (1.0 + 1e-15,)])
def test_values_that_do_not_vary_do_not_differ(values):
    assert Dealings([Block(5, (values,))]).p_values() == [[1.0]]


def test_no_figures_are_no_trouble():
    assert Dealings([]).p_values() == []
    assert Dealings([]).critical(0.01) == math.inf


def test_drawn_dealings_are_the_same_each_time_and_never_certain():
    draw = random.Random(5)
    block = Block(10, (tuple(draw.gauss(0, 1) + (20 if place >= 10 else 0) for place in range(20)),))
    first, second = Dealings([block]).p_values(), Dealings([block]).p_values()
    assert first == second
    assert 0 < first[0][0] <= 3 / EXACT


def test_a_level_is_a_t_again():
    draw = random.Random(6)
    row = tuple(draw.gauss(0, 1) + (1 if place >= 6 else 0) for place in range(12))
    dealings = Dealings([Block(6, (row,))])
    means = [sum(part) / 6 for part in (row[:6], row[6:])]
    squares = sum((value - means[place >= 6]) ** 2 for place, value in enumerate(row))
    student = abs(means[1] - means[0]) / math.sqrt(squares / 10 * (1 / 6 + 1 / 6))
    assert deviation(dealings._dealt[0].observed[0], 12) == pytest.approx(student, rel=1e-6)


# Critical values of Mann and Whitney's U, two-sided, as in every table: 5 % and 1 %.
@pytest.mark.parametrize(("size", "five", "one"), [(5, 2, 0), (8, 13, 7), (10, 23, 16), (20, 127, 105)])
def test_the_interval_of_a_shift_is_that_of_mann_and_whitney(size, five, one):
    before, after = [0.0] * size, [float(index * 100) for index in range(size)]
    for confidence, outside in ((0.95, five), (0.99, one)):
        found = shift(before, after, confidence)
        differences = sorted(new - old for new in after for old in before)
        assert (found.low, found.high) == (differences[outside], differences[-1 - outside])
        assert found.confidence == pytest.approx(confidence, abs=0.01)


def test_a_shift_covers_the_truth_as_often_as_it_says():
    draw = random.Random(7)
    covered = 0
    for _ in range(400):
        found = shift([draw.expovariate(1) for _ in range(8)], [draw.expovariate(1) + 2 for _ in range(8)], 0.95)
        covered += found.low <= 2 <= found.high
    assert covered >= 0.93 * 400


def test_few_values_promise_less_and_none_are_refused():
    assert shift([1], [2], 0.99).confidence == 0
    assert shift([1, 2, 3], [4, 5, 6], 0.99).confidence == pytest.approx(0.9)
    with pytest.raises(ValueError, match="one is empty"):
        shift([], [1], 0.99)
    many = shift([float(index) for index in range(60)], [float(index) + 5 for index in range(60)], 0.99)
    assert many.value == 5
    assert many.low < 5 < many.high
