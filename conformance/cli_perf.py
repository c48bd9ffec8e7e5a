"""The commands of performance: `mesh-conformance perf run | compare | baseline | read | lint | score | selfcheck`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from conformance.exit_code import ExitCode
from conformance.performance import formats, record
from conformance.performance import options as probing
from conformance.performance.comparing import compare, history, rendering
from conformance.performance.comparing.comparison import Incomparable
from conformance.performance.model import Run
from conformance.performance.showing import pictures
from conformance.performance.showing.chart import PicturesMissing
from conformance.performance.smp import lint, score
from conformance.writing import write_whole

Action = Callable[[argparse.Namespace, list[str]], int]
"""What a command does: given its options and the words that are left, it returns the exit code."""

EXIT_CODES: Final = """exit codes:
  0    measured, and within every threshold and baseline that was given
  1    a figure violates a threshold, or has become worse beyond noise
  2    usage: unknown option or probe, unreadable file
  3    something broke, or what was measured is invalid: no result
  4    nothing was selected or measured
  130  interrupted
"""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,100}")
MOST_TRENDS: Final = 100
BASELINES: Final = Path("performance-baselines")


def add_commands(commands: Any, run: Action, add_place: Callable[[argparse.ArgumentParser], None]) -> None:
    """Declare the commands below `perf`; `run` starts the probes, `add_place` declares the options of a run's place."""
    running = _command(commands, "run", run, "measure what a mesh costs: in the sandbox, or where --context says")
    add_place(running)
    probing.add_options(running.add_argument)

    comparing = _command(commands, "compare", _compare, "compare runs or releases, and name what changed beyond noise")
    comparing.add_argument("baseline", nargs="+", type=Path, metavar="FILE",
                           help="performance.json of the baseline; several runs of a release are better than one")
    comparing.add_argument("--with", dest="candidate", nargs="+", type=Path, metavar="FILE", required=True,
                           help="performance.json of what is compared with it")
    comparing.add_argument("--alpha", type=_rate, default=compare.ALPHA, metavar="RATE",
                           help=f"false alarms in all figures together (default: {compare.ALPHA:g})")
    comparing.add_argument("--force", action="store_true", help="compare although the environments differ")
    comparing.add_argument("--across-meshes", action="store_true", help="compare one mesh with another")
    comparing.add_argument("--fail", action="store_true",
                           help="exit with 1 when a figure is worse, with 3 when not all could be compared")
    comparing.add_argument("--format", choices=("table", "markdown"), default="table", help="default: table")

    keeping = _command(commands, "baseline", _baseline, "keep a run as a baseline, and in the history")
    keeping.add_argument("run", type=Path, metavar="FILE", help="performance.json of the run")
    keeping.add_argument("--to", type=Path, default=BASELINES, metavar="DIR", help=f"default: {BASELINES}")

    reading = _command(commands, "read", _read, "show results of other load generators as they are to be understood")
    reading.add_argument("file", nargs="+", type=Path, metavar="FILE", help="output of a load generator")
    reading.add_argument("--tool", default="", choices=["", *formats.TOOLS], metavar="NAME",
                         help=f"whose output it is, one of {', '.join(formats.TOOLS)} (default: found out)")

    linting = _command(commands, "lint", _lint, "look for defects in SMP files")
    linting.add_argument("file", nargs="+", type=Path, metavar="FILE", help="a configuration or a result")

    scoring = _command(commands, "score", _score, "print a score in MeshMark's spirit, with all it is made of")
    scoring.add_argument("run", type=Path, metavar="FILE", help="performance.json of the run")
    scoring.add_argument("--weight", action="append", default=[], metavar="RESOURCE=SHARE",
                         help="such as proxy.cpu=+50%%; repeatable")

    _command(commands, "selfcheck", _selfcheck, "let the load engine measure what is known, and say whether it did")


def _command(commands: Any, name: str, action: Action, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False, epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(action=_guarded(action))
    return command


def _guarded(action: Action) -> Action:
    def act(chosen: argparse.Namespace, rest: list[str]) -> int:
        try:
            return action(chosen, rest)
        except (probing.ProbingError, record.RecordError, score.WeightError, history.HistoryError) as error:
            print(f"mesh-conformance: {error}", file=sys.stderr)
            return ExitCode.USAGE

    return act


check: Final = probing.probing
"""Reads the options of a performance run, by destination. Raises ProbingError."""


def _runs(files: list[Path]) -> list[Run]:
    return [record.read(file) for file in files]


def _compare(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        found = compare.compare(_runs(chosen.baseline), _runs(chosen.candidate), alpha=chosen.alpha,
                                force=chosen.force, across_meshes=chosen.across_meshes)
    except Incomparable as error:
        print("the runs do not belong together; --force compares them all the same:", file=sys.stderr)
        print("\n".join(f"  {difference}" for difference in error.differences), file=sys.stderr)
        return ExitCode.ERROR
    print(rendering.markdown(found) if chosen.format == "markdown" else rendering.render(found))
    if not chosen.fail:
        return ExitCode.CONFORMANT
    if found.regressed:
        return ExitCode.NONCONFORMANT
    return ExitCode.CONFORMANT if found.conclusive else ExitCode.ERROR


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"a rate of false alarms lies between 0 and 1, not at {text}")
    return rate


def _baseline(chosen: argparse.Namespace, _: list[str]) -> int:
    run = record.read(chosen.run)
    names = (run.header.mesh.replace("@", "_"), run.header.mesh_version, f"{run.header.run}.json")
    for name in names:
        if not _NAME.fullmatch(name):  # it may be another's record, and must not say where to write
            raise record.RecordError(f"its header has {name[:60]!r}, which is no name of a file", path=str(chosen.run))
    target = chosen.to.joinpath(*names)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise record.RecordError(f"cannot be kept: {error.strerror}", path=str(target)) from None
    for name in ("history.jsonl", "history.csv"):
        if not any(entry.run == run.header.run for entry in _history(chosen.to / name)):
            history.append(chosen.to / name, run)
    record.write(target, run)
    print(f"kept as {target}")
    print(_trends(chosen.to))
    return ExitCode.CONFORMANT


def _trends(directory: Path) -> str:
    """Draw each figure that the history has of two runs or more; return what to say of it."""
    entries = _history(directory / "history.jsonl")
    keys = Counter(entry.figure.key for entry in entries)
    several = [key for key, count in keys.items() if count > 1][:MOST_TRENDS]
    try:
        drawn = {key: pictures.trend(history.series(entries, key)) for key in several}
    except PicturesMissing as error:
        return f"no trends: {error}"
    for key, svg in drawn.items():
        write_whole(directory / f"trend-{re.sub('[^a-z0-9]+', '-', key.lower()).strip('-')}.svg", svg)
    return f"{len(drawn)} trends in {directory}" if drawn else "trends begin with the second run"


def _history(file: Path) -> Sequence[history.Entry]:
    return history.read(file) if file.exists() else ()


def _read(chosen: argparse.Namespace, _: list[str]) -> int:
    for file in chosen.file:
        try:
            print(f"{file}:\n{formats.read(file, chosen.tool).describe()}\n")
        except formats.FormatError as error:
            print(f"mesh-conformance: {file}: {error}", file=sys.stderr)
            return ExitCode.USAGE
    return ExitCode.CONFORMANT


def _lint(chosen: argparse.Namespace, _: list[str]) -> int:
    found = lint.lint_files(chosen.file)
    print(lint.render(found))
    return ExitCode.NONCONFORMANT if lint.failed(found) else ExitCode.CONFORMANT


def _score(chosen: argparse.Namespace, _: list[str]) -> int:
    found = score.score(record.read(chosen.run), score.parse_weights(chosen.weight))
    print(score.render(found))
    return ExitCode.CONFORMANT if found.value is not None else ExitCode.NOTHING


def _selfcheck(chosen: argparse.Namespace, _: list[str]) -> int:
    del chosen
    from conformance.performance import selfcheck  # noqa: PLC0415 - only this command starts servers

    checks = selfcheck.run(lambda line: print(line, flush=True))
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: expected {check.expected}, found {check.found}")
    return ExitCode.CONFORMANT if all(check.passed for check in checks) else ExitCode.ERROR
