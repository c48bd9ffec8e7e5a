"""What another load generator found, in one form, with what has to be known before two of them are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from conformance.performance.histogram import Histogram

Corrects = Literal["yes", "no", "partly"]

_UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


class FormatError(ValueError):
    """A result that cannot be read: of which tool, where in it, what was expected there and what was found.

    `place` is a line such as `line 3`, or a JSON path such as `$.metrics.http_reqs.count`. `hint` says how to get a
    result that can be read; `tool` is empty where not even that could be told.
    """

    def __init__(self, tool: str, place: str, expected: str, found: str = "", hint: str = "") -> None:
        super().__init__(tool, place, expected, found, hint)
        self.tool = tool
        self.place = place
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        what = f"{self.tool} result" if self.tool else "result of a load generator"
        found = f", found {self.found}" if self.found else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"cannot read this {what}: at {self.place}, expected {self.expected}{found}{hint}"


@dataclass(frozen=True)
class Foreign:
    """A result of another tool; times in seconds, rates per second, None where the tool does not say.

    `started` counts from 1970. `requests` counts all that ended, well or not, `errors` those that did not end well, by
    kind, `statuses` the answers by status. `percentiles` maps a share (0 to 1) to a latency. `histogram` is there only
    where the tool gives samples or buckets. `corrects` tells whether the latencies are corrected for coordinated
    omission, that is counted from when a request should have been sent ("partly": not fully, or only with options that
    the result does not show), and `corrects_why` how that is known.
    `resolution` is the smallest difference that its latencies around the median can show. `unpaced` is whether it is
    known to send the next request as soon as the last was answered.
    """

    tool: str
    version: str = ""
    started: float | None = None
    seconds: float | None = None
    requested: float | None = None
    achieved: float | None = None
    connections: int | None = None
    requests: int | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    mean: float | None = None
    min: float | None = None
    max: float | None = None
    percentiles: Mapping[float, float] = field(default_factory=dict)
    histogram: Histogram | None = None
    corrects: Corrects = "no"
    corrects_why: str = ""
    resolution: float | None = None
    warnings: tuple[str, ...] = ()
    unpaced: bool = False

    @property
    def failed(self) -> int:
        """How many requests did not end well."""
        return sum(self.errors.values())

    def to_table(self) -> tuple[tuple[str, str], ...]:
        """Return names and values as a command line shows them; what the tool does not say is left out."""
        rows: list[tuple[str, str]] = [("tool", f"{self.tool} {self.version}".strip())]
        if self.seconds is not None:
            rows.append(("duration", shown(self.seconds)))
        if self.connections is not None:
            rows.append(("connections", str(self.connections)))
        if self.requests is not None:
            rows.append(("requests", str(self.requests)))
        if self.requested is not None:
            rows.append(("requested rate", f"{self.requested:.6g}/s"))
        if self.achieved is not None:
            rows.append(("achieved rate", f"{self.achieved:.6g}/s"))
        rows += [(f"errors: {kind}", str(count)) for kind, count in sorted(self.errors.items())]
        rows += [(f"status {status}", str(count)) for status, count in sorted(self.statuses.items())]
        rows += [(name, shown(value)) for name, value in (("mean", self.mean), ("min", self.min)) if value is not None]
        rows += [(percent(share), shown(value)) for share, value in sorted(self.percentiles.items())]
        if self.max is not None:
            rows.append(("max", shown(self.max)))
        rows.append(("corrected for coordinated omission", f"{self.corrects}: {self.corrects_why}"))
        rows += [("warning", warning) for warning in self.warnings]
        return tuple(rows)

    def describe(self) -> str:
        """Say in one line what was measured."""
        parts = [f"{self.tool} {self.version}".strip()]
        if self.requests is not None and self.seconds is not None:
            parts.append(f"{self.requests} requests in {shown(self.seconds)}")
        parts += [f"{percent(share)} {shown(self.percentiles[share])}" for share in (0.5, 0.9, 0.99)
                  if share in self.percentiles]
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join([*parts, f"corrected for coordinated omission: {self.corrects}"])


def percent(share: float) -> str:
    """Return the usual name of a percentile: 0.999 is p99.9."""
    return f"p{round(share * 100, 7):.9g}"


def shown(seconds: float) -> str:
    """Return a time with the unit that suits it."""
    for scale, unit in _UNITS:
        if abs(seconds) >= scale:
            return f"{seconds / scale:.4g} {unit}"
    return "0 s" if not seconds else f"{seconds:.3g} s"
