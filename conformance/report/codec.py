"""Lines of a record, to and from what they mean; held to the schema in both directions."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from conformance import strictjson
from conformance.outcome import Result
from conformance.report.documents import document_of, sample_document, to_footer, to_header, to_result
from conformance.report.hygiene import clean_footer, clean_header, clean_result, clean_text
from conformance.report.model import SCHEMA, Footer, Header

__all__ = ["MAX_LINE", "SCHEMA", "MissingFooter", "RecordError", "decode", "encode", "sample_document"]

MAX_LINE = 4 * 2**20
"""The longest line that is written or read, in bytes."""

_KINDS = ("header", "result", "footer")


class RecordError(Exception):
    """A record, or a line of it, is not what the schema says; `line` counts from 1, 0 where there is none.

    `name` is the file's, empty where there is only one.
    """

    def __init__(self, problem: str, line: int = 0, name: str = "") -> None:
        super().__init__(problem, line, name)
        # It may quote what was read, which is hostile.
        self.problem = clean_text(problem, 2_000)
        self.line = line
        self.name = name

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.name, f"line {self.line}" if self.line else "")))
        return f"{where}: {self.problem}" if where else self.problem


class MissingFooter(RecordError):  # noqa: N818 - names what is wrong
    """The record is whole as far as it goes, but the run did not end; `header` and `results` are what there is."""

    def __init__(self, header: Header, results: tuple[Result, ...], line: int, name: str = "") -> None:
        problem = "the record has no footer: the run broke off, and its record cannot be published"
        super().__init__(problem, line, name)
        self.header = header
        self.results = results


@cache
def _validator(kind: str) -> Draft202012Validator:
    text = (files("conformance.report") / "schema" / f"record-v{SCHEMA}.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    # One definition is chosen by the line's type: `oneOf` over all three would explain every fault thrice.
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def encode(item: Header | Result | Footer) -> bytes:
    """One line of a record, its line feed included, cleaned of secrets and control characters.

    Raises `RecordError` when the item cannot be recorded as it is: an error of the harness.
    """
    if isinstance(item, Header):
        document = document_of(clean_header(item))
    elif isinstance(item, Result):
        document = document_of(clean_result(item))
    else:
        document = document_of(clean_footer(item))
    _hold(document)
    try:
        _refuse_infinite(document)
        # As `lines` writes, so that its quick way takes what is read again.
        line = msgspec.json.encode(document) + b"\n"
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordError(f"a {document['type']} cannot be written as JSON: {error}") from error
    if len(line) > MAX_LINE:
        raise RecordError(f"a {document['type']} of {len(line)} bytes is longer than a line may be ({MAX_LINE})")
    return line


def _refuse_infinite(document: dict[str, Any]) -> None:
    """Raise ValueError for a number that JSON does not have; msgspec would write null."""
    if document["type"] != "header":
        json.dumps(document, allow_nan=False)


def decode(line: bytes) -> Header | Result | Footer:
    """What one line of a record means, cleaned as if it were written here. Raises `RecordError`."""
    if len(line) > MAX_LINE:
        raise RecordError(f"is longer than a line may be ({MAX_LINE} bytes)")
    if not line.endswith(b"\n"):
        raise RecordError("ends in the middle: the file is truncated")
    try:
        document = strictjson.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"is not JSON: {error}") from error
    _hold(document)
    try:
        return _build(document)
    except ValueError as error:
        raise RecordError(str(error)) from error


def _hold(document: Any) -> None:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in _KINDS:
        raise RecordError(f"has no known type: `type` must be one of {', '.join(_KINDS)}")
    if kind == "header" and document.get("schema") != SCHEMA:
        raise RecordError(
            f"the record has schema version {document.get('schema')!r:.40} and this mesh-conformance reads version "
            f"{SCHEMA}; read it with the version that wrote it"
        )
    try:
        error = best_match(_validator(kind).iter_errors(document))
    except RecursionError as nested:
        raise RecordError("is nested too deeply") from nested
    if error is not None:
        raise RecordError(f"is not a valid {kind}: {_explain(error)}")


def _explain(error: ValidationError) -> str:
    message = error.message if len(error.message) <= 300 else f"{error.message[:140]} … {error.message[-140:]}"
    return f"{error.json_path[:200]}: {message}"


def _build(document: dict[str, Any]) -> Header | Result | Footer:
    if document["type"] == "header":
        return clean_header(to_header(document))
    if document["type"] == "result":
        return clean_result(to_result(document))
    return clean_footer(to_footer(document))
