"""autocannon's JSON (`autocannon -j`): latencies in whole milliseconds.

Source: the outputs of autocannon 8, and its `lib/run.js`: with a rate, each latency is recorded as if requests were
expected every `ceil(1 / rate)` ms, which is 1 ms at any rate. Its correction so adds a value for each millisecond that
a request took, not for each request that was held back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Corrects, Foreign

NAME: Final = "autocannon"
HOW: Final = "write it with autocannon -j"
_PERCENTILE: Final = re.compile(r"p(\d{1,2})(?:_(\d{1,6}))?", re.ASCII)
_CLOSED: Final = "each connection waits for its answer before it sends again, and times from the actual sending"
_ADDED: Final = ("it adds a latency for each millisecond that a request took, whatever the rate: stalls show, but the "
                 "percentiles are too high")


def recognises(data: Any) -> bool:
    """Whether JSON is autocannon's."""
    return isinstance(data, Mapping) and {"latency", "requests", "throughput", "connections"} <= data.keys()


def read(data: Any) -> Foreign:
    """Read a result. Raises FormatError."""
    top = Fields(NAME, data)
    latency, sent = top.part("latency"), top.part("requests")
    statuses = {code: part.part(code).whole("count") for part in [top.part("statusCodeStats")] for code in part
                } if "statusCodeStats" in top else {}
    errors = {"timeout": top.whole("timeouts"), "connection": max(0, top.whole("errors") - top.whole("timeouts")),
              "reset": top.whole("resets") if "resets" in top else 0, "status": top.whole("non2xx"),
              "body": top.whole("mismatches") if "mismatches" in top else 0}
    answered = sent.whole("total")
    samples = latency.whole("totalCount") if "totalCount" in latency else answered
    added = max(0, samples - answered)
    measured = samples > 0
    corrects: Corrects = "partly" if added else "no"
    return Foreign(
        NAME, started=top.moment("start"), seconds=top.number("duration"), achieved=sent.number("average"),
        connections=top.whole("connections"),
        requests=answered + errors["timeout"] + errors["connection"] + errors["reset"],
        errors={kind: count for kind, count in errors.items() if count}, statuses=statuses,
        mean=latency.number("average") / 1e3 if measured else None,
        min=latency.whole("min") / 1e3 if measured else None, max=latency.whole("max") / 1e3 if measured else None,
        percentiles=_percentiles(latency) if measured else {}, corrects=corrects,
        corrects_why=_ADDED if added else _CLOSED, resolution=1e-3,
        warnings=(f"{added} of its {samples} latencies were added by its correction",) if added else (),
    )


def _percentiles(latency: Fields) -> dict[float, float]:
    return {round(float(f"{match.group(1)}.{match.group(2) or 0}") / 100, 9): latency.whole(name) / 1e3
            for name in latency if (match := _PERCENTILE.fullmatch(name))}
