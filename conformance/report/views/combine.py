"""Make one record of several, on standard output.

They may be of other meshes, clusters and dates, shards of one run, or what workers found side by side. A mesh of which
there are several versions is called by its version as well (istio-1.27.1); --apart tells other records of one mesh and
version apart. Two results for one case are refused, and so are records of different catalogues, but for other suites of
one harness: what is in both has to be the same.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import ExitStack

from conformance.options import OptionError
from conformance.report.views.whole import streamed

_APART = ("kubernetes", "date")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "record", metavar="RECORD", nargs="+", help="a report.jsonl, a directory with one, or - for standard input"
    )
    parser.add_argument(
        "--apart",
        action="append",
        default=[],
        choices=_APART,
        help="call a mesh also by its cluster's version, or the day of the run; repeatable",
    )
    parser.add_argument(
        "--different-catalogues",
        action="store_true",
        help="combine records also where the requirements are not the same ones",
    )


def _renamed(raw: bytes, was: str, now: str) -> bytes:
    """The line with another name of the mesh, which no field before it can contain: they are all words of their own."""
    return raw.replace(b'"mesh":"%s"' % was.encode(), b'"mesh":"%s"' % now.encode(), 1)


def run(chosen: argparse.Namespace) -> int:
    """Run the command."""
    from conformance.report import combining  # noqa: PLC0415 - only this command needs them
    from conformance.report.cases import Cases  # noqa: PLC0415 - as above
    from conformance.report.codec import RecordError, encode  # noqa: PLC0415 - as above

    if chosen.record.count("-") > 1:
        raise OptionError("standard input is one record, not two")
    out = sys.stdout.buffer
    with ExitStack() as opened:
        streams = [opened.enter_context(streamed(name)) for name in chosen.record]
        parts = combining.parts(
            [stream.header for stream in streams], chosen.apart, different_catalogues=chosen.different_catalogues
        )
        # The files' names are of this machine, and say nothing that the parts do not.
        header = combining.header_of(parts, "mesh-conformance report combine")
        out.write(encode(header))
        numbers = Counter(name for part in parts for name in part.names.values())
        shared = {name for name, number in numbers.items() if number > 1}
        footers = combining.Footers(header)
        samples = {}
        cases = Cases()
        for stream, part in zip(streams, parts, strict=True):
            for line in stream:
                name = part.names[line.mesh]
                kind = (line.api, line.version, line.requirement)
                if name in shared and not cases.put(name, kind, line.outcome):
                    raise RecordError(
                        f"is a second result of {line.requirement} on {name} ({line.api} {line.version}); "
                        "tell the records apart with --apart",
                        stream.line,
                        stream.name,
                    )
                out.write(stream.raw if name == line.mesh else _renamed(stream.raw, line.mesh, name))
            footers.add(part, stream.footer, stream.tallies)
            samples.update(stream.samples)
        out.write(encode(footers.footer([line.result() for line in samples.values()])))
        out.flush()
    return 0
