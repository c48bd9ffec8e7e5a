"""Latencies within 0.4 %, in bounded memory, mergeable without loss.

Log-linear buckets as in HdrHistogram (Tene, 2012): values below 256 ns are exact; above, each power of two is cut into
128 equal buckets, so that a bucket's middle is within 1/256 of every value in it. A whole number of nanoseconds from
nothing to nine years needs fewer than 8,000 buckets, of which a run fills some hundred.

This module travels into pods: standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

NANO = 1e-9  # seconds of a nanosecond
LINEAR = 256  # nanoseconds below which each value has a bucket of its own
HALF = 128  # buckets of each power of two above
LIMIT = (1 << 58) - 1  # nanoseconds; longer values count as this
LAST = LINEAR + (58 - 8) * HALF - 1  # the bucket of the longest value


def bucket(ns: int) -> int:
    """Return the bucket of a value in nanoseconds."""
    if ns < LINEAR:
        return max(0, ns)
    if ns > LIMIT:
        return LAST
    power = ns.bit_length() - 8
    return LINEAR + (power - 1) * HALF + (ns >> power) - HALF


def bounds(index: int) -> tuple[int, int]:
    """Return the first value of a bucket and the first one after it, in nanoseconds."""
    if index < LINEAR:
        return index, index + 1
    power, place = divmod(index - LINEAR, HALF)
    return (HALF + place) << (power + 1), (HALF + place + 1) << (power + 1)


class Histogram:
    """Counts of values in whole nanoseconds; count, sum, least and greatest are exact."""

    __slots__ = ("_counts", "count", "max", "min", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.min = 0
        self.max = 0

    def record(self, ns: int, count: int = 1) -> None:
        """Count a value `count` times; a negative one, which a clock should never give, as 0."""
        if count <= 0:
            return
        ns = max(ns, 0)
        index = bucket(ns)
        self._counts[index] = self._counts.get(index, 0) + count
        self.min = ns if not self.count or ns < self.min else self.min
        self.max = max(self.max, ns)
        self.count += count
        self.total += ns * count

    def merge(self, other: Histogram) -> None:
        """Add all that another has counted."""
        if not other.count:
            return
        counts = self._counts
        for index, count in other._counts.items():
            counts[index] = counts.get(index, 0) + count
        self.min = min(self.min, other.min) if self.count else other.min
        self.max = max(self.max, other.max)
        self.count += other.count
        self.total += other.total

    @property
    def mean(self) -> float:
        """The arithmetic mean in nanoseconds, exact; 0 when nothing was counted."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> int:
        """Return the value in nanoseconds that a share (0 to 1) of all values does not exceed, by nearest rank.

        The least and the greatest value are exact, all others within 0.4 %. Raises ValueError when nothing was counted.
        """
        if not self.count or not 0 <= share <= 1:
            message = f"no percentile {share} of {self.count} values"
            raise ValueError(message)
        rank = max(1, -int(-share * self.count // 1))  # rounded up
        if rank == 1 and share <= 0:
            return self.min
        if rank >= self.count:
            return self.max
        seen = 0
        for low, high, count in self.buckets():
            seen += count
            if seen >= rank:
                return min(max((low + high - 1) // 2, self.min), self.max)
        return self.max

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """Give the filled buckets in order: first value, first value after it (both in nanoseconds), count."""
        for index in sorted(self._counts):
            low, high = bounds(index)
            yield low, high, self._counts[index]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, without loss."""
        return {"unit": "ns", "count": self.count, "sum": self.total, "min": self.min, "max": self.max,
                "counts": [[index, self._counts[index]] for index in sorted(self._counts)]}

    @classmethod
    def from_json(cls, data: Any) -> Histogram:
        """Read what `to_json` gave. Raises ValueError when it is not one, or does not add up."""
        histogram = cls()
        try:
            if not isinstance(data, Mapping) or data["unit"] != "ns":
                raise ValueError("not a histogram of nanoseconds")
            for entry in data["counts"]:
                if len(entry) != 2:
                    raise ValueError(f"no bucket {entry!r:.40}")
                index, count = entry
                if type(index) is not int or type(count) is not int or not 0 <= index <= LAST or count <= 0:
                    raise ValueError(f"no bucket {index!r:.40} with {count!r:.40} values")
                histogram._counts[index] = histogram._counts.get(index, 0) + count
            counts = [data[name] for name in ("count", "sum", "min", "max")]
            if not all(type(number) is int and number >= 0 for number in counts):
                raise ValueError(f"a histogram with {counts!r:.80}")
            histogram.count, histogram.total, histogram.min, histogram.max = counts
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a histogram: {type(error).__name__}: {error}") from None
        if histogram.count != sum(histogram._counts.values()):
            raise ValueError(f"a histogram of {histogram.count} values counts {sum(histogram._counts.values())}")
        if histogram.count:
            used = histogram._counts
            if bucket(histogram.min) != min(used) or bucket(histogram.max) != max(used):
                raise ValueError("a histogram whose least or greatest value is in none of its buckets")
        return histogram


def together(histograms: Iterable[Histogram]) -> Histogram:
    """Return all that several histograms have counted."""
    whole = Histogram()
    for histogram in histograms:
        whole.merge(histogram)
    return whole
