"""The command line: `mesh-conformance run | perf | requirements | sandbox | selftest`, and those around a run."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import pytest

from conformance import __version__, cli_lifecycle, cli_perf, cli_report, options, paths, place, selection, temporary
from conformance.cluster import Cluster, ClusterError, KubeconfigError
from conformance.exit_code import ExitCode
from conformance.mesh import MeshError
from conformance.options import OptionError
from conformance.report.writers import writers
from conformance.report.writing import ReportError
from conformance.requirement import SelectionError, catalogue, select, to_json, to_markdown, to_table
from conformance.sandbox.errors import SandboxError
from conformance.topology import ProvisionError

EXIT_CODES = """exit codes:
  0    conformant: every judged requirement that was selected passed
  1    not conformant: the mesh violates a must or a behaviour; or its list of known failures is stale: one passed
  2    usage: unknown option, mesh or requirement, unreadable kubeconfig
  3    the harness or the cluster broke, or a result is missing
  4    nothing was selected, or nothing of it could be judged: not a pass
  130  interrupted
"""


_LIKE_AN_ID = re.compile(r"[A-Za-z]{2,10}-[0-9*?]{1,4}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    reader = parser()
    chosen, rest = reader.parse_known_args(arguments)
    if rest and not getattr(chosen, "passes_on", False):
        reader.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        with _ended_in_order():
            return int(chosen.action(chosen, rest))
    except (KubeconfigError, OptionError, SelectionError, MeshError) as error:
        return _complain(error, ExitCode.USAGE)
    except (ClusterError, ProvisionError, ReportError, SandboxError) as error:
        return _complain(error, ExitCode.ERROR)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Take what ends a job, also in a pod, and a terminal that is closed for Ctrl-C: what was made is to be removed.

    A signal that is already seen to is left alone: under nohup, a hangup is to be ignored.
    """
    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        taken = []
    for number in taken:
        signal.signal(number, _hung_up if number == signal.SIGHUP else _interrupt_once)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Break off. `timeout` signals twice, the process and its group: the second must not break off the ending."""
    signal.signal(number, signal.SIG_IGN)
    signal.default_int_handler(number, frame)


def _hung_up(number: int, frame: FrameType | None) -> None:
    """End in order though nothing can be written to the terminal any more: each try would be an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for entry in Path("/proc/self/fd").glob("*"):  # pytest, too, has some of its own
        with suppress(OSError):  # the one of the listing itself is closed by now
            if str(entry.readlink()).startswith(("/dev/pts/", "/dev/tty")):
                os.dup2(nowhere, int(entry.name))
    os.close(nowhere)
    _interrupt_once(number, frame)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="mesh-conformance", description="Judge service meshes by what they do.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "judge a mesh: in the sandbox, or on the cluster that --context names")
    options.add_options(run.add_argument)
    run.usage = "mesh-conformance run [OPTIONS] [PYTEST OPTIONS]"
    run.description = f"{run.description}. Options that are not listed here go to pytest, such as -x and -k"
    run.add_argument("-n", metavar="WORKERS", dest="workers", default="0", type=_workers,
                     help="worker processes, each with a sandbox of its own (default: 0, none)")

    measuring = commands.add_parser("perf", help="measure what a mesh costs, compare, read what others measured")
    below = measuring.add_subparsers(dest="perf", required=True, metavar="COMMAND")
    cli_perf.add_commands(below, _run_probes, lambda parser: options.add_place(parser.add_argument))

    for passing in (run, below.choices["run"]):
        passing.set_defaults(passes_on=True)  # what is left is for pytest

    listing = _command(commands, "requirements", _requirements, "print the catalogue of requirements")
    listing.add_argument("--requirement", action="append", metavar="ID", default=[], help="only these; globs work")
    listing.add_argument("--level", action="append", metavar="LEVEL", default=[], help="only these levels")
    listing.add_argument("--format", choices=("table", "markdown", "json"), default="table", help="default: table")
    listing.add_argument("--statistics", action="store_true",
                         help="print what the samples can tell instead: false-alarm rates, and what is caught")

    sandbox = _command(commands, "sandbox", _sandbox, "start the sandbox with its mesh, to play with")
    sandbox.add_argument("--smi", metavar="NAME", dest="conformance_smi", help="SMI version or dialect to serve")
    sandbox.add_argument("--mutant", metavar="NAME", dest="conformance_mutant", help="break the mesh in this way")

    selftest = _command(commands, "selftest", _selftest, "run every mutant and print which requirements fail it")
    selftest.add_argument("--list", action="store_true", help="name the mutants and stop")
    selftest.add_argument("--mutant", action="append", metavar="NAME", default=[], help="only these mutants")
    scope = selftest.add_mutually_exclusive_group()
    scope.add_argument("--own", dest="scope", action="store_const", const="own", default="group",
                       help="judge each mutant only against the requirement that it must fail (default: against all "
                            "requirements of its API group)")
    scope.add_argument("--all", dest="scope", action="store_const", const="all", help="against all requirements")
    selftest.add_argument("--markdown", metavar="FILE", type=Path, help="write the matrix there, to be published")
    selftest.add_argument("-n", metavar="WORKERS", dest="workers", type=int, default=2,
                          help="sandboxes side by side (default: 2)")

    cli_lifecycle.add_commands(commands, _command)
    cli_report.add_commands(commands)
    return parser


def _command(commands: Any, name: str, action: Callable[..., int], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False, epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(action=action)
    return command


def _run(chosen: argparse.Namespace, rest: list[str]) -> int:
    _check_rest(rest)
    several = options.contexts(vars(chosen))
    if len(several) > 1:
        return _run_each(chosen, rest, several)
    settings = options.settings(vars(chosen))
    if not select(selection.rows(settings.suites), settings.patterns, settings.levels):
        raise _NothingSelectedError("no requirement has one of these ids and one of these levels")
    _check_place(settings)
    if not settings.dry_run:
        writers(settings.report_dir)
    return pytest_run(_given(chosen), rest, workers=chosen.workers, folders=settings.suites)


def _workers(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,4}|auto|logical", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers: use 0 for none, 2, 3 and so on, or auto")
    return text


def _check_rest(rest: Sequence[str]) -> None:
    """Refuse the id of a requirement where pytest would look for a file of that name."""
    for before, word in zip(("", *rest), rest, strict=False):
        if _LIKE_AN_ID.fullmatch(word) and not before.startswith("-"):
            raise OptionError(f"{word} is no option; did you mean --requirement {word}?")


def _run_each(chosen: argparse.Namespace, rest: list[str], contexts: Sequence[str]) -> int:
    """Make one run after the other, each with reports of its own; the exit code is that of the worst."""
    for context in contexts:  # none is begun where one is not even described
        Cluster.from_kubeconfig(Path(chosen.conformance_kubeconfig or options.default_kubeconfig()), context).close()
    parent = chosen.conformance_report_dir or str(options.DEFAULT_REPORT_DIR)
    codes: list[int] = []
    directories: set[str] = set()
    for number, context in enumerate(contexts, 1):
        print(f"\ncontext {context}", flush=True)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", context).strip(".") or f"context-{number}"
        name = f"{name}-{number}" if name in directories else name
        directories.add(name)
        directory = parent if parent == "none" else str(Path(parent) / name)
        one = argparse.Namespace(**{**vars(chosen), "conformance_context": [context],
                                    "conformance_report_dir": directory})
        try:
            codes.append(_run(one, rest))
        except ClusterError as error:
            codes.append(_complain(error, ExitCode.ERROR))
        if codes[-1] in (ExitCode.INTERRUPTED, ExitCode.USAGE):
            break
    return min(codes, key=_WORST_FIRST.index)


def _check_place(settings: options.Settings) -> None:
    """Ask before pytest starts: one clear message instead of an error for each requirement."""
    if settings.sandbox:
        place.check_sandbox(settings)
        return
    with place.open_place(settings) as cluster:
        cluster.version()


def _run_probes(chosen: argparse.Namespace, rest: list[str]) -> int:
    settings = options.settings(vars(chosen))
    cli_perf.check(vars(chosen))
    _check_place(settings)
    return pytest_run(_given(chosen), rest, workers=None, folders=("performance",), plugins=("conformance.probing",))


def pytest_run(
    given: Sequence[str], rest: Sequence[str] = (), *, workers: str | None = "0",
    folders: Sequence[str] = (selection.SMI,), plugins: Sequence[str] = (), registered: Sequence[object] = (),
) -> int:
    """Run suites with pytest, apart from any project that the current directory may belong to."""
    home = paths.suites()
    quiet = ["--no-header", "-rN", "-p", "no:cacheprovider", "-p", "no:warnings"]
    # At its end it looks for what nobody could raise, in half a second of collecting garbage, to tell it as warnings.
    quiet += ["-p", "no:unraisableexception"]
    where = ["-c", os.devnull, f"--rootdir={home}", f"--confcutdir={home}"]
    verdict = _Verdict()
    loaded = [word for name in ("conformance.plugin", *plugins) for word in ("-p", name)]
    # Without workers at all, not even an option to have them: measurements side by side would disturb each other.
    spread = ["-p", "no:xdist"] if workers is None else ["-n", workers]
    with ExitStack() as opened:
        if workers not in (None, "0"):
            # xdist makes a directory for each worker, and would leave it.
            base = opened.enter_context(temporary.directory("workers"))
            spread += ["--dist", "worksteal", f"--basetemp={base}/pytest"]
        what = [*loaded, *where, *quiet, *spread, *given, *rest, *(str(home / name) for name in folders)]
        code: int = pytest.main(what, plugins=[verdict, *registered])
    return verdict.code if verdict.code is not None else _WITHOUT_VERDICT.get(code, ExitCode.ERROR)


_WORST_FIRST = (ExitCode.INTERRUPTED, ExitCode.USAGE, ExitCode.NONCONFORMANT, ExitCode.ERROR, ExitCode.NOTHING,
                ExitCode.CONFORMANT)
_WITHOUT_VERDICT: dict[int, ExitCode] = {
    pytest.ExitCode.OK: ExitCode.CONFORMANT,  # a preview
    pytest.ExitCode.INTERRUPTED: ExitCode.INTERRUPTED,
    pytest.ExitCode.USAGE_ERROR: ExitCode.USAGE,
    pytest.ExitCode.NO_TESTS_COLLECTED: ExitCode.NOTHING,
}


class _Verdict:
    """Takes the exit code that the plugin decided on; pytest's own codes have other meanings for the same numbers."""

    def __init__(self) -> None:
        self.code: ExitCode | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Look after all others have had their say."""
        yield
        if isinstance(session.exitstatus, ExitCode):
            self.code = session.exitstatus


class _NothingSelectedError(OptionError):
    """Nothing was selected."""


def _given(chosen: argparse.Namespace) -> list[str]:
    """Write the options of `run` down again, for pytest."""
    words: list[str] = []
    for name, value in sorted(vars(chosen).items()):
        kind, _, rest = name.partition("_")
        option = "--" + rest.replace("_", "-")
        if kind not in ("conformance", "performance") or value in (None, False):
            continue
        if value is True:
            words.append(option)
        else:
            words += [f"{option}={item}" for item in (value if isinstance(value, list) else [value])]
    return words


def _requirements(chosen: argparse.Namespace, _: list[str]) -> int:
    rows = select(catalogue(paths.suites()), chosen.requirement, chosen.level)
    if chosen.statistics:
        if chosen.format == "json":
            raise OptionError("--statistics is printed as a table or as markdown, not as JSON; leave out --format json")
        return _statistics({row.id for row in rows if row.judged}, chosen.format)
    print({"table": to_table, "markdown": to_markdown, "json": to_json}[chosen.format](rows).rstrip())
    return ExitCode.CONFORMANT if rows else ExitCode.NOTHING


def _statistics(wanted: set[str], form: Literal["table", "markdown"]) -> int:
    from conformance import power  # noqa: PLC0415 - only this command rehearses the suites
    from conformance.rehearsal import rehearse  # noqa: PLC0415 - as above

    rehearsals = [rehearsal for rehearsal in rehearse(paths.suites()) if rehearsal.requirement.id in wanted]
    if not rehearsals:
        raise _NothingSelectedError("none of these requirements is judged; the others have no statistics")
    print(power.render(rehearsals, form))
    return ExitCode.CONFORMANT if power.holds(rehearsals) else ExitCode.ERROR


def _sandbox(chosen: argparse.Namespace, _: list[str]) -> int:
    from conformance.sandbox.playground import play  # noqa: PLC0415 - only this command needs the sandbox

    return play(options.settings(vars(chosen)))


def _selftest(chosen: argparse.Namespace, _: list[str]) -> int:
    from conformance.selftest import selftest  # noqa: PLC0415 - only this command needs the mutants

    return selftest(chosen.mutant, scope=chosen.scope, workers=chosen.workers, only_list=chosen.list,
                    markdown=chosen.markdown)


def _complain(error: Exception, code: ExitCode) -> int:
    print(f"mesh-conformance: {error}", file=sys.stderr)
    return ExitCode.NOTHING if isinstance(error, _NothingSelectedError) else code


if __name__ == "__main__":
    sys.exit(main())
