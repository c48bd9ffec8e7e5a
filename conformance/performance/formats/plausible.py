"""Whether the figures of a result can be true together, and what a reader has to know of them.

Units are where results go wrong: seconds in a field of milliseconds, nanoseconds in one of seconds. Such a fault is a
factor of 1,000 or more, so the limits here leave two orders of magnitude to real runs, and what lies between is told
as a warning.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Final

from conformance.performance.formats.foreign import Foreign, FormatError, percent, shown

FASTEST: Final = 5e-6
"""Seconds within which no request is answered through a socket, not even on loopback."""
COARSE: Final = 5e-5
"""A step of latency, in seconds, that hides what a sidecar adds: some 0.06 to 0.3 ms."""
_ROUNDING: Final = 0.005
_BUSY: Final = 300.0
_IDLE: Final = 0.01
_ENOUGH: Final = 100
_RATE: Final = 30.0


def check(result: Foreign) -> Foreign:
    """Return a result with its warnings. Raises FormatError when its figures contradict each other."""
    _ordered(result)
    _possible(result)
    warnings = (*result.warnings, *_durations(result), *_rates(result), *_cautions(result))
    return dataclasses.replace(result, warnings=warnings)


def _ordered(result: Foreign) -> None:
    """Percentiles must rise with their share, between the least and the greatest, and the mean lie between those."""
    ladder = [(percent(share), value) for share, value in sorted(result.percentiles.items())]
    if result.min is not None:
        ladder.insert(0, ("the minimum", result.min))
    if result.max is not None:
        ladder.append(("the maximum", result.max))
    for (lower, low), (upper, high) in itertools.pairwise(ladder):
        if _above(result, low, high):
            raise FormatError(result.tool, upper, f"at least {lower}, which is {shown(low)}", shown(high))
    mean = result.mean
    if mean is not None and ladder and (
        (result.min is not None and _above(result, result.min, mean))
        or (result.max is not None and _above(result, mean, result.max))
    ):
        raise FormatError(result.tool, "the mean", "a value between the minimum and the maximum", shown(mean))


def _above(result: Foreign, one: float, other: float) -> bool:
    """Whether one time exceeds another by more than rounding can explain."""
    return one > other * (1 + _ROUNDING) + (result.resolution or 0.0)


def _known(result: Foreign) -> list[float]:
    values = [*result.percentiles.values(), result.min, result.max, result.mean]
    return [value for value in values if value is not None]


def _possible(result: Foreign) -> None:
    known = _known(result)
    if known and result.requests != 0 and max(known) + (result.resolution or 0.0) < FASTEST:
        raise FormatError(result.tool, "the slowest latency", f"at least {shown(FASTEST)}, the least that a socket "
                          "takes", shown(max(known)), "check the unit: seconds where milliseconds are meant?")
    if known and result.seconds and _above(result, min(known), result.seconds * 1.1):
        raise FormatError(result.tool, "the fastest latency", f"at most the {shown(result.seconds)} of the whole run",
                          shown(min(known)), "check the unit: milliseconds where seconds are meant?")


def _durations(result: Foreign) -> Iterator[str]:
    """Hold the latencies against the time that the connections had (Little's law)."""
    if result.seconds and result.max is not None and result.max > result.seconds * 1.5 + (result.resolution or 0.0):
        yield f"the slowest request, {shown(result.max)}, took longer than the run of {shown(result.seconds)}"
    if not (result.seconds and result.connections and result.mean is not None and result.requests):
        return
    answered = max(0, result.requests - result.failed)
    time = result.connections * result.seconds
    busy = result.mean * answered / time
    found = f"{answered} latencies of {shown(result.mean)} each"
    room = f"what {result.connections} connections have in {shown(result.seconds)}"
    # The estimates of wrk and autocannon exceed it a thousandfold in a run with one stall.
    if busy > _BUSY and result.corrects != "partly":
        raise FormatError(result.tool, "the mean latency", f"no more than {room}", found,
                          "check the unit: milliseconds where seconds are meant?")
    if busy > 1.5 and result.corrects == "no":
        yield f"{found} are {busy:.1f} times {room}: several requests at once on a connection, or a wrong unit"
    # A connection that waits for an answer which fails is busy without a latency.
    full = result.unpaced and not result.failed and answered >= _ENOUGH
    if full and (result.mean + (result.resolution or 0.0)) * answered / time < _IDLE:
        raise FormatError(result.tool, "the mean latency", f"about {room}, as the tool never pauses", found,
                          "check the unit: seconds where milliseconds are meant?")


def _rates(result: Foreign) -> Iterator[str]:
    """Hold the rate against the requests and the time they took, errors counted or not."""
    if result.achieved is not None and result.seconds and result.requests:
        low = (result.requests - result.failed) / result.seconds
        high = result.requests / result.seconds
        slack = 1 / result.seconds
        if result.achieved > high * _RATE + slack or result.achieved * _RATE + slack < low:
            raise FormatError(result.tool, "the rate", f"about {high:.6g}/s, which is {result.requests} requests in "
                              f"{shown(result.seconds)}", f"{result.achieved:.6g}/s", "check the unit of the duration")
        if result.achieved > high * 1.15 + slack or result.achieved + slack < low * 0.85:
            yield (f"it states a rate of {result.achieved:.6g}/s, but {result.requests} requests in "
                   f"{shown(result.seconds)} are {high:.6g}/s")
    if result.requested and result.achieved is not None and result.achieved < 0.99 * result.requested:
        yield f"{result.achieved:.6g}/s were achieved of the {result.requested:.6g}/s requested"


def _cautions(result: Foreign) -> Iterator[str]:
    if result.requests == 0:
        yield "no request ended: there are no latencies"
    if result.resolution is not None and result.resolution >= COARSE:
        yield f"its latencies are good to {shown(result.resolution)} at best, which hides what a sidecar adds"
    if result.mean is not None and not result.percentiles:
        yield "a mean without percentiles: it cannot be told from a few slow requests among many fast ones"
    if result.requests and result.failed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result.errors.items()))
        yield f"{result.failed} of {result.requests} requests failed ({kinds})"
