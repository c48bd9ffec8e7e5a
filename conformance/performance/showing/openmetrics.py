"""A performance run as OpenMetrics text: for a push gateway, node-exporter's textfile collector, or a scrape.

Names and labels are an interface, described in docs/performance-metrics.md. Every family is a gauge or a histogram,
because those two mean the same in OpenMetrics 1.0 and in Prometheus' older text format, which is what the textfile
collector and the push gateway read; no sample has a time of its own, which both of them refuse.

A result that is invalid is exported as such, with the gates that closed, and without any of its values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.performance.histogram import NANO, Histogram, together
from conformance.performance.model import Figure, LoadSummary, ProbeResult, Run, Unit
from conformance.performance.validity import beyond

PREFIX: Final = "mesh_conformance_"
CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_STEPS: Final = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)
BOUNDS: Final[tuple[float, ...]] = (*(float(f"{step}e{power}") for power in range(-5, 1) for step in _STEPS), 10.0)
"""Upper bounds of the buckets of every histogram, in seconds: ten to each power of ten, from 10 µs to 10 s."""
PERCENTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}

_SUFFIXES: Final[Mapping[Unit, str]] = {
    "s": "seconds", "1/s": "per_second", "cores": "cores", "bytes": "bytes", "share": "ratio", "count": "",
}
_RESERVED: Final = re.compile(r"_(total|count|sum|bucket|info|created|gcount|gsum)$")
_OWN: Final = frozenset({"le", "mesh", "probe"})
_OWN_OF_LOADS: Final = _OWN | {"kind", "percentile"}
_EACH_ROUND: Final = "round"  # the label that tells repetitions of a load apart


@dataclass
class _Family:
    """One metric: what its samples have in common, and the samples as lines, each with the place it is unique by."""

    name: str
    help: str
    unit: str = ""
    type: str = "gauge"
    lines: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)


class _Exposition:
    """Collects samples by family, in the order in which families first came."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def gauge(self, name: str, meaning: str, value: float, labels: Mapping[str, str], *, unit: str = "") -> None:
        """Add a sample of a gauge. Raises ValueError when there is one with these labels."""
        family = self._family(_Family(name, meaning, unit), labels)
        family.lines.append(f"{name}{_labels(labels)} {_number(value)}")

    def histogram(self, name: str, meaning: str, values: Histogram, labels: Mapping[str, str]) -> None:
        """Add a histogram of nanoseconds, in seconds. Raises ValueError when there is one with these labels."""
        family = self._family(_Family(name, meaning, "seconds", "histogram"), labels)
        for bound, count in _buckets(values):
            family.lines.append(f"{name}_bucket{_labels({**labels, 'le': _number(bound)})} {count}")
        family.lines.append(f"{name}_sum{_labels(labels)} {_number(values.total * NANO)}")
        family.lines.append(f"{name}_count{_labels(labels)} {values.count}")

    def _family(self, wanted: _Family, labels: Mapping[str, str]) -> _Family:
        family = self._families.setdefault(wanted.name, wanted)
        place = _labels(dict(sorted(labels.items())))
        if place in family.places:
            raise ValueError(f"two samples of {wanted.name} have the labels {place}: give the figures or loads other "
                             "names or labels")
        family.places.add(place)
        return family

    def text(self) -> str:
        """Return all of it, with the mark of the end."""
        lines = []
        for family in self._families.values():
            lines += [f"# HELP {family.name} {_plain(family.help)}", f"# TYPE {family.name} {family.type}"]
            if family.unit:
                lines.append(f"# UNIT {family.name} {family.unit}")
            lines += family.lines
        return "\n".join([*lines, "# EOF"]) + "\n"


def render(run: Run) -> str:
    """Return a run as OpenMetrics text, `# EOF` included.

    Raises ValueError when two figures or loads of a probe would become the same sample.
    """
    exposition = _Exposition()
    _run(exposition, run)
    for result in run.results:
        labels = {"mesh": run.header.mesh, "probe": result.probe}
        _probe(exposition, result, labels)
        if result.valid:
            for figure in result.figures:
                _figure(exposition, figure, labels)
            for place, load in _merged(result.loads):
                _load(exposition, load, {**labels, **place})
    return exposition.text()


def metric(name: str, unit: Unit) -> str:
    """Return the metric of a figure, such as `mesh_conformance_figure_latency_overhead_seconds`."""
    suffix = _SUFFIXES[unit]
    return f"{_stem(name)}_{suffix}" if suffix else _stem(name)


def _stem(name: str) -> str:
    made = f"{PREFIX}figure_{re.sub(r'[^a-zA-Z0-9]+', '_', name).strip('_')}"
    # Such an ending would make the family a part of another one.
    return f"{made}_value" if _RESERVED.search(made) else made


def _run(exposition: _Exposition, run: Run) -> None:
    header, place = run.header, run.header.environment
    about = {
        "mesh": header.mesh, "run": header.run, "mesh_title": header.mesh_title, "mesh_version": header.mesh_version,
        "harness": header.harness, "cluster": place.cluster, "kubernetes": place.kubernetes,
        "cpu_model": place.cpu_model,
    }
    more = {_label(name, about): value for name, value in header.labels.items()}
    exposition.gauge(f"{PREFIX}run_info", "Always 1; the labels say which run all other samples of the mesh are of.", 1,
                     {**about, **more})
    exposition.gauge(f"{PREFIX}run_start_timestamp_seconds", "When the run began, since 1970.", header.started,
                     {"mesh": header.mesh}, unit="seconds")


def _probe(exposition: _Exposition, result: ProbeResult, labels: Mapping[str, str]) -> None:
    exposition.gauge(f"{PREFIX}probe_invalid", "Whether the result of the probe must not be used, and has no values.",
                     float(not result.valid), labels)
    closed: dict[str, int] = {}
    for invalidity in result.invalid:
        closed[invalidity.gate] = closed.get(invalidity.gate, 0) + 1
    for gate, count in closed.items():
        exposition.gauge(f"{PREFIX}probe_invalidities", "How often a gate found that the result must not be used.",
                         count, {**labels, "gate": gate})
    exposition.gauge(f"{PREFIX}probe_duration_seconds", "How long the probe took.", result.seconds, labels,
                     unit="seconds")


def _figure(exposition: _Exposition, figure: Figure, labels: Mapping[str, str]) -> None:
    unit = _SUFFIXES[figure.unit]
    whole = {**labels, **{_label(name, _OWN): value for name, value in figure.labels.items()}}
    exposition.gauge(metric(figure.name, figure.unit), f"The figure {figure.name}.", figure.value, whole, unit=unit)
    for end, word, value in (("low", "lower", figure.low), ("high", "upper", figure.high)):
        if value is not None:
            exposition.gauge(metric(f"{figure.name}.{end}", figure.unit), f"The {word} bound of the figure "
                             f"{figure.name}.", value, whole, unit=unit)


def _merged(loads: Iterable[LoadSummary]) -> Iterator[tuple[dict[str, str], list[LoadSummary]]]:
    """The loads that differ by nothing but the round, with the labels they share."""
    found: dict[tuple[tuple[str, str], ...], list[LoadSummary]] = {}
    for load in loads:
        place = {_label(name, _OWN_OF_LOADS): value for name, value in load.labels.items() if name != _EACH_ROUND}
        found.setdefault(tuple(sorted(place.items())), []).append(load)
    for key, same in found.items():
        yield dict(key), same


def _load(exposition: _Exposition, loads: list[LoadSummary], labels: Mapping[str, str]) -> None:
    for kind, meaning in (("service", "From sending a request to the end of its answer."),
                          ("response", "From the intended time of a request to the end of its answer.")):
        whole = together(getattr(load, kind) for load in loads)
        exposition.histogram(f"{PREFIX}load_{kind}_seconds", meaning, whole, labels)
        for percentile, share in PERCENTILES.items():
            if not beyond(whole.count, share):
                exposition.gauge(
                    f"{PREFIX}load_{kind}_percentile_seconds", f"{meaning} Percentile, within 0.4 %.",
                    whole.percentile(share) * NANO, {**labels, "percentile": percentile}, unit="seconds")
    seconds = sum(load.seconds for load in loads)
    achieved = sum(load.achieved * load.seconds for load in loads) / seconds if seconds else 0.0
    exposition.gauge(f"{PREFIX}load_rate_per_second", "Requests answered as expected.", achieved, labels,
                     unit="per_second")
    if loads[0].requested is not None:
        exposition.gauge(f"{PREFIX}load_requested_per_second", "Requests that were to be sent; none for a closed loop.",
                         loads[0].requested, labels, unit="per_second")
    exposition.gauge(f"{PREFIX}load_duration_seconds", "How long the load was measured.", seconds, labels,
                     unit="seconds")
    errors: dict[str, int] = {"any": 0}
    for load in loads:
        for kind, count in load.errors.items():
            errors[kind] = errors.get(kind, 0) + count
            errors["any"] += count
    for kind, count in errors.items():
        exposition.gauge(f"{PREFIX}load_errors", "Requests that failed, by kind; `any` is all of them.", count,
                         {**labels, "kind": kind})


def _buckets(values: Histogram) -> Iterator[tuple[float, int]]:
    """Upper bounds in seconds with the count of all values up to them, by the middles of the finer buckets."""
    middles = [(min(max((low + high - 1) // 2, values.min), values.max), count)
               for low, high, count in values.buckets()]
    place = seen = 0
    for bound in BOUNDS:
        while place < len(middles) and middles[place][0] <= bound / NANO:
            seen += middles[place][1]
            place += 1
        yield bound, seen
    yield math.inf, values.count


def _label(name: str, taken: Iterable[str]) -> str:
    made = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    made = f"label_{made}" if not re.match(r"[a-zA-Z]", made) or made in taken else made
    return made.replace("__", "_")


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _plain(text: str) -> str:
    """Text without what the two formats escape differently."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))
