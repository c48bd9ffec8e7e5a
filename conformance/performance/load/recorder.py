"""What is kept of a load: histograms, counts and a timeline, in memory that does not grow with the number of requests.

Only requests meant for the measuring phase count. Histograms hold completed requests: answered, and as expected.
"""

from __future__ import annotations

import base64
import sys
from array import array
from collections import Counter
from typing import Any

from conformance.performance.histogram import Histogram
from conformance.performance.load.command import Command
from conformance.performance.load.exchange import AGENTS_LIMIT, Answer
from conformance.performance.load.slots import KINDS

RAW_LIMIT = 200_000
MICRO = 64  # nanoseconds; from EXACT on, the bounds of the histogram's buckets are multiples of it
EXACT = 8192


class Tally:
    """Times of one interval, counted in cells of 64 ns: a third of the cost of a histogram, and as exact over 8 us."""

    __slots__ = ("cells", "least", "longest", "total")

    def __init__(self) -> None:
        self.cells: Counter[int] = Counter()
        self.total = self.longest = 0
        self.least = 1 << 62

    def pour(self, histogram: Histogram) -> None:
        """Add all that was counted to a histogram."""
        cells = self.cells
        count = sum(cells.values())
        if not count:
            return
        poured = Histogram()
        for extreme in (self.least, self.longest)[: min(count, 2)]:
            poured.record(extreme)
            cells[extreme // MICRO] -= 1
        for cell, number in cells.items():
            poured.record(min(max(cell * MICRO + MICRO // 2, self.least), self.longest), number)
        poured.total = self.total
        histogram.merge(poured)


class Interval:
    """What was meant to be sent in one interval of the timeline."""

    __slots__ = ("errors", "response")

    def __init__(self) -> None:
        self.response, self.errors = Histogram(), 0

    def row(self) -> list[int]:
        """Return completed, errors, p50, p99 and the longest."""
        response = self.response
        if not response.count:
            return [0, self.errors, 0, 0, 0]
        return [response.count, self.errors, response.percentile(0.5), response.percentile(0.99), response.max]


class Recorder:
    """Records the requests of one load. `start` is when its measuring phase begins, on the clock of all times here."""

    def __init__(self, command: Command) -> None:
        self.start = 0
        self.sent = self.completed = self.connections = 0
        self.errors: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        self.service, self.response, self.lag, self.connect = Histogram(), Histogram(), Histogram(), Histogram()
        self.interval = command.interval
        self._open = command.schedule is not None
        self._rows: dict[int, list[int]] = {}
        self._intervals: dict[int, Interval] = {}
        self._last = max(0, -(-command.duration // command.interval) - 1)
        self.raw = tuple(array("q") for _ in range(4)) if command.raw else None

    def began(self, intended: int, sent: int, freed: int = 0) -> None:
        """A request has been sent, or tried to be, on a connection that was free from `freed` on."""
        if intended >= self.start:
            self.sent += 1
            if self._open:
                # Waiting for a connection is the server's doing, and in the response time.
                self.lag.record(sent - max(intended, freed))

    def ended(self, answer: Answer | None, error: str, intended: int, sent: int, end: int) -> None:
        """A request has come to its end; `error` is its kind, "" when the answer is as expected."""
        if intended < self.start:
            return
        if answer is not None:
            self.answered(answer, 1)
        interval = self._interval(intended)
        if error:
            self.errors[error] += 1
            interval.errors += 1
        else:
            self.completed += 1
            interval.response.record(end - intended)
            if self._open:
                self.service.record(end - sent)
        if self.raw is not None and len(self.raw[0]) < RAW_LIMIT:
            for place, time in enumerate((intended, sent, end)):
                self.raw[place].append(time - self.start)
            self.raw[3].append(1 + KINDS.index(error) if error else 0)

    def tallied(self, tally: Tally, intended: int) -> None:
        """Take what the closed loop's fast path has counted of completed requests, all sent about `intended`."""
        interval = self._interval(intended)
        before = interval.response.count
        tally.pour(interval.response)
        self.completed += interval.response.count - before

    def answered(self, answer: Answer, count: int) -> None:
        """Count who answered what."""
        if answer.status is not None:
            self.statuses[str(answer.status)] += count
        if answer.agent is not None:
            agents = self.agents
            known = answer.agent in agents or len(agents) < AGENTS_LIMIT - 1
            agents[answer.agent if known else "other"] += count

    def close_intervals(self, oldest: int) -> None:
        """Give up the memory of intervals that ended before `oldest`, the intended time of the oldest open request."""
        current = (oldest - self.start) // self.interval
        for index in [index for index in self._intervals if index < min(current, self._last)]:
            self._close(index)

    def result(self) -> dict[str, Any]:
        """Return what was recorded, as the answer has it."""
        for index in list(self._intervals):
            self._close(index)
        last = max(self._rows, default=-1)
        histograms = {"service": self.service if self._open else self.response, "response": self.response,
                      "lag": self.lag, "connect": self.connect}
        result: dict[str, Any] = {
            "sent": self.sent, "completed": self.completed,
            "errors": dict(self.errors), "statuses": dict(self.statuses), "agents": dict(self.agents),
            **{name: histogram.to_json() for name, histogram in histograms.items()},
            "timeline": {"interval": self.interval / 1e9,
                         "rows": [self._rows.get(index, [0, 0, 0, 0, 0]) for index in range(last + 1)]},
            "connections_made": self.connections,
        }
        if self.raw is not None:
            names = ("intended", "sent", "ended", "kind")
            result["raw"] = {name: _base64(self.raw[place]) for place, name in enumerate(names)}
        return result

    def _interval(self, intended: int) -> Interval:
        index = min((intended - self.start) // self.interval, self._last)
        interval = self._intervals.get(index)
        if interval is None:
            interval = self._intervals[index] = Interval()
        return interval

    def _close(self, index: int) -> None:
        interval = self._intervals.pop(index)
        # A request over its time may come to its end after its interval was closed: then only the counts are added.
        row, earlier = interval.row(), self._rows.get(index)
        self._rows[index] = row if earlier is None else [row[0] + earlier[0], row[1] + earlier[1], *earlier[2:]]
        self.response.merge(interval.response)


def _base64(values: array[int]) -> str:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()
