"""fortio's JSON, in and out.

Source: `RunnerResults` (periodic), `HTTPRunnerResults` (fhttp) and `HistogramData` (stats) of fortio: names in
PascalCase, times in seconds but ActualDuration in nanoseconds, RequestedQPS a string.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from conformance.performance import durations
from conformance.performance.formats import buckets
from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Corrects, Foreign, FormatError, percent, shown
from conformance.performance.histogram import Histogram
from conformance.performance.model import LoadSummary

NAME: Final = "fortio"
HOW: Final = "write it with fortio load -json FILE"
PERCENTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_WHY: Final = "each thread waits for its answer before it sends again, and times from the actual sending"
_MEASURES: Final[Mapping[str, tuple[Corrects, str]]] = {
    "": ("no", _WHY),
    "service": ("no", "it says that it counts from the actual sending"),
    "response": ("yes", "it says that it counts from the intended time of sending"),
}
_COARSE: Final = 0.25
_SAME: Final = 1e-3
_UNANSWERED: Final = "-1"
_ANSWERED: Final = frozenset({"status", "body", "agent"})
"""Our errors of requests that had an answer, which is counted by its status."""


def recognises(data: Any) -> bool:
    """Whether JSON is fortio's."""
    return isinstance(data, Mapping) and "DurationHistogram" in data and "ActualDuration" in data


def read(data: Any) -> Foreign:
    """Read a result of `fortio load`, or what `write` gave. Raises FormatError."""
    top = Fields(NAME, data)
    hist = top.part("DurationHistogram")
    count = hist.whole("Count")
    spans = spans_of(hist, count)
    if sum(span[2] for span in spans) != count:
        raise FormatError(NAME, "$.DurationHistogram.Data", f"buckets of {count} values in all",
                          str(sum(span[2] for span in spans)))
    percentiles = percentiles_of(hist, 100.0) if count else {}
    statuses = top.counts("RetCodes")
    errors = errors_of(statuses)
    if not statuses and "ErrorsDurationHistogram" in top:
        errors = {"failed": failed} if (failed := top.part("ErrorsDurationHistogram").whole("Count")) else {}
    measure = top.text("Measure")
    if measure not in _MEASURES:
        top.refuse("Measure", "service or response")
    corrects, why = _MEASURES[measure]
    requested = requested_of(top)
    extremes = {name: hist.number(name) if count else None for name in ("Min", "Max", "Avg", "Sum")}
    return Foreign(
        NAME, version=top.text("Version"), started=top.moment("StartTime"), seconds=top.number("ActualDuration") / 1e9,
        requested=requested, achieved=top.number("ActualQPS"), connections=top.whole("NumThreads"),
        requests=max(count, sum(statuses.values())), errors=errors, statuses=answered(statuses),
        mean=extremes["Avg"], min=extremes["Min"], max=extremes["Max"], percentiles=percentiles,
        histogram=_histogram(spans, hist) if count else None, corrects=corrects, corrects_why=why,
        resolution=_width(spans, percentiles[0.5]) if 0.5 in percentiles else None,
        warnings=_interpolated(spans, percentiles), unpaced=top.text("RequestedQPS") == "max",
    )


def spans_of(hist: Fields, count: int) -> list[tuple[float, float, int]]:
    """Return the buckets of a HistogramData: from, to (in seconds), count; they span Min to Max. Raises FormatError."""
    spans: list[tuple[float, float, int]] = []
    for entry in hist.parts("Data"):
        start, end = entry.number("Start"), entry.number("End")
        if end < start or (spans and start < spans[-1][1] * (1 - 1e-9)):
            entry.refuse("Start", "buckets in rising order")
        spans.append((start, end, entry.whole("Count")))
    if count and spans:
        least, most, first, last = hist.number("Min"), hist.number("Max"), spans[0][0], spans[-1][1]
        if first < least - _SAME * most or last > most * (1 + _SAME):
            hist.refuse("Data", f"buckets from Min, {shown(least)}, to Max, {shown(most)}, not from {shown(first)} to "
                                f"{shown(last)}")
    return spans


def percentiles_of(hist: Fields, scale: float) -> dict[float, float]:
    """Return percentiles by share; `scale` is what the tool calls all of them. Raises FormatError."""
    return {round(entry.number("Percentile", most=scale) / scale, 9): entry.number("Value")
            for entry in hist.parts("Percentiles")}


def requested_of(top: Fields) -> float | None:
    """Return the requested rate, a string or a number; None for `max`. Raises FormatError."""
    value = top.value.get("RequestedQPS")
    if isinstance(value, str):
        if value in {"max", ""}:
            return None
        if not re.fullmatch(r"\d{1,15}(\.\d{1,15})?(e[+]?\d{1,2})?", value, re.ASCII):
            top.refuse("RequestedQPS", "a rate or max")
        return float(value)
    # A number that is not positive asks for as many as possible.
    return top.maybe("RequestedQPS", least=-1.0) or None


def errors_of(statuses: Mapping[str, int]) -> dict[str, int]:
    """Return what of RetCodes are errors; `-1` counts those of sockets."""
    errors = {"socket": statuses.get(_UNANSWERED, 0),
              "status": sum(count for code, count in statuses.items()
                            if code.isdecimal() and not 200 <= int(code) < 400)}
    return {kind: count for kind, count in errors.items() if count}


def answered(statuses: Mapping[str, int]) -> dict[str, int]:
    """Return RetCodes without those that are no answer."""
    return {code: count for code, count in statuses.items() if code != _UNANSWERED}


def _histogram(spans: list[tuple[float, float, int]], hist: Fields) -> Histogram:
    return buckets.histogram(spans, hist.number("Min"), hist.number("Max"), hist.number("Sum"))


def _width(spans: list[tuple[float, float, int]], value: float) -> float | None:
    """The width of the bucket that a value lies in."""
    return next((end - start for start, end, _ in spans if start <= value <= end), None)


def _interpolated(spans: list[tuple[float, float, int]], percentiles: Mapping[float, float]) -> tuple[str, ...]:
    coarse = [(share, width) for share, value in sorted(percentiles.items())
              if (width := _width(spans, value)) is not None and width > _COARSE * value]
    if not coarse:
        return ()
    names = ", ".join(f"{percent(share)} in one of {shown(width)}" for share, width in coarse)
    warning = (f"percentiles are interpolated within wide buckets ({names}): fortio was run with too coarse a "
               "resolution (-r), or with one too fine for the slowest")
    return (warning,)


def write(load: LoadSummary, *, started: float, version: str, labels: str = "",
          measure: Literal["response", "service"] = "response") -> dict[str, Any]:
    """Return a load as the JSON of fortio, for Meshery and fortio's own pages.

    `started` is in seconds since 1970, `labels` fortio's free text. `measure` chooses latencies from the intended time
    of sending or from the actual one; the field Measure, which other readers ignore, says which. The buckets are our
    own, the percentiles exact to 0.4 %. Only completed requests have latencies, so ErrorsDurationHistogram is empty:
    those that failed are counted in RetCodes, `-1` where they had no answer.
    """
    histogram = load.response if measure == "response" else load.service
    moment = dt.datetime.fromtimestamp(started, dt.UTC)
    text = labels or " ".join(value for _, value in sorted(load.labels.items()))
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    plain = load.url.startswith("tcp:")
    codes = dict(load.statuses) if load.statuses or not plain else {"OK": histogram.count}
    unanswered = sum(count for kind, count in load.errors.items() if kind not in _ANSWERED)
    return {
        "RunType": "TCP" if plain else "HTTP",
        "Labels": text,
        "StartTime": moment.isoformat().replace("+00:00", "Z"),
        "RequestedQPS": "max" if load.requested is None else f"{load.requested:.9g}",
        "RequestedDuration": durations.show(round(load.seconds, 3)),
        "ActualQPS": load.achieved,
        "ActualDuration": buckets.nanoseconds(load.seconds),
        "NumThreads": load.connections,
        "Version": version,
        "DurationHistogram": _exported(histogram),
        "ErrorsDurationHistogram": _exported(Histogram()),
        "Exactly": 0,
        "Jitter": False,
        "Uniform": False,
        "NoCatchUp": False,
        "RunID": 0,
        "AccessLoggerInfo": "",
        "ID": f"{moment:%Y-%m-%d-%H%M%S}_{name}".rstrip("_")[:96],
        "Measure": measure,
        "RetCodes": codes | ({_UNANSWERED: unanswered} if unanswered else {}),
        "URL": load.url,
        "SocketCount": load.connections,
    }


def _exported(histogram: Histogram) -> dict[str, Any]:
    """Return a histogram as HistogramData: cumulative percentages, the first bucket from Min, the last to Max."""
    if not histogram.count:
        return {"Count": 0, "Min": 0, "Max": 0, "Sum": 0, "Avg": 0, "StdDev": 0, "Data": None, "Percentiles": None}
    spans = list(histogram.buckets())
    data = []
    seen = 0
    squares = 0.0
    for index, (low, high, count) in enumerate(spans):
        seen += count
        squares += count * ((low + high - 1) / 2 - histogram.mean) ** 2
        data.append({
            "Start": (histogram.min if index == 0 else low) / 1e9,
            "End": (histogram.max if index == len(spans) - 1 else high) / 1e9,
            "Percent": 100.0 * seen / histogram.count,
            "Count": count,
        })
    return {
        "Count": histogram.count, "Min": histogram.min / 1e9, "Max": histogram.max / 1e9,
        "Sum": histogram.total / 1e9, "Avg": histogram.mean / 1e9,
        "StdDev": math.sqrt(squares / histogram.count) / 1e9, "Data": data,
        "Percentiles": [{"Percentile": round(share * 100, 9), "Value": histogram.percentile(share) / 1e9}
                        for share in PERCENTILES],
    }
