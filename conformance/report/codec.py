"""Lines of a record, to and from what they mean; held to the schema in both directions."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from conformance import strictjson
from conformance.outcome import Result
from conformance.report import lines
from conformance.report.documents import document_of, sample_document, to_footer, to_header, to_result
from conformance.report.hygiene import clean_footer, clean_header, clean_result, clean_text
from conformance.report.model import SCHEMA, Footer, Header

__all__ = ["MAX_LINE", "SCHEMA", "MissingFooter", "RecordError", "decode", "encode", "sample_document"]

MAX_LINE = 4 * 2**20
"""The longest line that is written or read, in bytes."""

MAX_NUMBER: Final = 2**63 - 1
"""The largest count that is read: of larger ones, many readers would take a part."""

_KINDS = ("header", "result", "footer")
_MAX_FAULTS: Final = 1_000
"""How many faults of a line are looked at for the one that is told; a line has room for millions."""


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


def _unique_texts(_validator: Validator, wanted: bool, items: Any, _schema: Any) -> Iterator[ValidationError]:
    """Like jsonschema's own, which takes hours for a line of texts with a single object among them.

    Of what is no text something else in the schema says that it has to be one.
    """
    texts = [item for item in items if isinstance(item, str)] if wanted and isinstance(items, list) else []
    if len(set(texts)) != len(texts):
        yield ValidationError(f"{items!r} has non-unique elements")


_Schema: Final[type[Validator]] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"uniqueItems": _unique_texts}
)


@cache
def _validator(kind: str) -> Validator:
    text = (files("conformance.report") / "schema" / f"record-v{SCHEMA}.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    # One definition is chosen by the line's type: `oneOf` over all three would explain every fault thrice.
    return _Schema({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


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
    if not _is_result(document):
        _hold(document)
    try:
        item = _build(document)
    except ValueError as error:
        raise RecordError(str(error)) from error
    _refuse_huge(item)
    return item


def _is_result(document: Any) -> bool:
    """Whether it is a result in the eyes of `lines`, whose types take nothing that the schema refuses.

    They need a hundredth of its time. What they do not take may still be one: the schema decides, and says what is
    wrong.
    """
    if not isinstance(document, dict) or document.get("type") != "result":
        return False
    try:
        lines.of(document)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _refuse_huge(item: Header | Result | Footer) -> None:
    """Raise RecordError for a time like 1e999, and for a footer's count like it: nothing could be added to them.

    Those of results are held to it by the types of `lines`, whatever way they come.
    """
    if isinstance(item, Header):
        return
    times, counts, kind = [item.duration], [], "result"
    if isinstance(item, Result):
        times += [one.seconds for one in item.convergence]
    else:
        kind = "footer"
        counts = [*item.counts.values()]
        for verdict in item.verdicts:
            counts += [verdict.missing, verdict.left_out, *verdict.counts.values()]
    if max(times) > sys.float_info.max:
        raise RecordError(f"is not a valid {kind}: a time in it is larger than any number")
    if max(counts, default=0) > MAX_NUMBER:
        raise RecordError(f"is not a valid {kind}: a count in it is larger than {MAX_NUMBER}")


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
        error = best_match(islice(_validator(kind).iter_errors(document), _MAX_FAULTS))
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
