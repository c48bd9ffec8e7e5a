"""The commands on records: `mesh-conformance report show | matrix | diff | combine | verify …`.

A view is a module with `add_options(parser)` and `run(chosen) -> int`, named in `VIEWS`. It imports what is heavy
within `run`, because every command of `mesh-conformance` declares all others.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from conformance.report.codec import RecordError
from conformance.report.writing import ReportError

VIEWS: Final = {
    "show": "print a record as the console shows a run",
    "matrix": "print requirements by meshes",
    "diff": "compare two records, or meshes of one; which one is the odd one out",
    "combine": "make one record of several: of other meshes, clusters, dates, shards of one run",
    "verify": "say whether a record may be published, and what stands against it",
    "official": "compare a record with a run of the Gateway API's own conformance suite, test by test",
    "allure": "make a report with an installed Allure, 2 or 3",
    "badge": "write badges: for Shields, and as pictures",
    "github": "show a record in a job of GitHub Actions: its summary, and annotations",
    "junit": "print a record as JUnit's XML",
    "publish": "put reports where they are published, and make the index of all of them",
    "yaml": "print a record in the shape of the Gateway API's ConformanceReport",
}
"""Each view, a module of `conformance.report.views`, and what it is for."""

EXIT_CODES: Final = """exit codes:
  0    done; diff: nothing is worse; verify: may be published
  1    diff: something is worse; verify, publish: may not be published, or is not current; official: they
       disagree
  2    usage: unknown option, a record that cannot be read or is none
  3    what was asked for cannot be written
  4    official: not one pair was judged by both
  130  interrupted
  141  the reader of the output ended
"""

_BROKEN_PIPE: Final = 141
"""What a shell says of a program that SIGPIPE ended."""


def add_commands(commands: Any) -> None:
    """Declare `report` and the views below it."""
    text = "read, compare, combine and publish records of runs"
    reading = commands.add_parser("report", help=text, description=text, allow_abbrev=False)
    below = reading.add_subparsers(dest="report", required=True, metavar="COMMAND")
    for name, text in VIEWS.items():
        module = importlib.import_module(f"conformance.report.views.{name}")
        parser = below.add_parser(
            name, help=text, description=module.__doc__, allow_abbrev=False, epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(parser)
        parser.set_defaults(action=_guarded(module.run))


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, list[str]], int]:
    """Run a view; what is wrong with its input or output is told in a sentence."""

    def action(chosen: argparse.Namespace, _: list[str]) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A console that cannot show a character must not cost the rest.
            sys.stdout.reconfigure(errors="backslashreplace")
        often = gc.get_threshold()
        # Millions of results, none of which refers to itself: looking for such is a tenth of the time.
        gc.set_threshold(100_000, *often[1:])
        try:
            code = run(chosen)
            sys.stdout.flush()
        except (RecordError, ReportError) as error:
            print(f"mesh-conformance: {error}", file=sys.stderr)
            return 2 if isinstance(error, RecordError) else 3
        except BrokenPipeError:
            _forget_output()
            return _BROKEN_PIPE
        except OSError as error:
            _forget_output()
            print(f"mesh-conformance: the output cannot be written: {error.strerror or error}", file=sys.stderr)
            return 3
        finally:
            gc.set_threshold(*often)
        return code

    return action


def _forget_output() -> None:
    """What is still buffered would be written at the end, and fail again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
