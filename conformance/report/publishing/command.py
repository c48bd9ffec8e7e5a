"""What `mesh-conformance report publish` does: publish, make the index, and say what is not current."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from conformance.performance.model import Run
from conformance.report.model import Report
from conformance.report.publishing import contents, index, measured, own, place, rules, shelf
from conformance.report.writing import ReportError
from conformance.writing import write_whole

DONE, REFUSED = 0, 1


def publish(
    home: Path, records: Sequence[Path], *, name: str = "", replace: bool = False, html: bool = True,
    performance: bool = True,
) -> int:
    """Publish records and make the index; none is written where one of them may not be published.

    `html`: with the page; `performance`: with the performance record that stands beside a record, where there is one.
    Returns the exit code. Raises RecordError, and ReportError for what cannot be written.
    """
    try:
        found = [(file, *shelf.read(file), measured.beside(file) if performance else None) for file in records]
        return _publish(home, found, name, replace=replace, html=html)
    except place.Unpublishable as error:
        return _refused([str(error)], "not published")


def _publish(
    home: Path, found: Sequence[tuple[Path, bytes, Report, Run | None]], name: str, *, replace: bool, html: bool,
) -> int:
    trouble = [f"{file}: {objection}" for file, data, report, run in found
               for objection in _objections(data, report, run)]
    if trouble:
        return _refused(trouble, "not published")
    places = [place.of(report.header, name) for _, _, report, _ in found]
    with shelf.locked(home):
        for (_, data, report, run), names in zip(found, places, strict=True):
            changed = shelf.put(home, names, contents.files(data, report, run, html=html), replace=replace)
            print(f"{home.joinpath(*names)}: {'published' if changed else 'stands there already'}")
        _make_index(home)
    return DONE


def check(home: Path, records: Iterable[Path] = ()) -> int:
    """Say what in the directory is not as it was published, whether the index is current, and what has changed since.

    `records` are those of new runs: each is held to the published report of the same mesh, version and dialect, by what
    does not change from run to run (`own.difference`). Returns the exit code. Raises RecordError and ReportError.
    """
    published = shelf.all_of(home)
    trouble = [f"{found.path}: {name} is not as its {contents.SUMS} says" for found in published
               for name in shelf.altered(home, found)]
    trouble += [f"{found.path}: {objection}" for found in published for objection in _standing(home, found)]
    trouble += [f"{name} is not what the published reports make it; run `{index.COMMAND} --to {home.name}`"
                for name, text in index.files_of(published).items() if _text(home / name) != text]
    trouble += [f"{name} was left by a publish that was killed; its README says of what it is" for name in
                shelf.abandoned(home)]
    standing = {(found.mesh, found.version): found.report for found in published}
    for file in records:
        _, report = shelf.read(file)
        names = place.of(report.header)
        there = standing.get(names)
        trouble += [f"{'/'.join(names)}: {what}" for what in _news(there, report)]
    return _refused(trouble, "not current") if trouble else DONE


def _objections(data: bytes, report: Report, run: Run | None) -> Iterator[str]:
    yield from rules.objections(data, report)
    if run:
        yield from measured.objections(run, report)


def _standing(home: Path, found: shelf.Published) -> Iterator[str]:
    """Say what of a published report may not be published. What was measured may be anybody's, like all else there."""
    run = None
    if measured.NAME in found.files:
        try:
            run = measured.read(home / found.path / measured.NAME)
        except place.Unpublishable as error:
            yield str(error)
    yield from _objections(found.record, found.report, run)


def _news(there: Report | None, now: Report) -> Iterator[str]:
    if there is None:
        yield "nothing is published of this version"
    else:
        yield from own.difference(there, now)


def publish_own(home: Path, dialects: Sequence[str] = (), *, workers: str = "2") -> int:
    """Run the reference mesh with each dialect and publish what is not as it was. Returns the exit code.

    Raises RecordError, ReportError, and DialectError for one that there is not.
    """
    for dialect in own.dialects(dialects):
        with own.made(dialect, workers) as record:
            data, report = shelf.read(record)
            trouble = [f"{dialect}: {objection}" for objection in rules.objections(data, report)]
            if trouble:
                return _refused(trouble, "not published")
            names = place.of(report.header)
            with shelf.locked(home):
                standing = {(found.mesh, found.version): found.report for found in shelf.all_of(home)}
                if names in standing and not list(own.difference(standing[names], report)):
                    print(f"{home.joinpath(*names)}: is current")
                else:
                    shelf.put(home, names, contents.files(data, report, html=False), replace=True)
                    print(f"{home.joinpath(*names)}: published")
                _make_index(home)
    return DONE


def check_own(home: Path, dialects: Sequence[str] = ()) -> int:
    """Say which of this project's own reports is missing, or was made with other requirements than there are now."""
    code = check(home)
    standing = {(found.mesh, found.version): found.report for found in shelf.all_of(home)}
    trouble = list(own.outdated(standing, dialects))
    return _refused(trouble, "not current") if trouble else code


def _make_index(home: Path) -> None:
    try:
        for name, text in index.files_of(shelf.all_of(home)).items():
            if _text(home / name) != text:
                write_whole(home / name, text)
    except OSError as error:
        raise ReportError(f"the index of {home} cannot be written: {error.strerror or error}") from error


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _refused(trouble: Sequence[str], what: str) -> int:
    for line in trouble:
        print(f"{what}: {line}", file=sys.stderr)
    return REFUSED
