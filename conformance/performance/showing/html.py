"""A run as one HTML page that needs nothing else: no scripts, no network, light and dark, wide and narrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from conformance.performance.comparing.comparison import Comparison
from conformance.performance.comparing.rendering import conclusion, ordered
from conformance.performance.comparing.thresholds import Judged
from conformance.performance.model import Figure, Node, ProbeResult, Run
from conformance.performance.showing.illustration import illustrated
from conformance.performance.wording import interval, printable, quantity
from conformance.writing import write_whole

MAX_BYTES: Final = 2 * 2**20
"""The largest page: pictures that would make it larger are left out, and the page says so."""


def write(
    path: Path, run: Run, comparison: Comparison | None = None, judged: Sequence[Judged] = (),
    pictures: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write the page of a run, whole or not at all. Raises OSError and what `page` raises."""
    write_whole(path, page(run, comparison, judged, pictures))


def page(
    run: Run, comparison: Comparison | None = None, judged: Sequence[Judged] = (),
    pictures: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Return the page of a run, with its comparison with a baseline and the verdicts on thresholds, if any.

    `pictures` are SVGs by title, by probe; by default they are drawn here. Raises `PicturesMissing` where
    the extra `performance` is not installed.
    """
    if pictures is None:
        pictures = {result.probe: illustrated(result) for result in run.results}
    drawn = {probe: list(by_title.values()) for probe, by_title in pictures.items()}
    text = _rendered(run, comparison, judged, {})
    room = MAX_BYTES - len(text.encode()) - 1000
    kept: dict[str, list[str]] = {}
    omitted = 0
    for result in run.results:
        for picture in drawn.get(result.probe, ()):
            size = len(picture.encode())
            if size <= room:
                room -= size
                kept.setdefault(result.probe, []).append(picture)
            else:
                omitted += 1
    said = f"Pictures left out, to keep the page below {MAX_BYTES // 2**20} MiB: {omitted}." if omitted else ""
    return _rendered(run, comparison, judged, kept, said)


def _rendered(
    run: Run, comparison: Comparison | None, judged: Sequence[Judged], pictures: Mapping[str, Sequence[str]],
    omitted: str = "",
) -> str:
    template, markup = _template()
    header = run.header
    started = dt.datetime.fromtimestamp(header.started, dt.UTC)
    results = [_part(result, [markup(svg) for svg in pictures.get(result.probe, ())])
               for result in run.results]
    text: str = template.render(
        header=header, mesh=header.mesh_title or header.mesh, day=f"{started:%Y-%m-%d}",
        moment=f"{started:%Y-%m-%d %H:%M} UTC", nodes=[_node(node) for node in header.environment.nodes],
        results=results, invalid=sum(bool(result.invalid) for result in run.results),
        comparison=comparison, changes=ordered(comparison.changes) if comparison else (), judged=judged,
        conclusion=conclusion(comparison) if comparison else "",
        notes=_notes(comparison) if comparison else (), omitted=omitted,
    )
    return text


def _part(result: ProbeResult, pictures: Sequence[str]) -> dict[str, Any]:
    return {"result": result, "pictures": pictures}


@cache
def _template() -> tuple[Any, Any]:
    """Return the template, and what marks a text as HTML already: only pictures, which were drawn here."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalized)
    environment.globals.update(
        interval=interval, quantity=quantity, described=_described, confidence=_confidence)
    source = (files("conformance.performance.showing") / "templates" / "run.html").read_text(encoding="utf-8")
    return environment.from_string(source), Markup


def _finalized(value: Any) -> Any:
    """Clean every text that the page shows; pictures have been."""
    return value if hasattr(value, "__html__") else printable(str(value))


def _notes(comparison: Comparison) -> list[str]:
    said = [f"Compared although: {difference}." for difference in comparison.differences]
    said += comparison.notes
    for what, keys in (("New, not in the baseline", comparison.new), ("Gone, only in the baseline", comparison.gone)):
        if keys:
            said.append(f"{what}: {', '.join(keys)}.")
    return said + [f"Not compared: {left.key}, {left.why}." for left in comparison.left]


def _described(figure: Figure) -> str:
    return ", ".join(f"{name} {value}" for name, value in figure.labels.items())


def _confidence(figure: Figure) -> str:
    return "" if figure.confidence is None else f"{figure.confidence * 100:.3g} %"


def _node(node: Node) -> str:
    parts = [node.name, f"{node.cores} cores", f"{node.memory / 2**30:.1f} GiB", node.architecture,
             f"kernel {node.kernel}" if node.kernel else ""]
    return ", ".join(part for part in parts if part)
