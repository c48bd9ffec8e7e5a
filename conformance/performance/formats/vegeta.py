"""vegeta's report (`vegeta report -type=json`): all times in nanoseconds.

Source: `Metrics` and `LatencyMetrics` of vegeta's library; `buckets` is there with `-buckets`, each key the lower edge
of a bucket that ends where the next begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from conformance.performance.formats import buckets
from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Foreign
from conformance.performance.histogram import Histogram

NAME: Final = "vegeta"
HOW: Final = "write it with vegeta report -type=json"
_PERCENTILE: Final = re.compile(r"(\d{1,2}(?:\.\d{1,6})?)(?:st|nd|rd|th)", re.ASCII)
_WHY: Final = ("it keeps to its schedule by adding workers, but times from the actual sending: the wait for a "
               "worker is not counted")


def recognises(data: Any) -> bool:
    """Whether JSON is a report of vegeta."""
    return isinstance(data, Mapping) and {"latencies", "status_codes", "bytes_in"} <= data.keys()


def read(data: Any) -> Foreign:
    """Read a report. Raises FormatError."""
    top = Fields(NAME, data)
    latencies = top.part("latencies")
    requests = top.whole("requests")
    codes = top.counts("status_codes")
    seconds = (top.number("duration") + top.number("wait")) / 1e9
    success = top.number("success", most=1.0)
    errors = {"connection": codes.get("0", 0),
              "status": sum(count for code, count in codes.items() if code.isdecimal() and code != "0"
                            and not 200 <= int(code) < 400)}
    errors["other"] = max(0, requests - round(success * requests) - sum(errors.values()))
    mean, least, most = (_seconds(latencies, name) if requests else None for name in ("mean", "min", "max"))
    return Foreign(
        NAME, started=top.moment("earliest"), seconds=seconds,
        achieved=top.number("throughput") if "throughput" in top else success * requests / seconds if seconds else None,
        requests=requests, errors={kind: count for kind, count in errors.items() if count},
        statuses={code: count for code, count in codes.items() if code != "0"}, mean=mean, min=least, max=most,
        percentiles=_percentiles(latencies) if requests else {},
        histogram=_histogram(top, latencies) if requests and "buckets" in top else None,
        corrects="partly", corrects_why=_WHY, resolution=1e-9,
    )


def _seconds(latencies: Fields, name: str) -> float | None:
    value = latencies.maybe(name)
    return None if value is None else value / 1e9


def _percentiles(latencies: Fields) -> dict[float, float]:
    return {round(float(match.group(1)) / 100, 9): latencies.number(name) / 1e9 for name in latencies
            if (match := _PERCENTILE.fullmatch(name))}


def _histogram(top: Fields, latencies: Fields) -> Histogram | None:
    part = top.part("buckets")
    for name in part:
        if not re.fullmatch(r"\d{1,18}", name, re.ASCII):
            part.refuse(name, "buckets by their lower edge in nanoseconds")
    edges = sorted(int(name) for name in part)
    if not edges:
        return None
    most = latencies.number("max") / 1e9
    ends = [edge / 1e9 for edge in edges[1:]]
    spans = [(edge / 1e9, min(end, most) if index < len(ends) else most, part.whole(str(edge)))
             for index, (edge, end) in enumerate(zip(edges, [*ends, most], strict=True))]
    least = latencies.maybe("min")
    first = next((span[0] for span in spans if span[2]), 0.0)
    return buckets.histogram(spans, first if least is None else least / 1e9, most, latencies.number("total") / 1e9)
