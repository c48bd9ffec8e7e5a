"""The history of figures over runs: JSON Lines or CSV, one line for each figure of each run, appended to for years.

A CSV history opens in a spreadsheet; both hold the same, without loss. Figures that passed no validity gate are not in
it. An append happens whole or not at all, also when two runs end at once or the disk is full.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import fcntl
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.performance.model import UNITS, Figure, Run
from conformance.performance.wording import printable

MAX_BYTES: Final = 256 * 2**20
"""The largest history that is read or appended to."""
FORMAT: Final = {"format": "mesh-conformance/performance-history", "version": 1}
COLUMNS: Final = (
    "run", "started", "harness", "mesh", "mesh_version", "cluster", "kubernetes", "cpu_model", "probe", "figure",
    "labels", "unit", "better", "value", "low", "high", "confidence", "samples",
)
_TEXTS: Final = frozenset(COLUMNS) - {"started", "labels", "value", "low", "high", "confidence", "samples"}
_FORMULA: Final = ("=", "+", "-", "@", "\t")


class HistoryError(Exception):
    """A history cannot be read or appended to; nothing was changed."""


@dataclass(frozen=True)
class Entry:
    """One figure of one run; `started` in seconds since 1970."""

    run: str
    started: float
    harness: str
    mesh: str
    mesh_version: str
    cluster: str
    kubernetes: str
    cpu_model: str
    probe: str
    figure: Figure


def entries(run: Run) -> tuple[Entry, ...]:
    """Return what a run adds to a history."""
    header, place = run.header, run.header.environment
    return tuple(
        Entry(header.run, header.started, header.harness, header.mesh, header.mesh_version, place.cluster,
              place.kubernetes, place.cpu_model, result.probe, figure)
        for result in run.results for figure in result.figures
    )


def append(path: Path, run: Run) -> int:
    """Append a run's figures and return how many; a file ending in `.csv` is CSV, any other JSON Lines.

    Raises `HistoryError`, and leaves the file as it was, when it is of another kind, was cut off, already has the run,
    or cannot be written.
    """
    form = _form(path)
    added = entries(run)
    try:
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            before = _content(path, stream)
            if any(entry.run == printable(run.header.run) for entry in _read(path, form, before)):
                raise HistoryError(f"the history {path} already has the run {printable(run.header.run, 200)}")
            text = ("" if before else form.head()) + "".join(form.line(entry) for entry in added)
            _extend(stream, len(before.encode()), text.encode())
    except OSError as error:
        raise HistoryError(f"the history {path} cannot be appended to: {error.strerror or error}") from error
    except ValueError as error:
        name = printable(run.header.run, 200)
        raise HistoryError(f"the run {name} has a figure that is not finite: {error}") from error
    return len(added)


def read(path: Path) -> tuple[Entry, ...]:
    """Read a history, in the order of its lines. Raises `HistoryError` with the line."""
    try:
        if path.exists() and not path.is_file():
            raise HistoryError(f"the history {path} is no file")
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return tuple(_read(path, _form(path), _content(path, stream)))
    except OSError as error:
        raise HistoryError(f"the history {path} cannot be read: {error.strerror or error}") from error


def _extend(stream: Any, size: int, data: bytes) -> None:
    """Append all or nothing: a line cut in the middle would spoil the history for good."""
    try:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(stream.fileno(), size)
        raise


def _content(path: Path, stream: Any) -> str:
    stream.seek(0)
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise HistoryError(f"the history {path} is larger than {MAX_BYTES} bytes; begin another one")
    if data and not data.endswith(b"\n"):
        raise HistoryError(f"the last line of the history {path} is cut off; remove it, and append its run again")
    try:
        return str(data.decode())
    except UnicodeDecodeError as error:
        raise HistoryError(f"the history {path} is not UTF-8 text at byte {error.start}") from error


def _read(path: Path, form: _Form, text: str) -> Iterator[Entry]:
    if not text:
        return
    if not text.startswith(form.head()):
        first = printable(text.partition("\n")[0], 120)
        raise HistoryError(f"{path} is no history of this kind, it begins with {first!r}; give one, or a new name")
    seen: set[tuple[str, str]] = set()
    for number, row in form.rows(text[len(form.head()):]):
        try:
            entry = _entry(row)
        except (ValueError, KeyError, TypeError) as error:
            problem = printable(str(error), 200)
            raise HistoryError(f"line {number} of the history {path} is no figure: {problem}") from error
        if (key := (entry.run, entry.figure.key)) in seen:
            raise HistoryError(f"line {number} of the history {path} has {key[1]} of the run {key[0]} a second time")
        seen.add(key)
        yield entry


def _row(entry: Entry) -> dict[str, Any]:
    figure = entry.figure
    row = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry) if field.name != "figure"}
    row |= {"figure": figure.name, "labels": dict(figure.labels), "unit": figure.unit, "better": figure.better,
            "value": figure.value, "low": figure.low, "high": figure.high, "confidence": figure.confidence,
            "samples": list(figure.samples)}
    return {name: printable(row[name]) if name in _TEXTS else row[name] for name in COLUMNS}


def _entry(row: Mapping[str, Any]) -> Entry:
    if set(row) != set(COLUMNS):
        raise ValueError(f"it has the columns {', '.join(sorted(map(str, row)))}")
    for name in _TEXTS:
        if not isinstance(row[name], str):
            raise TypeError(f"{name} is no text")
    labels = row["labels"]
    if not (isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values())):
        message = "labels are no texts by name"
        raise TypeError(message)
    if row["unit"] not in UNITS or row["better"] not in ("lower", "higher", ""):
        raise ValueError(f"the unit {row['unit']!r} with {row['better']!r} better is not known")
    bounds = [_number(row[name]) if row[name] is not None else None for name in ("low", "high", "confidence")]
    if None in bounds and bounds != [None, None, None]:
        raise ValueError("it has part of an interval")
    figure = Figure(printable(row["figure"]), row["unit"], _number(row["value"]), bounds[0], bounds[1], bounds[2],
                    tuple(map(_number, row["samples"])), row["better"],
                    {printable(name): printable(value) for name, value in labels.items()})
    told = {name: printable(row[name]) for name in COLUMNS[:9] if name != "started"}
    return Entry(started=_number(row["started"]), figure=figure, **told)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return value


class _Form:
    """How lines are written and read."""

    def head(self) -> str:
        return json.dumps(FORMAT) + "\n"

    def line(self, entry: Entry) -> str:
        return json.dumps(_row(entry), ensure_ascii=False, allow_nan=False) + "\n"

    def rows(self, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, line in enumerate(text.split("\n")[:-1], 2):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield number, row if isinstance(row, dict) else {"no JSON object": line[:80]}


class _Csv(_Form):
    """Values that are not text are JSON, so that nothing is lost."""

    def head(self) -> str:
        return ",".join(COLUMNS) + "\n"

    def line(self, entry: Entry) -> str:
        buffer = io.StringIO()
        row = _row(entry)
        cells = [_quoted(row[name]) if name in _TEXTS else json.dumps(row[name], allow_nan=False) for name in COLUMNS]
        csv.writer(buffer, lineterminator="\n").writerow(cells)
        return buffer.getvalue()

    def rows(self, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline="")), 2):
            if len(cells) != len(COLUMNS):
                yield number, {f"{len(cells)} cells": None}
                continue
            yield number, {name: _unquoted(cell) if name in _TEXTS else _value(cell)
                           for name, cell in zip(COLUMNS, cells, strict=True)}


def _quoted(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _unquoted(text: str) -> str:
    return text.removeprefix("'")


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _form(path: Path) -> _Form:
    return _Csv() if path.suffix.lower() == ".csv" else _Form()


def series(history: Iterable[Entry], key: str) -> Sequence[Entry]:
    """Return the entries of one figure, oldest first. Raises `HistoryError` when there is none."""
    history = list(history)
    found = sorted((entry for entry in history if entry.figure.key == key), key=lambda entry: entry.started)
    if not found:
        known = sorted({entry.figure.key for entry in history})
        raise HistoryError(f"the history has no figure {key!r}; it has {', '.join(known[:20]) or 'none at all'}")
    return found
