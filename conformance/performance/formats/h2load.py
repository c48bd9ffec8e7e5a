"""h2load's text summary, and its `--log-file`: start in microseconds since 1970, status, duration in microseconds.

h2load appends to a log that is there already, so that one file may hold several runs.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Final

from conformance.performance.formats.foreign import Foreign, shown
from conformance.performance.formats.lines import Lines
from conformance.performance.formats.quantities import number
from conformance.performance.formats.samples import summarise

NAME: Final = "h2load"
HOW: Final = "give its text, or better what it writes with --log-file"
_WHY: Final = "a client waits for its answers before it sends more, also with --rps, and times from the actual sending"
_NO_END: Final = "it has no end mark: an incomplete log looks like a shorter run"
_PAUSE: Final = 0.25
"""The share of a log's time without any request that is taken for the time between two runs."""
_TIME: Final = r"(\d+(?:\.\d+)?(?:us|ms|s|m|h))"
_RECORD: Final = re.compile(r"(\d{15,17})\t(-1|\d{3})\t(\d{1,15})", re.ASCII)


def recognises(text: str) -> bool:
    """Whether text is a summary of h2load."""
    return text.startswith("starting benchmark...") or "\ntime for request: " in text


def recognises_log(text: str) -> bool:
    """Whether text is a log of h2load."""
    return re.match(r"\d{15,17}\t-?\d{1,3}\t\d", text, re.ASCII) is not None


def read(text: str) -> Foreign:
    """Read a summary, which has a mean but no percentiles. Raises FormatError."""
    lines = Lines(NAME, text)
    at, end = lines.need(rf"finished in {_TIME}, (\d+\.\d+) req/s, .*", "the line finished in")
    _, counted = lines.need(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                            r"(\d+) errored, (\d+) timeout", "the line of requests", at)
    _, codes = lines.need(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", "the line of status codes", at)
    where, times = lines.need(rf"time for request: +{_TIME} +{_TIME} +{_TIME} +{_TIME} +\S+%", "the request times", at)
    lines.need(r"req/s +:(?: +\d+\.\d+){4} +\d+\.\d+%", "the line req/s of the clients, the last", at)
    total, started, done, _, failed, errored, late = map(int, counted.groups())
    (least, step), (most, _), (mean, _) = (lines.time(where, text) for text in times.groups()[:3])
    # With a warm-up, "finished in" counts it and the rate does not.
    main = lines.find(r".* Timing-based test with \S+ of warm-up time and (\d+)s of main duration.*")
    clients = [int(match.group(1)) for _, match in lines.all(r"spawning thread #\d+: (\d+) total client\(s\).*")]
    errors = {"errored": max(0, errored - late), "timeout": late, "status": max(0, failed - errored)}
    return Foreign(
        NAME, seconds=float(main[1].group(1)) if main else lines.time(at, end.group(1))[0],
        achieved=number(end.group(2)), connections=sum(clients) or None, requests=total,
        errors={kind: count for kind, count in errors.items() if count},
        statuses={f"{index}xx": int(count) for index, count in enumerate(codes.groups(), 2) if int(count)},
        mean=mean if done else None, min=least if done else None, max=most if done else None,
        corrects="no", corrects_why=_WHY, resolution=max(step, 1e-6), warnings=_left(total, started, done),
    )


def _left(total: int, started: int, done: int) -> tuple[str, ...]:
    warnings = []
    if started < total and done < total:
        warnings.append(f"{total - started} of {total} requests were never started")
    if done < started:
        warnings.append(f"{started - done} requests had been started and had no answer at the end")
    return tuple(warnings)


def read_log(text: str) -> Foreign:
    """Read a log. Raises FormatError."""
    lines = Lines(NAME, text, most=None)
    if not lines.ended:
        lines.refuse(len(lines.lines) - 1, "a line that ends: the text is truncated")
    latencies: list[int] = []
    statuses: Counter[str] = Counter()
    starts: list[int] = []
    last = 0
    for index, line in enumerate(lines.lines):
        match = _RECORD.fullmatch(line)
        if not match:
            lines.refuse(index, "start, status and duration, separated by tabs")
        start, took = int(match.group(1)), int(match.group(3))
        starts.append(start)
        last = max(last, start + took)
        statuses[match.group(2)] += 1
        if match.group(2) != "-1":
            latencies.append(took * 1000)
    found = summarise(latencies)
    errors = {"errored": statuses.pop("-1", 0),
              "status": sum(n for status, n in statuses.items() if not 200 <= int(status) < 400)}
    starts.sort()
    seconds = (last - starts[0]) / 1e6
    return Foreign(
        NAME, started=starts[0] / 1e6, seconds=seconds, achieved=len(latencies) / seconds if seconds else None,
        requests=len(lines.lines), errors={kind: n for kind, n in errors.items() if n}, statuses=dict(statuses),
        mean=found.mean, min=found.min, max=found.max, percentiles=found.percentiles, histogram=found.histogram,
        corrects="no", corrects_why=_WHY, resolution=1e-6, warnings=(_NO_END, *_pauses(starts, seconds)),
    )


def _pauses(starts: list[int], seconds: float) -> tuple[str, ...]:
    """Tell of a pause between requests, in order of their start, that may separate two runs."""
    longest = max((later - earlier for earlier, later in itertools.pairwise(starts)), default=0) / 1e6
    if longest <= _PAUSE * seconds or longest < 1:
        return ()
    warning = (f"no request began for {shown(longest)}: h2load appends to a log, so that this may be two runs; or the "
               "server stalled")
    return (warning,)
