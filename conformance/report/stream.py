"""A record read line by line: whatever its size, it takes little memory.

Each line is held to the schema, cleaned and held to the others when it comes; the counts and verdicts of the footer are
compared with what was read. What is handed out before the end can still turn out to be part of a broken record, so
whoever prints waits for the end, or prints what cannot pass for a whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec
from msgspec import UNSET

from conformance.outcome import Outcome, Result
from conformance.report import lines
from conformance.report.cases import Cases, TooManyError
from conformance.report.codec import MAX_LINE, MissingFooter, RecordError, decode
from conformance.report.documents import document_of
from conformance.report.lines import ResultLine
from conformance.report.model import Footer, Header
from conformance.requirement import Level
from conformance.verdict import Tally, Verdict

MAX_VERDICTS: Final = 50_000
"""How many meshes times versions of APIs there may be: more verdicts than a footer, a line, has room for."""

Key = tuple[str, str, str]
"""What there is a verdict on: mesh, API group and version."""


_What = tuple[Level, Outcome, bool, bool]
"""What decides about a result: level, outcome, whether it is judged, and whether it is listed as known to fail."""

_Numbers = dict[_What, int]

_FAILING: Final = frozenset(outcome for outcome in Outcome if outcome.failing)


class RecordStream:
    """A record of which the header has been read; iterating gives the results, and checks the footer at the end.

    Raises `RecordError` with the line, and `MissingFooter` for a run that broke off. `raw` is the line of the result
    that was given last, and `cleaned` says whether it was another one before it was cleaned. When the iteration has
    ended there are the `footer`, the outcome of each of the `cases`, what the verdicts follow from in `tallies`, and in
    `samples` one result of each sort.
    """

    def __init__(self, stream: BinaryIO, name: str = "") -> None:
        self.name = name
        self.line = 0
        self.raw = b""
        self.cleaned = False
        self.cases = Cases()
        self.tallies: dict[Key, Tally] = {}
        self.samples: dict[_What, ResultLine] = {}
        self._groups: dict[tuple[str, str], dict[str, _Numbers]] = {}
        self._stream = stream
        self._footer: Footer | None = None
        first = self._next()
        if not first:
            raise self._error("the record is empty", 0)
        item = self._decoded(first)
        if not isinstance(item, Header):
            raise self._error("stands before the header, which is the first line of a record")
        self.header = item
        self._meshes = {mesh.name for mesh in item.meshes}
        self._selected = set(item.selected)

    @property
    def footer(self) -> Footer:
        """How the run ended; there when all results have been read."""
        if self._footer is None:
            raise ValueError("the footer is asked for before the results were read")
        return self._footer

    def __iter__(self) -> Iterator[ResultLine]:
        """Give the results as they come."""
        meshes: dict[str, int] = {}
        places: dict[Key, tuple[int, dict[str, _Numbers]]] = {}
        while line := self._next():
            self.cleaned = False
            quick = lines.quick(line) if len(line) <= MAX_LINE and line.endswith(b"\n") else None
            if quick is None or len(quick[1]) > MAX_LINE:
                item = self._decoded(line)
                if isinstance(item, Footer):
                    self._end(item)
                    return
                if isinstance(item, Header):
                    raise self._error("is a second header; records are combined by a command, not by concatenation")
                quick = item
            found, line = quick
            place = places.get((found.api, found.version, found.requirement))
            if place is None:
                place = places[found.api, found.version, found.requirement] = self._place(found)
            row = meshes.get(found.mesh)
            if row is None:
                row = meshes[found.mesh] = self._row(found)
            number, group = place
            try:
                new = self.cases.put_at(row, number, found.outcome)
            except TooManyError as error:
                raise self._too_large(error) from error
            if not new:
                raise self._error(f"is a second result of {found.requirement} on {found.mesh}")
            numbers = group.get(found.mesh)
            if numbers is None:
                numbers = group[found.mesh] = self._begin((found.mesh, found.api, found.version))
            self._count(found, numbers)
            self.raw = line
            yield found
        raise MissingFooter(self.header, (), self.line, self.name)

    def _place(self, found: ResultLine) -> tuple[int, dict[str, _Numbers]]:
        """Where the results of a requirement go: the number of the kind of case, and what is counted of its API."""
        if found.requirement not in self._selected:
            raise self._error(f"is a result of {found.requirement}, which the header does not select")
        try:
            number = self.cases.number((found.api, found.version, found.requirement))
        except TooManyError as error:
            raise self._too_large(error) from error
        return number, self._groups.setdefault((found.api, found.version), {})

    def _row(self, found: ResultLine) -> int:
        if found.mesh not in self._meshes:
            raise self._error(f"is a result on {found.mesh}, a mesh that the header does not name")
        return self.cases.row(found.mesh)

    def _begin(self, key: Key) -> _Numbers:
        if len(self.tallies) >= MAX_VERDICTS:
            raise self._too_large(f"more than {MAX_VERDICTS} verdicts")
        self.tallies[key] = Tally()
        return {}

    def _too_large(self, why: object) -> RecordError:
        return self._error(f"makes the record too large to be read: {why}")

    def _count(self, found: ResultLine, numbers: _Numbers) -> None:
        what = (found.level, found.outcome, found.judged, found.known is not UNSET)
        number = numbers.get(what)
        if number is None:
            self.samples.setdefault(what, found)
            number = 0
        numbers[what] = number + 1
        if found.outcome in _FAILING and found.judged and found.level.binding:
            self.tallies[found.mesh, found.api, found.version].violated.append(found.requirement)

    def _next(self) -> bytes:
        try:
            line = self._stream.readline(MAX_LINE + 1)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error
        self.line += bool(line)
        return line

    def _decoded(self, line: bytes) -> Header | Footer | tuple[ResultLine, bytes]:
        try:
            item = decode(line)
            document = document_of(item)
            self.cleaned = json.loads(line) != document
            if not isinstance(item, Result):
                return item
            found = lines.of(document)
            written = lines.write(found)
        except RecordError as error:
            raise self._error(error.problem) from error
        except (msgspec.MsgspecError, OverflowError) as error:
            # Such as numbers of more than 64 bits, of which other readers would take a part.
            raise self._error(f"is not a valid result: {error}") from error
        if len(written) > MAX_LINE:
            # Such as one of many numbers like 1e15. Who combines it would write what nobody reads.
            raise self._error(f"is longer than a line may be ({MAX_LINE} bytes) once its numbers are written out")
        return found, written

    def _error(self, problem: str, line: int | None = None) -> RecordError:
        return RecordError(problem, self.line if line is None else line, self.name)

    def _end(self, footer: Footer) -> None:
        for (api, version), group in self._groups.items():
            for mesh, numbers in group.items():
                tally = self.tallies[mesh, api, version]
                for (_, outcome, judged, _), number in numbers.items():
                    tally.count(outcome, number, judged=judged)
        found: Counter[Outcome] = Counter()
        for tally in self.tallies.values():
            found.update(tally.counts)
        if found != Counter({outcome: number for outcome, number in footer.counts.items() if number}):
            claims = ", ".join(f"{number} {outcome}" for outcome, number in footer.counts.items()) or "none"
            real = ", ".join(f"{found[outcome]} {outcome}" for outcome in Outcome if found[outcome]) or "none"
            raise self._error(f"the footer counts {claims}, the results are {real}: lines were lost or added")
        for claimed in footer.verdicts:
            self._check(claimed)
        told = {(claimed.mesh, claimed.api, claimed.version) for claimed in footer.verdicts}
        for mesh, api, version in self.tallies:
            if (mesh, api, version) not in told:
                raise self._error(f"the footer has no verdict on {mesh} for {api} {version}")
        if self._next():
            raise self._error("stands after the footer, which is the last line of a record")
        self._footer = footer

    def _check(self, told: Verdict) -> None:
        tally = self.tallies.get((told.mesh, told.api, told.version), Tally())
        compliance, reason = tally.compliance(told.missing, told.left_out)
        if (told.compliance, told.capability) != (compliance, tally.capability(told.missing, told.left_out)):
            raise self._error(
                f"the verdict does not follow from the results: it says {told}, they say {compliance}"
                f"{f' ({reason})' if reason else ''}"
            )
