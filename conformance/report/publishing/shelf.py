"""The directory of all published reports: putting one there in one step, and reading what is there."""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.report import record
from conformance.report.codec import RecordError
from conformance.report.model import Report
from conformance.report.publishing import contents, place, rules
from conformance.report.writing import ReportError
from conformance.writing import write_whole

_MADE: Final = ".publishing-"
_OLD: Final = ".replaced-"


@dataclass(frozen=True)
class Published:
    """A report that was published: where, below the directory of all, its record, and the names of all its files."""

    mesh: str
    version: str
    record: bytes
    report: Report
    files: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its directory, as a link from the index has it."""
        return f"{self.mesh}/{self.version}"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Make the directory, and keep others from publishing there meanwhile. Raises ReportError.

    The lock goes with the process: one that was killed leaves none behind.
    """
    with _writing(home):
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ReportError(f"{home} is being written to by another publish; wait until it has ended") from error
        for unfinished in home.glob(f"{_MADE}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def read(file: Path) -> tuple[bytes, Report]:
    """Read a record that is to be published, and its bytes, of which it was read. Raises RecordError."""
    file = file / contents.RECORD if file.is_dir() else file
    try:
        with file.open("rb") as stream:
            data = stream.read(rules.MAX_RECORD + 1)
    except OSError as error:
        raise RecordError(f"the record {file} cannot be read: {error.strerror}") from error
    if len(data) > rules.MAX_RECORD:
        raise RecordError(f"the record {file} is larger than what is published ({rules.MAX_RECORD} bytes)")
    try:
        return data, record.load(io.BytesIO(data))
    except RecordError as error:
        raise RecordError(f"{file}: {error}") from error


def put(home: Path, names: tuple[str, str], files: Mapping[str, bytes], *, replace: bool = False) -> bool:
    """Put files into a directory of their own, whole or not at all; tell whether anything had to be done.

    Raises Unpublishable where other files stand there that are not to be replaced, ReportError where it cannot be done.
    """
    target = place.below(home, *names)
    if target.exists():
        if _held(target) == dict(files):
            return False
        if not replace:
            raise place.Unpublishable(f"another report stands in {target}; --replace puts this one in its place, --as "
                                      "NAME beside it")
    mark = secrets.token_hex(6)
    made, old = home / f"{_MADE}{mark}", home / f"{_OLD}{mark}"
    with _writing(target):
        try:
            made.mkdir()
            for name, data in files.items():
                write_whole(made / name, data)
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                target.rename(old)
            try:
                made.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    return True


def _held(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir()) if file.is_file()}


def all_of(home: Path) -> list[Published]:
    """Return all published reports, by mesh and version. Raises RecordError and ReportError for what is none."""
    found = []
    for file in sorted(home.glob(f"*/*/{contents.RECORD}")):
        names = file.parent.parent.name, file.parent.name
        place.below(home, *names)
        data, report = read(file)
        mesh, version = place.of(report.header, names[1].partition("+")[2])
        if (mesh, version) != names:
            raise ReportError(f"{file} is a report of {mesh} {version}, which belongs into {home / mesh / version}")
        found.append(Published(*names, data, report, tuple(_held(file.parent))))
    return found


def abandoned(home: Path) -> list[str]:
    """Return what a publish left that was killed: half a report, or the one whose place it was about to take."""
    return sorted(found.name for mark in (_MADE, _OLD) for found in home.glob(f"{mark}*"))


def altered(home: Path, published: Published) -> list[str]:
    """Say which files of a published report are not as its sums say."""
    held = _held(home / published.mesh / published.version)
    told = held.pop(contents.SUMS, b"").decode("utf-8", "replace")
    wanted, there = set(told.splitlines()), set(contents.sums(held).splitlines())
    return sorted({line.partition("  ")[2] or line for line in wanted ^ there})


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{error.strerror or error}. Free some space, or choose a directory of your own with --to"
        raise ReportError(f"the report cannot be published in {target}: {why}") from error
