"""The quick way to read results: lines that need no cleaning, in a hundredth of the schema's time.

A record may have millions of results. What stands here is the schema once more, as types that one pass over a line
fills; it takes only lines that say after the slow way what they said before, in whatever order and spacing, and leaves
all others to it. The slow way, the published schema and full cleaning (`codec`), decides; that both agree is a test's
business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic_core import SchemaValidator, core_schema

from conformance.outcome import Case, Convergence, Known, Outcome, Result, SampleSummary
from conformance.report.hygiene import MAX_OBJECT_TEXT, SUSPECT
from conformance.requirement import Level

_Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9._]*[a-z0-9])?\Z")]
_Mesh = Annotated[str, Meta(
    min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9._]*[a-z0-9])?(@[a-z0-9]([-a-z0-9._]*[a-z0-9])?)?\Z")]
_Requirement = Annotated[str, Meta(max_length=64, pattern=r"^[A-Z][A-Z0-9]*-[0-9]{3}\Z")]
_Version = Annotated[str, Meta(max_length=32, pattern=r"^(v[0-9]+((alpha|beta)[0-9]+)?)?\Z")]
_Text = Annotated[str, Meta(max_length=16_384)]
_Short = Annotated[str, Meta(max_length=256)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Seconds = Annotated[float, Meta(ge=0)]


class ConvergenceLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """How long something took to be in effect."""

    what: _Text
    seconds: _Seconds
    probes: _Count


class SampleLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The counts of one sample."""

    id: _Short
    client: _Short
    request: Annotated[str, Meta(max_length=1024)]
    size: _Count
    counts: dict[_Short, _Count]
    failures: dict[_Short, _Count]
    expected: dict[_Short, tuple[_Count, _Count]]
    alpha: Annotated[float, Meta(gt=0, lt=1)] | None
    p_value: Annotated[float, Meta(ge=0, le=1)] | None

    def summary(self) -> SampleSummary:
        """The sample as the core knows it."""
        return SampleSummary(self.id, self.client, self.request, self.size, self.counts, self.failures, self.expected,
                             self.alpha, self.p_value)


class KnownLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What the list of known failures says."""

    reason: Annotated[str, Meta(min_length=1, max_length=1024)]
    link: Annotated[str, Meta(max_length=300, pattern=r"^https://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+\Z")]
    since: _Short


class ResultLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="type", tag="result"):
    """A result as its line says it, with the attributes of `Result` that need no work; `result()` makes the rest."""

    requirement: _Requirement
    level: Level
    judged: bool
    mesh: _Mesh
    api: _Name
    version: _Version
    outcome: Outcome
    message: _Text
    duration: _Seconds
    converged: tuple[ConvergenceLine, ...]
    samples: tuple[SampleLine, ...]
    applied: tuple[dict[str, Any], ...]
    observed: _Text
    reproduce: _Text
    worker: Annotated[str, Meta(max_length=32)]
    known: KnownLine | UnsetType = UNSET

    @property
    def case(self) -> Case:
        """What this is the result of."""
        return Case(self.mesh, self.api, self.version, self.requirement)

    def result(self) -> Result:
        """The whole result as the core knows it."""
        known = Known(self.known.reason, self.known.link, self.known.since) if self.known else None
        return Result(
            self.requirement, self.level, self.mesh, self.api, self.version, self.outcome, self.message, self.duration,
            tuple(Convergence(c.what, c.seconds, c.probes) for c in self.converged),
            tuple(sample.summary() for sample in self.samples),
            self.applied, self.observed, self.reproduce, self.worker, self.judged, known,
        )


class _OtherLine(Struct, tag_field="type", tag=""):
    """No line at all: where there is a choice of types, a line has to say which it is of; of one it need not."""


_decoder: Final = msgspec.json.Decoder(ResultLine | _OtherLine)
_encoder: Final = msgspec.json.Encoder()

_POSSIBLE: Final = frozenset(
    (level, judged, outcome)
    for level in Level for judged in (True, False) for outcome in Outcome
    if (level.judged or not judged) and not (outcome is Outcome.OBSERVED if judged else outcome.judgement)
)
"""Which levels, judged or not, can have which outcomes; `Result` refuses the others."""

_SUSPECT: Final = (
    SUSPECT
    # In small letters, what is in every object of Kubernetes that cleaning would take something from.
    + r'|"status":|managedfields"|"uid":|resourceversion"|creationtimestamp"|"generation":|selflink"'
    r"|last-applied-configuration"
)
"""What no line has that stays as it is when it is cleaned. One that has it may be clean all the same."""

# Rust's expressions look for many words in one pass, ten times as fast as Python's; this is their way in.
_suspect: Final = SchemaValidator(core_schema.str_schema(pattern=_SUSPECT))
_unprintable: Final = SchemaValidator(core_schema.str_schema(
    pattern=r"[\x{80}-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{fffe}\x{ffff}]"))
_ESCAPE: Final = re.compile(rb'\\[^"nt]')
"""An escape that stands for something to be spelt out, where backslashes that stand for themselves are left out."""

_COLON: Final = re.compile(rb"\\u003[aA]")
"""A colon as an escape, as which no count of colons finds it."""

_MAX_DEPTH: Final = 40
_LONG_LINE: Final = 64 * 1024
"""A line of which the objects may be more than a report keeps, however they are counted."""


def quick(line: bytes) -> tuple[ResultLine, bytes] | None:
    """The result of a line that needs no cleaning, and the line as this project writes it.

    `None` for one that has to go the slow way.
    """
    try:
        found = _decoder.decode(line)
        if not isinstance(found, ResultLine) or (found.level, found.judged, found.outcome) not in _POSSIBLE:
            return None
        written = write(found)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    # From here on it is what will be written that is looked at: there, each character has one form.
    if (written != line and _says_twice(line, written)) or not _harmless(written):
        return None
    if found.applied and not _within_limits(found.applied, written):
        return None
    return found, written


def _says_twice(line: bytes, written: bytes) -> bool:
    """Whether a line that was read may have a name twice in an object, of which the first is lost without a word.

    With each that is lost goes its colon, and nothing that reading does makes a colon, since no member has a default
    that is written. What it refuses may still be without fault.
    """
    return line.count(b":") != written.count(b":") or _COLON.search(line) is not None


def of(result: Mapping[str, Any]) -> ResultLine:
    """The line of a result's document that the slow way has passed. Raises msgspec.ValidationError."""
    return msgspec.convert(result, ResultLine)


def write(line: ResultLine) -> bytes:
    """The bytes of a line, its line feed included, as they were read or would be."""
    return _encoder.encode(line) + b"\n"


def _harmless(line: bytes) -> bool:
    """Whether nothing in the line is to be redacted, dropped or spelt out. What it refuses may still be harmless."""
    if b"\x7f" in line or (b"\\" in line and _ESCAPE.search(line.replace(b"\\\\", b""))):
        return False
    if not line.isascii() and _unprintable.isinstance_python(line.decode()):
        return False
    return not _suspect.isinstance_python(line.lower().decode())


def _within_limits(applied: tuple[dict[str, Any], ...], line: bytes) -> bool:
    """Whether the objects are neither nested too deeply nor too long in any part."""
    if len(line) > MAX_OBJECT_TEXT:
        return len(line) <= _LONG_LINE and all(_shallow(item, _MAX_DEPTH) for item in applied)
    # Within a text the quote would have a backslash before it, so this is where the objects begin.
    begin = line.find(b'"applied":[')
    if line.count(b"{", begin) + line.count(b"[", begin) <= _MAX_DEPTH:
        return True
    return all(_shallow(item, _MAX_DEPTH) for item in applied)


def _shallow(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_OBJECT_TEXT
    if isinstance(value, dict):
        return depth > 0 and all(len(key) <= MAX_OBJECT_TEXT and _shallow(item, depth - 1)
                                 for key, item in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_shallow(item, depth - 1) for item in value)
    return True
