"""A histogram of ours from the buckets of another tool."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from conformance.performance.histogram import Histogram

_PIECES: Final = 64
_FINE: Final = 1 / 128


def nanoseconds(seconds: float) -> int:
    """Return a time in whole nanoseconds."""
    return round(seconds * 1e9)


def histogram(buckets: Sequence[tuple[float, float, int]], least: float, most: float, total: float) -> Histogram:
    """Return a histogram of buckets in order: from, to, both in seconds, and count.

    `least`, `most` and `total` (the sum) are exact where the tool gives them, in seconds. Within a bucket that is wider
    than our own the values are spread evenly, which is what tools interpolate their percentiles by.
    """
    found = Histogram()
    filled = [bucket for bucket in buckets if bucket[2]]
    for index, (low, high, count) in enumerate(filled):
        rest = count
        # The extremes are known exactly and lie in the first and the last bucket.
        for exact in [least] * (index == 0) + [most] * (index == len(filled) - 1):
            if rest:
                found.record(nanoseconds(exact))
                rest -= 1
        _spread(found, max(low, least), min(high, most), rest)
    if found.count:
        found.total = nanoseconds(total)
    return found


def _spread(found: Histogram, low: float, high: float, count: int) -> None:
    """Count values evenly between two times."""
    if not count:
        return
    wide = (high - low) / max(low, 1e-9)
    pieces = max(1, min(count, _PIECES, math.ceil(wide / _FINE)))
    share, more = divmod(count, pieces)
    for piece in range(pieces):
        middle = low + (high - low) * (piece + 0.5) / pieces
        found.record(nanoseconds(middle), share + (piece < more))
