"""Say what got better or worse, what is new and what is gone.

Between two records (the older one first), or two meshes of one record or of two (--mesh twice); of one record with
three meshes or more, which mesh is the odd one out. The exit code is 1 when a result or a verdict is worse, or a new
result fails; for the odd one out, when there is one that fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from conformance.options import OptionError
from conformance.outcome import Outcome
from conformance.report.catalogue import disagreement
from conformance.report.comparing import LISTED, Difference, Kind, compare, compare_verdicts, odd_ones
from conformance.report.stream import RecordStream
from conformance.report.views.tables import Table, render
from conformance.report.views.whole import streamed

FORMATS = ("pretty", "markdown", "json", "html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "record",
        metavar="RECORD",
        nargs="+",
        help="one or two: a report.jsonl, a directory with one, or - for standard input",
    )
    parser.add_argument("--format", choices=FORMATS, default="pretty", help="default: pretty")
    parser.add_argument(
        "--mesh",
        action="append",
        default=[],
        metavar="NAME",
        help="only this mesh; twice: the first of the older record with the second of the newer",
    )
    parser.add_argument(
        "--different-catalogues",
        action="store_true",
        help="compare records also where the requirements are not the same ones",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    if len(chosen.record) > 2:
        raise OptionError(
            "diff compares two records at most; make one of several with `report combine`, for the odd one "
            "out among their meshes"
        )
    if chosen.record.count("-") > 1:
        raise OptionError("standard input is one record, not two")
    if len(chosen.mesh) > 2:
        raise OptionError("--mesh may be given twice at most: what to compare, and with what")
    first, *others = [_read(name) for name in chosen.record]
    if others:
        return _difference(first, others[0], chosen)
    names = [mesh.name for mesh in first.header.meshes]
    if chosen.mesh or len(names) < 3:
        return _within(first, chosen, names)
    return _odd(first, names, chosen.format)


def _read(name: str) -> RecordStream:
    with streamed(name) as stream:
        for _ in stream:
            pass
    return stream


def _within(record: RecordStream, chosen: argparse.Namespace, names: Sequence[str]) -> int:
    meshes = chosen.mesh or names
    if len(meshes) != 2:
        raise OptionError(
            f"one record was given, with {', '.join(names)}: name two of its meshes with --mesh, or another record"
        )
    _known(record, meshes)
    pair = [(meshes[0], meshes[1])]
    return _told(record, record, pair, chosen.format)


def _difference(before: RecordStream, after: RecordStream, chosen: argparse.Namespace) -> int:
    if not chosen.different_catalogues and (why := disagreement((before.header, after.header))):
        raise OptionError(
            f"the records were made with different catalogues, so that a requirement may not be the same one in both: "
            f"{why}; --different-catalogues compares them all the same"
        )
    if chosen.mesh:
        pair = (chosen.mesh[0], chosen.mesh[-1])
        _known(before, pair[:1])
        _known(after, pair[1:])
        return _told(before, after, [pair], chosen.format)
    was, now = ([mesh.name for mesh in record.header.meshes] for record in (before, after))
    if len(was) == len(now) == 1:
        return _told(before, after, [(was[0], now[0])], chosen.format)
    names = sorted({*was, *now})
    return _told(before, after, [(name, name) for name in names], chosen.format)


def _known(record: RecordStream, names: Sequence[str]) -> None:
    there = [mesh.name for mesh in record.header.meshes]
    for name in names:
        if name not in there:
            raise OptionError(f"the record has no mesh called {name!r}; it has {', '.join(there)}")


def _told(before: RecordStream, after: RecordStream, pairs: list[tuple[str, str]], form: str) -> int:
    found = compare(before.cases, after.cases, pairs)
    found.verdicts = compare_verdicts(before.footer.verdicts, after.footer.verdicts, pairs)
    if form == "json":
        json.dump(_document(found), sys.stdout, indent=1)
        print()
    else:
        print(render(_tables(found), form, _note(found)))
    return 1 if found.worse else 0


def _document(found: Difference) -> dict[str, object]:
    return {
        "worse": found.worse,
        "counts": {**{kind.value: found.counts[kind] for kind in Kind}, "same": found.same},
        "verdicts": [asdict(change) for change in found.verdicts],
        "changes": [asdict(change) for change in found.changes],
    }


def _tables(found: Difference) -> list[Table]:
    verdicts = [(v.kind.value, v.mesh, v.api, f"{v.was} -> {v.now}") for v in found.verdicts]
    changes = [
        (
            c.kind.value,
            c.requirement,
            c.mesh,
            f"{c.api} {c.version}",
            f"{c.was or 'no result'} -> {c.now or 'no result'}",
        )
        for c in found.changes
    ]
    return [
        Table("Verdicts", ("change", "mesh", "API group", "verdict"), verdicts),
        Table("Results", ("change", "requirement", "mesh", "API", "outcome"), changes),
    ]


def _note(found: Difference) -> str:
    counts = ", ".join(f"{found.counts[kind]} {kind}" for kind in Kind if found.counts[kind])
    text = f"{counts or 'no result changed'}, {found.same} as before"
    over = [kind.value for kind in Kind if found.counts[kind] > LISTED]
    return f"{text}; of those that are {' and '.join(over)} the first {LISTED} are listed" if over else text


def _odd(record: RecordStream, meshes: list[str], form: str) -> int:
    found = list(odd_ones(record.cases, meshes))
    if form == "json":
        json.dump({"odd": [asdict(one) for one in found]}, sys.stdout, indent=1)
        print()
    else:
        rows = [(o.requirement, o.mesh, o.outcome.value, f"{o.others.value} on {o.agreeing}") for o in found]
        note = "" if found else f"no mesh of {len(meshes)} is alone with an outcome"
        print(render([Table("The odd one out", ("requirement", "mesh", "outcome", "others"), rows)], form, note))
    return 1 if any(one.outcome is Outcome.FAILED for one in found) else 0
