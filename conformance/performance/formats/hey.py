"""hey's CSV (`hey -o csv`): one line a request that was answered, times in seconds with four decimals."""

from __future__ import annotations

from collections import Counter
from typing import Final

from conformance.performance.formats import buckets
from conformance.performance.formats.foreign import Foreign
from conformance.performance.formats.lines import Lines
from conformance.performance.formats.quantities import number
from conformance.performance.formats.samples import summarise

NAME: Final = "hey"
HOW: Final = "write it with hey -o csv"
COLUMNS: Final = ("response-time", "DNS+dialup", "DNS", "Request-write", "Response-delay", "Response-read",
                  "status-code", "offset")
_WHY: Final = "each worker waits for its answer before it sends again, also with -q, and times from the actual sending"
_LIMITS: Final = ("it has no lines for requests that failed without an answer: how many did cannot be seen",
                  "it has no end mark: an incomplete log looks like a shorter run")


def recognises(text: str) -> bool:
    """Whether text is a CSV of hey."""
    return text.startswith("response-time,DNS+dialup,")


def read(text: str) -> Foreign:
    """Read a CSV. Raises FormatError."""
    lines = Lines(NAME, text, most=None)
    if not lines.lines or tuple(lines.lines[0].split(",")) != COLUMNS:
        lines.refuse(0, f"the columns {','.join(COLUMNS)}")
    if not lines.ended:
        lines.refuse(len(lines.lines) - 1, "a line that ends: the text is truncated")
    latencies: list[int] = []
    statuses: Counter[str] = Counter()
    end = 0.0
    for index, line in enumerate(lines.lines[1:], 1):
        values = line.split(",")
        try:
            took, offset = number(values[0]), number(values[7])
        except (ValueError, IndexError):
            lines.refuse(index, "eight columns of numbers")
        if len(values) != len(COLUMNS) or not (values[6].isdecimal() and 0 < int(values[6][:4]) < 1000):
            lines.refuse(index, "eight columns, the seventh a status")
        latencies.append(buckets.nanoseconds(took))
        statuses[values[6]] += 1
        end = max(end, offset + took)
    refused = sum(count for status, count in statuses.items() if not 200 <= int(status) < 400)
    count = len(latencies)
    found = summarise(latencies)
    return Foreign(
        NAME, seconds=end if count else None, achieved=count / end if end else None, requests=count,
        errors={"status": refused} if refused else {}, statuses=dict(statuses),
        mean=found.mean, min=found.min, max=found.max, percentiles=found.percentiles, histogram=found.histogram,
        corrects="no", corrects_why=_WHY, resolution=1e-4, warnings=_LIMITS,
    )
