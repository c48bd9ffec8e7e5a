"""Figures and pictures of performance runs as a part of the page.

The page's policy allows no style attributes, which plotting libraries write: they become attributes of their own.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from conformance.performance.model import ProbeResult, Run
from conformance.performance.showing.chart import PicturesMissing
from conformance.performance.showing.illustration import illustrated
from conformance.performance.wording import interval

MAX_PICTURES: Final = 2**20
"""The most that the pictures of a page may take, in bytes."""

_SVG: Final = "http://www.w3.org/2000/svg"
_ATTRIBUTES: Final = frozenset({
    "fill", "fill-opacity", "fill-rule", "font-size", "font-weight", "opacity", "stroke", "stroke-dasharray",
    "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "stroke-opacity", "stroke-width",
    "text-anchor", "visibility",
})
"""The properties of style that SVG also knows as attributes, as far as pictures use them."""


@dataclass(frozen=True, slots=True)
class ProbePart:
    """What the page shows of one probe: rows of its figures, and pictures as SVG."""

    title: str
    probe: str
    figures: tuple[tuple[str, str, str], ...]
    invalid: tuple[str, ...]
    notes: tuple[str, ...]
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunPart:
    """What the page shows of one performance run."""

    title: str
    started: str
    command: str
    probes: tuple[ProbePart, ...]
    remark: str


def parts(runs: Sequence[Run]) -> list[RunPart]:
    """The parts of these runs. Without the plotting library they have figures and no pictures, and say so."""
    room = MAX_PICTURES
    made = []
    for run in runs:
        probes, remark = [], ""
        for result in run.results:
            drawn, why = _drawn(result)
            kept = []
            for picture in drawn:
                if len(picture.encode()) <= room:
                    room -= len(picture.encode())
                    kept.append(picture)
                else:
                    why = "Some pictures are left out, to keep the page small; `mesh-conformance perf` draws them all."
            remark = why or remark
            probes.append(_probe(result, tuple(kept)))
        header = run.header
        title = f"{header.mesh_title or header.mesh} {header.mesh_version}".strip()
        started = f"{datetime.fromtimestamp(header.started, UTC):%Y-%m-%d %H:%M} UTC"
        made.append(RunPart(title, started, header.command, tuple(probes), remark))
    return made


def _drawn(result: ProbeResult) -> tuple[list[str], str]:
    try:
        return [without_styles(svg) for svg in illustrated(result).values()], ""
    except PicturesMissing as error:
        return [], f"No pictures: {error}"


def _probe(result: ProbeResult, pictures: tuple[str, ...]) -> ProbePart:
    figures = tuple(
        (one.name, ", ".join(f"{name} {value}" for name, value in one.labels.items()),
         interval(one.value, one.low, one.high, one.unit))
        for one in result.figures
    )
    return ProbePart(result.title or result.probe, result.probe, figures, tuple(str(one) for one in result.invalid),
                     tuple(result.notes), pictures)


def without_styles(svg: str) -> str:
    """The picture with attributes in place of style attributes, and without style elements: the page has theirs."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)  # noqa: S314 - drawn here a moment ago
    for element in root.iter():
        for child in element.findall(f"{{{_SVG}}}style"):
            element.remove(child)
        for declaration in element.attrib.pop("style", "").split(";"):
            name, _, value = (part.strip() for part in declaration.partition(":"))
            if name in _ATTRIBUTES and re.fullmatch(r"[\w#.,%() -]+", value):
                element.set(name, value)
    return ET.tostring(root, encoding="unicode")
