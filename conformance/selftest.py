"""The kill matrix: every mutant of the reference mesh must fail its own requirement, and no other but those it names.

Each mutant is judged by a run of its own, in a process of its own, exactly as a user would judge it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from tabulate import tabulate

from conformance import paths
from conformance.kill_matrix import Kill, render, renewed, to_markdown, unkilled
from conformance.options import OptionError
from conformance.outcome import ExitCode, Outcome
from conformance.report import record
from conformance.report.codec import RecordError
from conformance.requirement import Requirement, catalogue
from conformance.sandbox.mutants import MUTANTS, Mutant, find

Scope = Literal["own", "group", "all"]
"""What a mutant is judged against: the requirement that it breaks, all of its API group, or all there are."""
RUN_WITHIN: Final = 600.0
"""Seconds after which a run is given up; it is killed, and its sandbox with it."""


def selftest(
    names: Sequence[str], *, scope: Scope, workers: int, only_list: bool, markdown: Path | None = None,
) -> int:
    """Judge mutants (all, without `names`), print the matrix and return an exit code.

    `markdown` is where the matrix is also written to; of a page that is there already only the rows of the mutants
    that are named are renewed. Raises MeshError, and OptionError for a matrix with gaps.
    """
    chosen = [find(name) for name in names] or list(MUTANTS.values())
    if only_list:
        print(tabulate([(m.name, m.kills, m.description) for m in chosen], ("mutant", "must fail", "what it does")))
        return ExitCode.CONFORMANT
    page = _page(markdown, names, scope) if markdown is not None else ""
    rows: list[Mutant | None] = [None, *chosen] if not names else [*chosen]
    judged = [row for row in catalogue(paths.suites()) if row.judged]
    kills = []
    with TemporaryDirectory(prefix="mesh-conformance-bytecode-") as bytecode:
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            for kill in pool.map(lambda m: judge(m, against(m, judged, scope), bytecode), rows):
                kills.append(kill)
                print(f"{kill.name}: {kill.verdict}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)  # interrupted, it begins no more runs
    print("\n" + render(kills))
    survivors = unkilled(kills, judged) if not names else []
    if survivors:
        print(f"\nno mutant is killed by {', '.join(survivors)}")
    if markdown is not None:
        markdown.write_text(to_markdown(renewed(page, kills), judged), encoding="utf-8")
    return ExitCode.CONFORMANT if all(kill.holds for kill in kills) and not survivors else ExitCode.NONCONFORMANT


def _page(markdown: Path, names: Sequence[str], scope: Scope) -> str:
    """Return the page whose rows are to be renewed; empty where all of it is made. Raises OptionError."""
    if scope == "own":
        raise OptionError("a matrix to publish has at least all requirements of a mutant's API group; leave out --own")
    if not markdown.parent.is_dir():
        raise OptionError(f"the matrix cannot be written to {markdown}: there is no directory {markdown.parent}")
    if not names:
        return ""
    page = markdown.read_text(encoding="utf-8") if markdown.is_file() else ""
    known = {kill.mutant.name for kill in renewed(page, ()) if kill.mutant}
    gaps = sorted(MUTANTS.keys() - known - set(names))
    if gaps:
        raise OptionError(f"{markdown} has no rows of {', '.join(gaps)}; judge them as well, or all without --mutant")
    return page


def against(subject: Mutant | None, judged: Sequence[Requirement], scope: Scope) -> list[str]:
    """Return the requirements that a mutant is judged against; all of them for the mesh as it is."""
    if subject is None or scope == "all":
        return [row.id for row in judged]
    if scope == "own":
        return [subject.kills]
    groups = {row.api for row in judged if row.id == subject.kills}
    return [row.id for row in judged if row.api in groups]


def judge(subject: Mutant | None, requirements: Sequence[str], bytecode: str = "") -> Kill:
    """Run these requirements on one mutant, or on the mesh as it is.

    `bytecode` is a directory in which runs keep compiled modules for each other: a third of what a short run computes.
    """
    if not requirements:
        return Kill(subject, trouble="no judged requirement is the one that it must fail")
    with TemporaryDirectory(prefix="mesh-conformance-selftest-") as directory:
        command = [sys.executable, "-m", "conformance.cli", "run", "--report-dir", directory,
                   "--requirement", ",".join(requirements), "-q"]
        command += ["--mutant", subject.name] if subject else []
        command += ["--smi", subject.dialect] if subject and subject.dialect else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_WITHIN, check=False,
                                  env=_environment(bytecode))
            report = record.read(Path(directory) / "report.jsonl")
        except subprocess.TimeoutExpired:
            return Kill(subject, trouble=f"no end within {RUN_WITHIN:g} s")
        except (RecordError, OSError) as error:
            return Kill(subject, trouble=f"no report ({error}): {(done.stderr or done.stdout).strip()[-400:]}")
    failed = tuple(sorted(r.requirement for r in report.results if r.outcome is Outcome.FAILED))
    broken = [f"{r.requirement}: {r.message}" for r in report.results if r.outcome is Outcome.ERROR]
    missing = sorted(set(requirements) - {r.requirement for r in report.results})
    broken += [f"without a result: {', '.join(missing)}"] if missing else []
    return Kill(subject, failed, "; ".join(broken))


def _environment(bytecode: str) -> dict[str, str]:
    if not bytecode:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": bytecode}
