"""oha's JSON (`oha --output-format json`): times in seconds, but those of `metrics.latency_ms`.

Source: outputs of oha 1.16. Its histogram has eleven marks only, so that it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from conformance.performance.formats.fields import Fields
from conformance.performance.formats.foreign import Foreign

NAME: Final = "oha"
HOW: Final = "write it with oha --no-tui --output-format json"
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,6})?)", re.ASCII)
_UNFINISHED: Final = "aborted due to deadline"
_WHY: Final = ("only --latency-correction with a rate counts from the intended time of sending, and the result does "
               "not say whether it was given")


def recognises(data: Any) -> bool:
    """Whether JSON is oha's."""
    return isinstance(data, Mapping) and {"summary", "latencyPercentiles", "statusCodeDistribution"} <= data.keys()


def read(data: Any) -> Foreign:
    """Read a result. Raises FormatError."""
    top = Fields(NAME, data)
    summary = top.part("summary")
    statuses = top.counts("statusCodeDistribution")
    failed = top.counts("errorDistribution")
    unfinished = failed.pop(_UNFINISHED, 0)
    refused = sum(count for code, count in statuses.items() if code.isdecimal() and not 200 <= int(code) < 400)
    answered = sum(statuses.values())
    mean, least, most = (summary.maybe(name) if answered else None for name in ("average", "fastest", "slowest"))
    seconds = summary.number("total")
    _agree(top, mean)
    return Foreign(
        NAME, seconds=seconds, achieved=summary.number("requestsPerSec"),
        requests=answered + sum(failed.values()), errors=failed | ({"status": refused} if refused else {}),
        statuses=statuses, mean=mean, min=least, max=most,
        percentiles=_percentiles(top.part("latencyPercentiles")) if answered else {},
        corrects="partly", corrects_why=_WHY, resolution=1e-9,
        warnings=(f"{unfinished} unanswered when the time was up",) if unfinished else (),
    )


def _agree(top: Fields, mean: float | None) -> None:
    """Hold that the mean in milliseconds is the mean in seconds."""
    if mean is None or "metrics" not in top:
        return
    latency = top.part("metrics").part("latency_ms")
    if abs(latency.number("mean") / 1e3 - mean) > 0.01 * mean + 1e-6:
        latency.refuse("mean", f"the {mean * 1e3:.6g} ms that $.summary.average gives in seconds")


def _percentiles(part: Fields) -> dict[float, float]:
    return {round(float(match.group(1)) / 100, 9): part.number(name) for name in part
            if (match := _PERCENTILE.fullmatch(name)) and name in part}
