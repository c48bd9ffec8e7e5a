"""Compare a record with a run of the Gateway API's own conformance suite on the same mesh, test by test.

Two harnesses that judge the same behaviour should agree. A test that was skipped is never taken for a verdict, whatever
the official report claims. OFFICIAL is the directory that `python -m testbed gateway` writes, or the events of a run,
as `go test -json` writes them.

Ends with 1 where they disagree, and with 4 where not one pair was judged by both.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

EVENTS: Final = "events.jsonl"
REPORT: Final = "report.yaml"
_DISAGREE: Final = 1
_NOTHING: Final = 4


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("record", metavar="RECORD",
                        help="a report.jsonl, a directory with one, or - for standard input")
    parser.add_argument("official", metavar="OFFICIAL", type=Path,
                        help=f"a directory with {EVENTS} and {REPORT}, or the events alone")
    parser.add_argument("--claims", metavar="FILE", type=Path,
                        help="the official suite's own report, a ConformanceReport (default: the directory's)")
    parser.add_argument("--mesh", default="", help="which mesh of a record of several")
    parser.add_argument("--format", choices=("pretty", "markdown", "json"), default="pretty", help="default: pretty")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.official import Relation, compare, pairs, read_claims, read_events  # noqa: PLC0415 - heavy
    from conformance.official.text import FORMATS  # noqa: PLC0415 - heavy
    from conformance.report.views.whole import read_record  # noqa: PLC0415 - heavy

    events, claims = chosen.official, chosen.claims
    if events.is_dir():
        claims = claims or events / REPORT
        events = events / EVENTS
    found = compare(read_record(chosen.record), read_events(events), pairs(),
                    claims=read_claims(claims) if claims else None, mesh=chosen.mesh)
    print(FORMATS[chosen.format](found))
    if found.count(Relation.DISAGREE):
        return _DISAGREE
    return 0 if found.count(Relation.AGREE) + found.count(Relation.COMPATIBLE) else _NOTHING
