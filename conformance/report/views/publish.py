"""Put reports where they are published, and make the index of all that are there.

A record goes to DIR/MESH/VERSION/ as it was generated, with a summary, a page, a README and the sums of all of them,
and with the performance record that stands beside it in a report directory, where there is one.
Without a record the index alone is made again; --check changes nothing and says what is not as it should be. --own is
about the reports that this project makes by itself: the reference mesh with each dialect of SMI in the sandbox.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("record", metavar="RECORD", nargs="*", default=[], type=Path,
                        help="a report.jsonl, or a directory with one; with --own, dialects (default: all)")
    parser.add_argument("--to", type=Path, default=Path("reports"), metavar="DIR",
                        help="the directory of all published reports (default: reports)")
    parser.add_argument("--as", dest="name", default="", metavar="NAME",
                        help="tell the report from another of the same version: it goes to MESH/VERSION+NAME")
    parser.add_argument("--replace", action="store_true", help="put it in the place of another report")
    parser.add_argument("--no-html", dest="html", action="store_false", help="leave report.html out")
    parser.add_argument("--no-performance", dest="performance", action="store_false",
                        help="leave the performance record that stands beside a record out")
    parser.add_argument("--check", action="store_true",
                        help="change nothing; say what of the directory is not as `publish` would make it now")
    parser.add_argument("--own", action="store_true", help="run and publish this project's own reports")
    parser.add_argument("-n", dest="workers", default="2", metavar="WORKERS",
                        help="with --own, sandboxes side by side (default: 2)")


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report.publishing import command  # noqa: PLC0415 - only this command needs them

    if chosen.own and chosen.check:
        return command.check_own(chosen.to, [str(name) for name in chosen.record])
    if chosen.check:
        return command.check(chosen.to, chosen.record)
    if chosen.own:
        return command.publish_own(chosen.to, [str(name) for name in chosen.record], workers=chosen.workers)
    return command.publish(chosen.to, chosen.record, name=chosen.name, replace=chosen.replace, html=chosen.html,
                           performance=chosen.performance)
