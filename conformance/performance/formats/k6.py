"""k6's summary: `--summary-export`, what `handleSummary` gets, and the machine-readable one of k6 1.

All times are in milliseconds whatever `summaryTimeUnit` says. The `passes` of http_req_failed are the requests that
failed: those for which it is true that they did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Corrects, Foreign, FormatError

NAME: Final = "k6"
HOW: Final = "write it with k6 run --summary-export FILE"
_DURATION: Final = "http_req_duration"
_PERCENTILE: Final = re.compile(r"p\(?(\d{1,3}(?:\.\d{1,9})?)\)?", re.ASCII)
_STARVED: Final = "it times from the actual sending, and {} iterations were never started for want of free VUs"
_WHY: Final = ("it times from the actual sending: right for an arrival rate with VUs to spare, as nothing was dropped, "
               "wrong for a number of VUs in a loop; the summary does not say which it was")


def recognises(data: Any) -> bool:
    """Whether JSON is a summary of k6."""
    if not isinstance(data, Mapping):
        return False
    if isinstance(data.get("metrics"), Mapping):
        return "iterations" in data["metrics"] or "http_reqs" in data["metrics"]
    return isinstance(data.get("metadata"), Mapping) and "k6_version" in data["metadata"]


def read(data: Any) -> Foreign:
    """Read a summary of any of the three forms. Raises FormatError."""
    top = Fields(NAME, data)
    metrics = _metrics(top)
    if "http_reqs" not in metrics or _DURATION not in metrics:
        raise FormatError(NAME, "$.metrics", f"http_reqs and {_DURATION}", "neither" if "http_reqs" not in metrics
                          else "requests without their latencies", "only HTTP is read")
    requests = metrics["http_reqs"].whole("count")
    failed = _failed(metrics)
    seconds, achieved = _time(top, metrics["http_reqs"], requests)
    dropped = metrics["dropped_iterations"].whole("count") if "dropped_iterations" in metrics else 0
    trend = metrics[_DURATION]
    # Requests that never got through count as 0 ms.
    measured = requests > 0 and not (failed == requests and not trend.maybe("max"))
    corrects: Corrects = "no" if dropped else "partly"
    warnings = (f"{dropped} iterations were dropped: less was sent than asked for",) if dropped else ()
    return Foreign(
        NAME, version=top.part("metadata").text("k6_version") if "metadata" in top else "", seconds=seconds,
        achieved=achieved, connections=metrics["vus_max"].whole("max") if "vus_max" in metrics else None,
        requests=requests, errors={"failed": failed} if failed else {},
        mean=_seconds(trend, "avg") if measured else None, min=_seconds(trend, "min") if measured else None,
        max=_seconds(trend, "max") if measured else None, percentiles=_percentiles(trend) if measured else {},
        corrects=corrects, corrects_why=_STARVED.format(dropped) if dropped else _WHY, resolution=1e-9,
        warnings=warnings,
    )


def _metrics(top: Fields) -> dict[str, Fields]:
    """The values of each metric: bare, under `values`, or in a list of named ones."""
    if "results" in top:
        return {metric.text("name"): metric.part("values") for metric in top.part("results").parts("metrics")
                if "values" in metric}
    metrics = top.part("metrics")
    found = {name: metrics.part(name) for name in metrics}
    return {name: metric.part("values") if isinstance(metric.value.get("values"), Mapping) else metric
            for name, metric in found.items()}


def _failed(metrics: Mapping[str, Fields]) -> int:
    metric = metrics.get("http_req_failed")
    if metric is None:
        return 0
    return metric.whole("matches" if "matches" in metric else "passes")


def _time(top: Fields, requests: Fields, count: int) -> tuple[float | None, float | None]:
    """The duration and the rate; each form says only one of the two."""
    if "config" in top:
        seconds = top.part("config").number("duration")
        return seconds, count / seconds if seconds else None
    rate = requests.number("rate")
    if "state" in top:
        return top.part("state").number("testRunDurationMs") / 1e3, rate
    return count / rate if rate else None, rate


def _seconds(trend: Fields, name: str) -> float | None:
    value = trend.maybe(name)
    return None if value is None else value / 1e3


def _percentiles(trend: Fields) -> dict[float, float]:
    found: dict[float, float] = {}
    for name in trend:
        match = _PERCENTILE.fullmatch(name)
        share = 0.5 if name == "med" else float(match.group(1)) / 100 if match else None
        if share is not None and share <= 1 and (value := _seconds(trend, name)) is not None:
            found[round(share, 9)] = value
    return found
