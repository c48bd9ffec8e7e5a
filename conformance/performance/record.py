"""The record of a performance run, `performance.json`: written whole or not at all, and read back without loss.

One JSON document, held to `schema/run.json` when it is written and when it is read: who reads it may have got it from
someone else. Text is cleaned on both ways, so that no terminal or page that shows it later is misled.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

from conformance import strictjson
from conformance.performance.document import FORMAT, VERSION, RecordError, from_json, to_json
from conformance.performance.model import Run
from conformance.writing import write_whole

__all__ = ["FORMAT", "MAX_BYTES", "VERSION", "RecordError", "parse", "read", "write"]

MAX_BYTES: Final = 64 * 2**20
"""The largest record that is written or read: a hundred times what a run of all probes takes."""


def write(path: Path, run: Run) -> None:
    """Write a run so that the file is there whole or as it was before.

    Raises `RecordError` when the run breaks the schema or itself (an error of the harness), or the file cannot be
    written.
    """
    try:
        text = json.dumps(to_json(run), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecordError as error:
        raise RecordError(f"the run cannot be recorded: {error.problem}", error.place, str(path)) from error
    except ValueError as error:
        raise RecordError(f"the run cannot be recorded: {error}", path=str(path)) from error
    data = text.encode() + b"\n"
    if len(data) > MAX_BYTES:
        problem = f"the run takes {len(data)} bytes, a record at most {MAX_BYTES}; keep fewer loads or longer intervals"
        raise RecordError(problem, path=str(path))
    try:
        write_whole(path, data)
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}; what was there before still is"
        raise RecordError(problem, path=str(path)) from error


def read(path: Path) -> Run:
    """Read a run from a file. Raises `RecordError` that names the file, the place in it, and what to do."""
    try:
        data = _bytes(path)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror or error}", path=str(path)) from error
    try:
        return parse(data)
    except RecordError as error:
        raise RecordError(error.problem, error.place, str(path)) from error


def _bytes(path: Path) -> bytes:
    # A pipe or a device would be waited for, or never end.
    if path.exists() and not path.is_file():
        raise RecordError("is no file; give the performance.json that a run wrote", path=str(path))
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def parse(data: bytes) -> Run:
    """Return the run that a record's bytes hold. Raises `RecordError`."""
    if len(data) > MAX_BYTES:
        raise RecordError(f"is larger than a record may be ({MAX_BYTES} bytes)")
    try:
        text = data.decode()
        document = strictjson.loads(text, _finite)
    except UnicodeDecodeError as error:
        raise RecordError(f"is not UTF-8 text at byte {error.start}; it is no performance record") from error
    except json.JSONDecodeError as error:
        hint = "it was edited" if text.rstrip().endswith("}") else "the file is truncated: copy it again"
        raise RecordError(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}; {hint}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"is not JSON that a record may hold: {error}") from error
    return from_json(document)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.40} is too large")
    return value
