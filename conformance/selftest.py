"""The kill matrix: every mutant of the reference mesh must fail its own requirement, and no other but those it names.

Each mutant is judged by a run with a record, exactly as a user's would be; see `jury` for where the runs take place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from conformance import paths, temporary
from conformance.exit_code import ExitCode
from conformance.jury import Jury
from conformance.kill_matrix import Kill, render, renewed, to_markdown, unkilled
from conformance.options import OptionError
from conformance.requirement import Requirement, catalogue
from conformance.sandbox.mutants import MUTANTS, Mutant, find

Scope = Literal["own", "group", "all"]
"""What a mutant is judged against: the requirement that it breaks, all of its API group, or all there are."""


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
    judged = [row for row in catalogue(paths.suites()) if row.judged]
    kills: list[Kill] = []
    for kill in judge(chosen, judged, scope, workers, unmutated=not names):
        print(f"{kill.name}: {kill.verdict}", flush=True)
        kills.insert(len(kills) if kill.mutant else 0, kill)
    print("\n" + render(kills))
    survivors = unkilled(kills, judged) if not names else []
    if survivors:
        print(f"\nno mutant is killed by {', '.join(survivors)}")
    if markdown is not None:
        markdown.write_text(to_markdown(renewed(page, kills), judged), encoding="utf-8")
    return ExitCode.CONFORMANT if all(kill.holds for kill in kills) and not survivors else ExitCode.NONCONFORMANT


def judge(
    mutants: Sequence[Mutant], judged: Sequence[Requirement], scope: Scope, workers: int, *, unmutated: bool,
) -> Iterator[Kill]:
    """Judge mutants, so many at a time, and yield the row of each; at last that of the mesh as it is, where asked.

    It comes last, divided among sandboxes of its own.
    """
    workers = max(1, workers)
    runs: list[tuple[Mutant | None, list[str]]] = [(mutant, against(mutant, judged, scope)) for mutant in mutants]
    every = against(None, judged, scope)
    runs += [(None, every[first::workers]) for first in range(min(workers, len(every)))] if unmutated else []
    with temporary.directory("bytecode") as bytecode, Jury(str(bytecode)) as jury:
        pool = ThreadPoolExecutor(workers)
        parts = []
        try:
            for kill in pool.map(lambda run: jury.judge(*run), runs):
                if kill.mutant is not None:
                    yield kill
                else:
                    parts.append(kill)
        finally:
            pool.shutdown(cancel_futures=True)  # interrupted, it begins no more runs
    if parts:
        yield Kill(None, tuple(sorted({name for part in parts for name in part.failed})),
                   "; ".join(part.trouble for part in parts if part.trouble))


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
