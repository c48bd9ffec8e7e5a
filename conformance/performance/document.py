"""A performance run as JSON data and back, held to `schema/run.json` both ways."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeVar

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from conformance.performance.histogram import Histogram
from conformance.performance.model import (
    Environment,
    Figure,
    Interval,
    Invalidity,
    LoadSummary,
    Node,
    ProbeResult,
    Run,
    RunHeader,
)
from conformance.performance.wording import printable

FORMAT: Final = "mesh-conformance/performance"
VERSION: Final = 1

T = TypeVar("T")


class RecordError(Exception):
    """A record cannot be read or written; `place` is where in it (`$.results[0].title`), `path` the file."""

    def __init__(self, problem: str, place: str = "", path: str = "") -> None:
        super().__init__(problem, place, path)
        self.problem = problem
        self.place = place
        self.path = path

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.place, self.problem) if part)


def to_json(run: Run) -> dict[str, Any]:
    """Return a run as JSON data, its texts cleaned. Raises `RecordError` when it breaks the schema or itself."""
    document: dict[str, Any] = _clean({"format": FORMAT, "version": VERSION, "header": _header(run.header),
                                       "results": [_result(result) for result in run.results]})
    from_json(document)
    return document


def from_json(document: Any) -> Run:
    """Return the run that JSON data describes, its texts cleaned. Raises `RecordError` with the place in the data."""
    _held(document)
    document = _clean(document)
    results = _each("$.results", document["results"], _to_result)
    _once((result.probe for result in results), "probe")
    _once((figure.key for result in results for figure in result.figures), "figure")
    return Run(_to_header(document["header"]), results)


def _clean(item: Any) -> Any:
    if isinstance(item, str):
        return printable(item)
    if isinstance(item, dict):
        return {printable(name, 500): _clean(value) for name, value in item.items()}
    # Lists of numbers are nearly all of a record.
    if isinstance(item, list) and item and not isinstance(item[0], (int, float)):
        return [_clean(value) for value in item]
    return item


@cache
def _validator() -> Draft202012Validator:
    text = (files("conformance.performance") / "schema" / "run.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _held(document: Any) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RecordError(f"is no performance record: its `format` is not {FORMAT!r}; give a run's performance.json")
    if document.get("version") != VERSION:
        raise RecordError(
            f"has version {document.get('version')!r:.40} and this mesh-conformance reads version {VERSION}; "
            f"read it with the version that wrote it", "$.version",
        )
    try:
        error = best_match(_validator().iter_errors(document))
    except RecursionError as nested:
        raise RecordError("is nested too deeply") from nested
    if error is not None:
        raise RecordError(*_explain(error))


def _explain(error: ValidationError) -> tuple[str, str]:
    message = error.message if len(error.message) <= 300 else f"{error.message[:140]} … {error.message[-140:]}"
    return f"{printable(message)}; a record is written by `perf run`, and not edited", error.json_path[:200]


def _header(header: RunHeader) -> dict[str, Any]:
    return {**_fields(header), "labels": dict(header.labels),
            "environment": {**_fields(header.environment), "nodes": [_fields(n) for n in header.environment.nodes]}}


def _fields(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


def _result(result: ProbeResult) -> dict[str, Any]:
    return {
        **_fields(result),
        "invalid": [_fields(item) for item in result.invalid],
        "figures": [{**_fields(f), "samples": list(f.samples), "labels": dict(f.labels)} for f in result.figures],
        "loads": [_load(load) for load in result.loads],
        "notes": list(result.notes),
    }


def _load(load: LoadSummary) -> dict[str, Any]:
    rows = [[i.completed, i.errors, i.p50, i.p99, i.max] for i in load.timeline]
    maps = {name: dict(getattr(load, name)) for name in ("labels", "errors", "statuses", "agents")}
    histograms = {"service": load.service.to_json(), "response": load.response.to_json()}
    return {**_fields(load), **maps, **histograms, "timeline": rows}


def _once(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RecordError(f"the {what} {name} stands twice; a run has each once", "$.results")
        seen.add(name)


def _each(place: str, items: Iterable[Any], build: Callable[[str, Any], T]) -> tuple[T, ...]:
    return tuple(build(f"{place}[{number}]", item) for number, item in enumerate(items))


def _to_header(data: Mapping[str, Any]) -> RunHeader:
    environment = data["environment"]
    nodes = tuple(Node(**{**node, "cores": int(node["cores"]), "memory": int(node["memory"])})
                  for node in environment["nodes"])
    values = {**data, "environment": Environment(**{**environment, "nodes": nodes}), "seed": int(data["seed"])}
    return RunHeader(**values)


def _to_result(place: str, data: Mapping[str, Any]) -> ProbeResult:
    return ProbeResult(**{
        **data,
        "figures": _each(f"{place}.figures", data["figures"], _to_figure),
        "invalid": tuple(Invalidity(**item) for item in data["invalid"]),
        "loads": _each(f"{place}.loads", data["loads"], _to_load),
        "notes": tuple(data["notes"]),
    })


def _to_figure(place: str, data: Mapping[str, Any]) -> Figure:
    numbers = [data["value"], *data["samples"], *(data[bound] for bound in ("low", "high") if data[bound] is not None)]
    # No JSON of others can hold these, but a harness that divides by nothing can.
    if not all(math.isfinite(value) for value in numbers):
        raise RecordError(f"the figure {data['name']} has a value that is not finite", place)
    bounds = [data["low"], data["high"], data["confidence"]]
    if any(bound is None for bound in bounds) and bounds != [None, None, None]:
        raise RecordError("has part of an interval: low, high and confidence are all there or all null", place)
    if bounds[0] is not None and bounds[0] > bounds[1]:
        raise RecordError(f"has an interval from {bounds[0]} down to {bounds[1]}", place)
    return Figure(**{**data, "samples": tuple(data["samples"])})


def _to_load(place: str, data: Mapping[str, Any]) -> LoadSummary:
    rows = data["timeline"]
    for number, row in enumerate(rows):
        if not all(type(value) in (int, float) and 0 <= value < 2**53 for value in row) or row[0] % 1 or row[1] % 1:
            raise RecordError("is no interval: two counts and three times in seconds", f"{place}.timeline[{number}]")
    return LoadSummary(**{
        **data,
        "connections": int(data["connections"]),
        "service": _to_histogram(f"{place}.service", data["service"]),
        "response": _to_histogram(f"{place}.response", data["response"]),
        "timeline": tuple(Interval(int(done), int(errors), p50, p99, most) for done, errors, p50, p99, most in rows),
    })


def _to_histogram(place: str, data: Mapping[str, Any]) -> Histogram:
    try:
        histogram = Histogram.from_json(data)
    except ValueError as error:
        raise RecordError(printable(str(error), 300), place) from error
    if not histogram.count * histogram.min <= histogram.total <= histogram.count * histogram.max:
        raise RecordError("is a histogram whose sum lies outside what its least and greatest value allow", place)
    return histogram
