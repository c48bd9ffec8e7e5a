"""Pictures of what was measured, each from objects of the model to a standalone SVG.

All raise `PicturesMissing` where matplotlib is not installed, and ValueError when there is nothing to draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from conformance.performance.histogram import NANO, Histogram
from conformance.performance.model import LoadSummary
from conformance.performance.showing.chart import LOOKS, Chart, PicturesMissing, shown, some
from conformance.performance.showing.plots import growth, overhead, trend
from conformance.performance.wording import quantity, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PicturesMissing", "growth", "overhead", "percentiles", "timeline", "trend"]

_SHARES: Final = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


def percentiles(loads: Mapping[str, Histogram], title: str = "Response time by percentile") -> str:
    """Draw the latency that each share of requests stays below, on an axis that stretches towards the slowest.

    `loads` has histograms by the name to show, at most six that are not empty; the axis is 1 / (1 - share), as
    HdrHistogram's plots have it. A curve ends where fewer than ten requests are slower.
    """
    curves = {name: histogram for name, histogram in loads.items() if histogram.count}
    if len(curves) > len(LOOKS):
        raise ValueError(f"{title}: {len(curves)} curves in one picture cannot be told apart, {len(LOOKS)} can")
    some(curves, title)
    factor, unit = scale("s", *(histogram.percentile(0.9) * NANO for histogram in curves.values()))
    said = [f"{name}: {', '.join(f'p{share * 100:g} {_time(h, share)}' for share in _reported(h))}"
            for name, h in curves.items()]

    def paint(parts: list[Axes]) -> None:
        axes = parts[0]
        for look, (name, histogram) in zip(LOOKS, curves.items(), strict=False):
            x, y = _curve(histogram)
            axes.plot(x, [value * NANO / factor for value in y], color=look.colour, linestyle=look.dashes,
                      linewidth=1.6, label=shown(name), marker=look.mark, markersize=4, markevery=_marks(x))
        most = max(_last(histogram) for histogram in curves.values())
        ticks = [share for share in _SHARES if 1 / (1 - share) <= most * 1.01]
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([1 / (1 - share) for share in ticks], [f"p{share * 100:g}" for share in ticks])
        axes.minorticks_off()
        axes.set_xlim(1, most)
        _decimal(axes)
        axes.set_xlabel("share of requests that are no slower")
        axes.set_ylabel(f"latency, {unit}")
        axes.legend(frameon=False)

    return Chart(title).draw("; ".join(said), paint)


def timeline(load: LoadSummary, title: str = "Response time over time") -> str:
    """Draw median, 99th percentile, greatest latency and errors of each interval of one load."""
    rows = load.timeline
    some(rows, title)
    moments = [(place + 0.5) * load.interval for place in range(len(rows))]
    factor, unit = scale("s", *(row.p99 for row in rows))
    failed = sum(row.errors for row in rows)
    kinds = ", ".join(f"{shown(kind, 40)} {count}" for kind, count in load.errors.items())
    worst = max(rows, key=lambda row: row.max)

    def paint(parts: list[Axes]) -> None:
        above, below = parts
        for look, name, values in zip(LOOKS, ("p50", "p99", "max"), zip(*((r.p50, r.p99, r.max) for r in rows),
                                                                        strict=True), strict=False):
            # An interval in which nothing was answered has no latency: a gap, not a fast moment.
            seen = [value / factor if row.completed else math.nan for value, row in zip(values, rows, strict=True)]
            above.plot(moments, seen, color=look.colour, linestyle=look.dashes, marker=look.mark, markersize=3,
                       linewidth=1.3, label=name)
        above.set_yscale("log")
        above.minorticks_off()
        _decimal(above)
        above.set_ylabel(f"latency, {unit}")
        above.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        below.bar(moments, [row.errors for row in rows], width=load.interval * 0.8, color=LOOKS[1].colour)
        below.set_ylabel("errors")
        below.set_ylim(0, max(1, *(row.errors for row in rows)) * 1.15)
        below.locator_params(axis="y", integer=True, nbins=3)
        below.set_xlabel("intended time of sending, s")

    described = (f"{len(rows)} intervals of {load.interval:g} s; the longest answer took {quantity(worst.max, 's')}; "
                 f"{failed} errors{f': {kinds}' if kinds else ''}")
    return Chart(title, height=4.4, heights=(2.4, 1)).draw(described, paint)


def _curve(histogram: Histogram) -> tuple[list[float], list[float]]:
    seen, x, y = 0, [1.0], [float(histogram.min)]
    for low, high, count in histogram.buckets():
        seen += count
        stretched = histogram.count / (histogram.count - seen) if seen < histogram.count else math.inf
        if stretched > _last(histogram):
            break
        x.append(stretched)
        y.append(min((low + high - 1) / 2, histogram.max))
    return x, y


def _last(histogram: Histogram) -> float:
    """Where a curve ends: ten requests are slower, or a tenth of a few."""
    return max(2.0, histogram.count / 10)


def _reported(histogram: Histogram) -> list[float]:
    return [share for share in _SHARES[1:] if 1 / (1 - share) <= _last(histogram) * 1.01]


def _time(histogram: Histogram, share: float) -> str:
    return quantity(histogram.percentile(share) * NANO, "s")


def _marks(x: Sequence[float]) -> list[int]:
    """Place a mark about every third of a decade."""
    places, following = [], 1.0
    for place, value in enumerate(x):
        if value >= following:
            places.append(place)
            following = value * 2.15
    return places


def _decimal(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator  # noqa: PLC0415 - an extra

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
