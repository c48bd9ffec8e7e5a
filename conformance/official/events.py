"""What came of the official suite's tests: the events of `go test -json`, or of `test2json`, which are the same.

One JSON object a line. Only what Go's `cmd/test2json` documents is taken; the lines that a test printed are looked at
for two things alone: why it was skipped, and which features it says that it relies on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from conformance import strictjson
from conformance.official.errors import OfficialError
from conformance.report.hygiene import clean_text
from conformance.writing import UNPRINTABLE

ROOT: Final = "TestConformance"
"""The test of the suite's package that all others are below."""
MAX_LINE: Final = 1024 * 1024
"""Bytes of the longest line that is read."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes of all that is read."""

_MAX_TESTS: Final = 10_000
_NAME: Final = re.compile(r"\S{1,500}")
_PASSING: Final = frozenset({"start", "run", "pause", "cont", "bench", "attr", "artifacts"})
_SKIPPED: Final = re.compile(r"Skipping \S{1,200}: (?P<why>[^\n]{1,300})")
_FEATURES: Final = re.compile(r"Running \S{1,200}, relying on the following features: (?P<features>[^\n]{1,2000})")
_FEATURE: Final = re.compile(r"([A-Za-z0-9]+)-[a-z]+")
_COMPLAINT: Final = re.compile(r"Error:\s+(?P<what>[^\n]{1,300})|panic: (?P<panic>[^\n]{1,300})")


class TestOutcome(StrEnum):
    """What came of a test."""

    __test__ = False  # the name is no test class, whatever pytest makes of it

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Test:
    """A test and what came of it. `why` says why it was skipped, `features` what it says that it relies on.

    `name` is without that of the root: `MeshPorts`, or `MeshPorts/No_port_set` for a part of it.
    """

    __test__ = False

    name: str
    outcome: TestOutcome
    seconds: float = 0.0
    why: str = ""
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Official:
    """The tests of one whole run of the official suite, by name."""

    tests: Mapping[str, Test]

    @property
    def whole(self) -> tuple[Test, ...]:
        """The tests themselves, without their parts, in the order in which they ended."""
        return tuple(test for test in self.tests.values() if "/" not in test.name)


def read_events(path: Path) -> Official:
    """Read the events of a run from a file.

    What is read was written by someone else. Raises OfficialError, with the line where there is one, for what is no
    such event, what contradicts itself, and a run that broke off.
    """
    try:
        with path.open("rb") as stream:
            return load(stream)
    except OSError as error:
        raise OfficialError(f"the official suite's events in {path.name} cannot be read: {error.strerror}") from error


def load(stream: BinaryIO) -> Official:
    """Read the events of a run from a binary stream, as `read_events` does."""
    reader = _Reader()
    for number, line in _lines(stream):
        try:
            reader.take(_event(line))
        except OfficialError as error:
            raise OfficialError(error.problem, number) from error
    return reader.official()


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = total = 0
    while line := stream.readline(MAX_LINE + 1):
        number, total = number + 1, total + len(line)
        if len(line) > MAX_LINE:
            raise OfficialError(f"is longer than {MAX_LINE} bytes, which no event is", number)
        if total > MAX_BYTES:
            raise OfficialError(f"with this line there are more than {MAX_BYTES} bytes of events", number)
        if not line.endswith(b"\n"):
            raise OfficialError("breaks off: the events were cut", number)
        yield number, line


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = strictjson.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise OfficialError(f"is no event of `go test -json`: {error!s:.200}") from error
    if not isinstance(found, dict) or not isinstance(found.get("Action"), str):
        raise OfficialError("is no event of `go test -json`: it has no Action")
    for name in ("Test", "Output"):
        if not isinstance(found.get(name, ""), str):
            raise OfficialError(f"is no event of `go test -json`: its {name} is not text")
    seconds = found.get("Elapsed", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e7:
        raise OfficialError("is no event of `go test -json`: its Elapsed is no number of seconds")
    return found


@dataclass
class _Running:
    """A test that has begun."""

    why: str = ""
    features: frozenset[str] = frozenset()


@dataclass
class _Reader:
    """Takes the events one by one and holds them to each other."""

    running: dict[str, _Running] = field(default_factory=dict)
    ended: dict[str, Test] = field(default_factory=dict)
    complaint: str = ""

    def take(self, event: dict[str, Any]) -> None:
        name, action = event.get("Test", ""), event["Action"]
        if action == "output":
            self._output(name, event.get("Output", ""))
        elif name and action == "run":
            self._begin(name)
        elif name and action in ("pass", "fail", "skip"):
            self._end(name, TestOutcome({"pass": "passed", "fail": "failed", "skip": "skipped"}[action]),
                      float(event.get("Elapsed", 0)))
        elif action not in _PASSING and action not in ("pass", "fail", "skip"):
            raise OfficialError(f"is no event of `go test -json`: there is no Action {action!r:.40}")

    def _begin(self, name: str) -> None:
        if not _NAME.fullmatch(name) or UNPRINTABLE.search(name):
            raise OfficialError(f"names a test as none is called: {name!r:.80}")
        if name in self.running or name in self.ended:
            raise OfficialError(f"begins {name} a second time: these are the events of more than one run")
        if len(self.running) + len(self.ended) >= _MAX_TESTS:
            raise OfficialError(f"is one test too many: there are at most {_MAX_TESTS}")
        self.running[name] = _Running()

    def _end(self, name: str, outcome: TestOutcome, seconds: float) -> None:
        begun = self.running.pop(name, None)
        if begun is None:
            raise OfficialError(f"ends {name!r:.80}, which has not begun or has ended before")
        self.ended[name] = Test(name.removeprefix(f"{ROOT}/"), outcome, seconds, begun.why, begun.features)

    def _output(self, name: str, text: str) -> None:
        if found := _COMPLAINT.search(text):
            self.complaint = clean_text((found["what"] or found["panic"]).strip())
        begun = self.running.get(name)
        if begun is None:
            return
        if found := _SKIPPED.search(text):
            begun.why = clean_text(found["why"].strip())
        if found := _FEATURES.search(text):
            begun.features = frozenset(_FEATURE.findall(found["features"]))

    def official(self) -> Official:
        told = f"; it last complained: {self.complaint}" if self.complaint else ""
        if self.running:
            last = list(self.running)[-1]
            raise OfficialError(f"the official suite broke off while {last} ran{told}. Run it again")
        if ROOT not in self.ended:
            raise OfficialError(f"these are not the events of the official suite: there is no {ROOT} in them")
        tests = {test.name: test for name, test in self.ended.items() if name.startswith(f"{ROOT}/")}
        if not tests:
            raise OfficialError(f"the official suite ended before its first test{told}. Look at its output")
        self._consistent()
        return Official(tests)

    def _consistent(self) -> None:
        """A part that failed makes what it is a part of fail, whatever else somebody wrote there."""
        for name, test in self.ended.items():
            parent = self._parent(name)
            if parent and test.outcome is TestOutcome.FAILED and parent.outcome is not TestOutcome.FAILED:
                raise OfficialError(f"{name} failed, and {parent.name}, of which it is a part, {parent.outcome}: "
                                    "that was not written by Go")

    def _parent(self, name: str) -> Test | None:
        """What a test is a part of: names may have slashes of their own."""
        while name := name.rpartition("/")[0]:
            if name in self.ended:
                return self.ended[name]
        return None
