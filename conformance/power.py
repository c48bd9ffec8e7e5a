"""What the samples of the suites can tell: how seldom each raises a false alarm, and what it catches how surely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tabulate import tabulate

from conformance import statistics
from conformance.expect import MISSED, Allowed, Denied, Only, Spread, Weights
from conformance.expect_errors import Answered
from conformance.rehearsal import Planned, Rehearsal

Format = Literal["table", "markdown"]

_HEADERS: Final = ("requirement", "samples", "judged", "requests", "false alarm", "catches", "with probability")


@dataclass(frozen=True)
class Power:
    """What one sample can tell.

    `false_alarm` bounds the probability that a mesh that does right is failed by it; `deviation` is what it catches
    of a mesh that does not, with probability `caught`.
    """

    judged: str
    size: int
    false_alarm: float
    deviation: str
    caught: float


def power_of(planned: Planned) -> Power:
    """Compute what a sample can tell. Raises TypeError for an expectation that it knows no figures of."""
    expectation, size = planned.expectation, planned.size
    leak = 1 - MISSED ** (1 / size)
    match expectation:
        case Weights():
            return _of_weights(expectation, size)
        case Spread():
            endpoints = {endpoint for service in expectation.services for endpoint in service.endpoints(planned.port)}
            deviation = f"one that is left out, or {leak:.1%} answered by others"
            missed = _left_out(len(endpoints), size, expectation.rarest)
            return Power(f"each of {len(endpoints)} endpoints answers", size, missed, deviation, 1 - MISSED)
        case Allowed():
            return Power("all allowed", size, 0.0, f"{leak:.1%} denied", 1 - MISSED)
        case Denied():
            return Power("all denied", size, 0.0, f"{leak:.1%} let through", 1 - MISSED)
        case Answered():
            return Power(f"all answered {expectation.status}", size, 0.0, f"{leak:.1%} answered otherwise", 1 - MISSED)
        case Only():
            return Power("nobody else answers", size, 0.0, f"{leak:.1%} answered by others", 1 - MISSED)
    raise TypeError(f"the false-alarm rate of {type(expectation).__name__} is not known; say it in {__name__}")


def _left_out(endpoints: int, size: int, rarest: float) -> float:
    """Bound the probability that a right draw leaves any of these endpoints out, each with this share at least."""
    return endpoints * (1 - min(1 / endpoints, rarest)) ** size if endpoints > 1 else 0.0


def _of_weights(expectation: Weights, size: int) -> Power:
    total = sum(expectation.weights.values())
    shares = sorted((weight / total for weight in expectation.weights.values()), reverse=True)
    uncertain = [share for share in shares if 0 < share < 1]
    if not uncertain:  # one backend has it all: nothing is left to chance
        return power_of(Planned("", Only(*expectation.weights), 0, size))
    tested = uncertain[:1] if len(uncertain) == 2 else uncertain  # of two shares one gives the other
    alpha = statistics.ALPHA / len(tested)
    worst = min((_shift(share, expectation.effect, size, alpha) for share in tested), key=lambda shift: shift[1])
    return Power(f"shares {' : '.join(f'{share:.1%}' for share in shares)}", size, statistics.ALPHA, *worst)


def _shift(share: float, effect: float, size: int, alpha: float) -> tuple[str, float]:
    """Say to what a share is shifted by an effect, and how surely that is caught in the harder direction."""
    deviation = effect * (share * (1 - share)) ** 0.5
    shifted = [moved for moved in (share - deviation, share + deviation) if 0 <= moved <= 1]
    caught = min(statistics.power(size, share, moved, alpha) for moved in shifted)
    return f"{share:.1%} served as {' or '.join(f'{moved:.1%}' for moved in shifted)}", caught


def false_alarm(rehearsals: Sequence[Rehearsal]) -> float:
    """Bound the probability that any of these checks fails a mesh that does everything right."""
    return statistics.false_alarm_of_suite(
        power_of(planned).false_alarm for rehearsal in rehearsals for planned in rehearsal.samples
    )


def render(rehearsals: Sequence[Rehearsal], form: Format = "table") -> str:
    """Return the power table and the false-alarm probability of all these requirements together."""
    rows = [
        (rehearsal.requirement.id, count, power.judged, power.size, f"{power.false_alarm:.0e}".replace("0e+00", "0"),
         power.deviation, _rounded_down(power.caught))
        for rehearsal in rehearsals for power, count in Counter(map(power_of, rehearsal.samples)).items()
    ]
    samples = sum(len(rehearsal.samples) for rehearsal in rehearsals)
    silent = [rehearsal.requirement.id for rehearsal in rehearsals if not rehearsal.samples and not rehearsal.trouble]
    lines = [
        tabulate(rows, _HEADERS, tablefmt="github" if form == "markdown" else "simple", disable_numparse=True), "",
        f"{samples} samples are judged, each once; {len(silent)} of {len(rehearsals)} judged requirements need none.",
        (f"A mesh that does everything right fails any of them by chance with a probability of at most "
         f"{false_alarm(rehearsals):.1e}; {statistics.FALSE_ALARM_SUITE:.0e} is allowed for a whole suite."),
    ]
    lines += [f"{one.requirement.id} is not counted in full: {one.trouble}" for one in rehearsals if one.trouble]
    return "\n".join(lines)


def _rounded_down(probability: float) -> str:
    """Write a probability with five digits, and never as more than it is."""
    return f"{int(probability * 1e5 + 1e-6) / 1e5:.5f}"


def holds(rehearsals: Sequence[Rehearsal]) -> bool:
    """Whether all samples are known and the whole raises a false alarm as seldom as it may."""
    return not any(one.trouble for one in rehearsals) and false_alarm(rehearsals) <= statistics.FALSE_ALARM_SUITE
