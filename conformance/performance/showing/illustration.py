"""Which pictures a probe's result deserves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from conformance.performance.histogram import Histogram
from conformance.performance.model import Figure, LoadSummary, ProbeResult
from conformance.performance.showing import pictures
from conformance.performance.showing.chart import LOOKS

_MOST: Final = 24
"""Rows of one forest plot: more are a table's work."""


def illustrated(result: ProbeResult) -> dict[str, str]:
    """Return SVGs by title. Raises `PicturesMissing` where matplotlib is not installed."""
    drawn: dict[str, str] = {}
    for title, draw in _pictures(result):
        try:
            drawn[title] = draw(title)
        except ValueError:
            # What cannot be drawn, such as a size that is no number, still stands in the table.
            continue
    return drawn


def _pictures(result: ProbeResult) -> Iterator[tuple[str, Callable[[str], str]]]:
    named: dict[str, list[Figure]] = defaultdict(list)
    for figure in result.figures:
        named[figure.name].append(figure)
    for name, figures in named.items():
        by = _grown(figures)
        if by:
            yield f"{name} by {by}", partial(pictures.growth, figures, by)
        elif "overhead" in name and any(figure.low is not None for figure in figures):
            yield f"{name}, with intervals", partial(pictures.overhead, figures[:_MOST])
    merged = _merged(result.loads)
    if merged:
        yield "Response time by percentile", partial(pictures.percentiles, merged)
    last = [load for load in result.loads if load.timeline][-1:]
    for load in last:
        where = ", ".join(f"{name} {value}" for name, value in load.labels.items())
        yield f"Response time over time: {where}", partial(pictures.timeline, load)


def _grown(figures: list[Figure]) -> str:
    """Return the label that tells a size, when it is all that tells the figures apart."""
    labels = {name for figure in figures for name in figure.labels}
    varying = [name for name in labels if len({figure.labels.get(name) for figure in figures}) > 1]
    if len(varying) != 1 or not all(figure.labels.get(varying[0], "").isdecimal() for figure in figures):
        return ""
    return varying[0]


def _merged(loads: tuple[LoadSummary, ...]) -> dict[str, Histogram]:
    """Merge the rounds of each load; of more kinds than can be told apart, the first ones."""
    merged: dict[str, Histogram] = {}
    for load in loads:
        name = " ".join(value for label, value in load.labels.items() if label != "round") or "all"
        merged.setdefault(name, Histogram()).merge(load.response)
    return {name: histogram for name, histogram in list(merged.items())[: len(LOOKS)] if histogram.count}
