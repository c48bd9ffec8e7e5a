"""When requests are meant to be sent: offsets in nanoseconds from the start of a load, never decreasing, without end.

Each offset is computed from its number (k · step), not from the one before, so that rounding does not add up to a
drift. Only Poisson arrivals are a sum by their nature.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, repeat

from conformance.performance.load.fields import Fields

SHAPES = ("uniform", "poisson", "burst")
SECOND = 1_000_000_000
MOST_PER_SECOND = 10_000_000.0


@dataclass(frozen=True)
class Schedule:
    """A shape of load at a mean `rate` per second.

    uniform: one request every 1/rate seconds. poisson: independent arrivals, with exponential gaps, the same for the
    same `seed`. burst: `burst` requests at once, every burst/rate seconds.
    """

    shape: str
    rate: float
    burst: int = 1
    seed: int = 0

    def times(self) -> Iterator[int]:
        """Give the intended times."""
        if self.shape == "poisson":
            return _poisson(self.rate, self.seed)
        return _grid(self.rate, self.burst if self.shape == "burst" else 1)

    def count(self, end: int) -> int:
        """Return how many requests are intended before an offset in nanoseconds."""
        if self.shape == "poisson":
            return sum(1 for _ in _before(end, self.times()))
        burst = self.burst if self.shape == "burst" else 1
        step = burst * SECOND / self.rate
        bursts = max(0, int(end / step) - 1)  # a float's last digit must not decide: look where the next ones are
        while int(bursts * step) < end:
            bursts += 1
        return bursts * burst


def read_schedule(data: object, where: str = "schedule") -> Schedule:
    """Read the `schedule` of a command. Raises CommandError."""
    fields = Fields(data, where)
    shape = fields.choice("shape", SHAPES, "uniform")
    rate = fields.number("rate", 0.001, MOST_PER_SECOND)
    burst = fields.whole("burst", 1, 100_000, 1)
    seed = fields.whole("seed", 0, 2**63 - 1, 0)
    fields.done()
    return Schedule(shape, rate, burst, seed)


def _grid(rate: float, burst: int) -> Iterator[int]:
    step = burst * SECOND / rate
    if burst == 1:
        return (int(number * step) for number in count())
    return (int(number * step) for number in count() for _ in repeat(None, burst))


def _poisson(rate: float, seed: int) -> Iterator[int]:
    draw, log, mean = random.Random(seed).random, math.log, SECOND / rate  # noqa: S311 - arrivals, no secrets
    now = 0.0
    while True:
        now -= log(1.0 - draw()) * mean
        yield int(now)


def _before(end: int, times: Iterator[int]) -> Iterator[int]:
    for time in times:
        if time >= end:
            return
        yield time
