"""Nighthawk's output in fortio's form (`--output-format fortio` or `experimental_fortio_pedantic`).

Source: `FortioResult` and the golden outputs of Nighthawk's formatter. Its buckets are no buckets but the steps of an
HDR histogram's percentiles, protobuf writes its 64-bit numbers as strings, RetCodes knows `200` alone, and the plain
form gives percentiles as shares where the pedantic one gives them in percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from conformance.performance.formats import buckets, fortio
from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Foreign

NAME: Final = "nighthawk"
HOW: Final = "write it with nighthawk_client --output-format fortio"
_WHY: Final = ("it times from the actual sending; what it could not send in time is skipped (--open-loop) or held "
               "back, and this form counts neither")


def recognises(data: Any) -> bool:
    """Whether JSON is Nighthawk's in fortio's form."""
    if not fortio.recognises(data):
        return False
    hist = data["DurationHistogram"]
    return str(data.get("Labels", "")).split()[-1:] == ["Nighthawk"] or (
        isinstance(hist, Mapping) and isinstance(hist.get("Count"), str))


def read(data: Any) -> Foreign:
    """Read Nighthawk's result in fortio's form. Raises FormatError."""
    top = Fields(NAME, data)
    hist = top.part("DurationHistogram")
    count = hist.whole("Count")
    plain = isinstance(hist.value["Count"], str)
    codes = top.counts("RetCodes")
    errors = fortio.errors_of(codes)
    extremes = {name: hist.number(name) if count else None for name in ("Min", "Max", "Avg", "Sum")}
    spans = fortio.spans_of(hist, count)
    held = sum(span[2] for span in spans)
    if count and not 0.9 * count <= held <= 1.1 * count:
        hist.refuse("Data", f"steps of about {count} values in all, not {held}")
    return Foreign(
        NAME, version=top.text("Version"), started=top.moment("StartTime"), seconds=top.number("ActualDuration") / 1e9,
        requested=fortio.requested_of(top), achieved=top.number("ActualQPS"), connections=top.whole("NumThreads"),
        requests=max(count, sum(codes.values())), errors=errors, statuses=codes,
        mean=extremes["Avg"], min=extremes["Min"], max=extremes["Max"],
        percentiles=fortio.percentiles_of(hist, 1.0 if plain else 100.0) if count else {},
        histogram=buckets.histogram(spans, hist.number("Min"), hist.number("Max"), hist.number("Sum"))
        if count else None,
        corrects="no", corrects_why=_WHY,
        warnings=("this form has no counts of errors: RetCodes names 200 alone",),
    )
