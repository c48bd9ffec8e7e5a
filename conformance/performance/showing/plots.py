"""Pictures of figures: values with intervals, growth with scale, the trend over releases."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from conformance.performance.comparing.history import Entry
from conformance.performance.model import Figure
from conformance.performance.probes.growth import Growth, fit
from conformance.performance.showing.chart import FAINT, INK, LOOKS, Chart, shown, some
from conformance.performance.wording import interval, quantity, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def overhead(figures: Sequence[Figure], title: str = "What the mesh adds") -> str:
    """Draw values with their intervals one below the other, and a line at zero (a forest plot). All have one unit."""
    some(figures, title)
    if len({figure.unit for figure in figures}) != 1:
        raise ValueError(f"{title}: figures in different units have no common axis")
    factor, unit = scale(figures[0].unit, *(max(abs(f.value), abs(f.high or 0)) for f in figures))
    names = [shown(" ".join(figure.labels.values()) or figure.name, 44) for figure in figures]
    places = range(len(figures) - 1, -1, -1)

    def paint(parts: list[Axes]) -> None:
        axes = parts[0]
        axes.axvline(0, color=INK, linewidth=1)
        for place, figure in zip(places, figures, strict=True):
            look = LOOKS[0]
            for sample in figure.samples:
                axes.plot(sample / factor, place - 0.22, marker="|", color=FAINT, markersize=5)
            if figure.low is not None and figure.high is not None:
                axes.plot([figure.low / factor, figure.high / factor], [place, place], color=look.colour, linewidth=2)
            axes.plot(figure.value / factor, place, look.mark, color=look.colour, markersize=6)
            text = interval(figure.value, figure.low, figure.high, figure.unit, signed=True)
            axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
        axes.set_yticks(list(places), names)
        axes.set_ylim(-0.6, len(figures) - 0.4)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(unit or figures[0].unit)

    described = "; ".join(f"{name} {interval(f.value, f.low, f.high, f.unit)}"
                          for name, f in zip(names, figures, strict=True))
    return Chart(title, height=1.0 + 0.32 * len(figures)).draw(described, paint)


def growth(figures: Sequence[Figure], by: str, title: str = "How the cost grows") -> str:
    """Draw a figure at several sizes, which its label `by` names, with its rounds and a line through them.

    The line and its interval are `growth.fit`'s. Raises ValueError when a size is no whole number, or there are fewer
    than two.
    """
    sized = sorted((_size(figure, by), figure) for figure in figures)
    if len({size for size, _ in sized}) < 2:
        raise ValueError(f"{title}: growth needs two sizes or more")
    factor, unit = scale(sized[0][1].unit, *(figure.value for _, figure in sized))
    line = fit({size: figure.samples or (figure.value,) for size, figure in sized})
    ends = sized[0][0], sized[-1][0]
    look = LOOKS[0]

    def paint(parts: list[Axes]) -> None:
        axes = parts[0]
        _draw_line(axes, line, ends, factor)
        for size, figure in sized:
            rounds = [sample / factor for sample in figure.samples]
            axes.plot([size] * len(rounds), rounds, "_", color=FAINT, markersize=7)
            if figure.low is not None and figure.high is not None:
                axes.plot([size] * 2, [figure.low / factor, figure.high / factor], color=look.colour, linewidth=2)
        axes.plot([size for size, _ in sized], [figure.value / factor for _, figure in sized], look.mark,
                  color=look.colour, markersize=6, label="median, interval, rounds")
        if ends[0] > 0 and ends[1] / ends[0] >= 20:
            axes.set_xscale("log")
        axes.set_xticks(sorted({size for size, _ in sized}), [f"{size:g}" for size in sorted({s for s, _ in sized})])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(shown(by))
        axes.set_ylabel(f"{shown(figures[0].name)}, {unit}".rstrip(", "))
        axes.legend(frameon=False)

    each = interval(line.slope.value, line.slope.low, line.slope.high, sized[0][1].unit, signed=True)
    points = "; ".join(f"{size:g}: {quantity(figure.value, figure.unit)}" for size, figure in sized)
    return Chart(title).draw(f"{points}; each of {shown(by)} adds {each}", paint)


def _draw_line(axes: Axes, line: Growth, ends: tuple[int, int], factor: float) -> None:
    """Draw a fitted line between two sizes, and its interval."""
    xs = [ends[0] + (ends[1] - ends[0]) * (step / 60) ** 2 for step in range(61)]
    # The interval is the slope's: it opens from the smallest size.
    start = line.at(ends[0])
    for slope, label, width, dashes in ((line.slope.value, "fitted line", 1.6, "solid"),
                                        (line.slope.low, "its interval", 0.9, (0, (2, 2))),
                                        (line.slope.high, None, 0.9, (0, (2, 2)))):
        ys = [(start + slope * (x - ends[0])) / factor for x in xs]
        axes.plot(xs, ys, color=LOOKS[1].colour, linewidth=width, linestyle=dashes, label=label)


def trend(series: Sequence[Entry], title: str = "") -> str:
    """Draw one figure of a history over the runs, oldest first, with intervals; releases of the mesh are marked."""
    title = title or (series[0].figure.key if series else "Trend")
    some(series, title)
    entries = sorted(series, key=lambda entry: entry.started)
    figures = [entry.figure for entry in entries]
    if len({figure.unit for figure in figures}) != 1:
        raise ValueError(f"{title}: figures in different units have no common axis")
    factor, unit = scale(figures[0].unit, *(figure.value for figure in figures))
    labels = [_run_label(entry, entries[place - 1] if place else None) for place, entry in enumerate(entries)]
    look = LOOKS[0]

    def paint(parts: list[Axes]) -> None:
        axes = parts[0]
        xs = range(len(entries))
        axes.plot(xs, [figure.value / factor for figure in figures], color=look.colour, marker=look.mark, markersize=5,
                  linewidth=1)
        for x, figure in zip(xs, figures, strict=True):
            if figure.low is not None and figure.high is not None:
                ends = [figure.low / factor, figure.high / factor]
                axes.plot([x, x], ends, color=look.colour, linewidth=3)
        for x, (entry, before) in enumerate(zip(entries[1:], entries, strict=False), 1):
            if entry.mesh_version != before.mesh_version:
                axes.axvline(x - 0.5, color=FAINT, linewidth=1, linestyle=(0, (3, 2)))
        step = math.ceil(len(entries) / 12)
        axes.set_xticks(list(xs)[::step], labels[::step], rotation=30, ha="right", rotation_mode="anchor")
        axes.margins(x=0.04)
        axes.set_ylabel(f"{shown(figures[0].name)}, {unit}".rstrip(", "))

    first, last = (interval(f.value, f.low, f.high, f.unit) for f in (figures[0], figures[-1]))
    return Chart(title).draw(f"{len(entries)} runs, from {first} to {last}", paint)


def _run_label(entry: Entry, before: Entry | None) -> str:
    day = dt.datetime.fromtimestamp(entry.started, dt.UTC).strftime("%Y-%m-%d")
    changed = before is None or before.mesh_version != entry.mesh_version
    return f"{shown(entry.mesh_version, 16)} {day}" if changed and entry.mesh_version else day


def _size(figure: Figure, by: str) -> int:
    try:
        return int(figure.labels[by])
    except (KeyError, ValueError):
        raise ValueError(f"{figure.key} has no size: its label {by!r} is {figure.labels.get(by)!r:.40}") from None
