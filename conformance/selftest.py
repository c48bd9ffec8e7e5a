"""The kill matrix: every mutant of the reference mesh must fail its own requirement, and no other but those it names.

Each mutant is judged by a run of its own, in a process of its own, exactly as a user would judge it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from tabulate import tabulate

from conformance import paths
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


@dataclass(frozen=True)
class Kill:
    """What one mutant failed, and whether that is what it declares. `mutant` is None for the unmutated mesh."""

    mutant: Mutant | None
    failed: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def verdict(self) -> str:
        """Say whether the matrix holds for this mutant, and why not."""
        if self.trouble:
            return f"error: {self.trouble}"
        if self.mutant is None:
            return "passes all" if not self.failed else "fails without a mutation"
        if self.mutant.kills not in self.failed:
            return "survives"
        strangers = sorted(set(self.failed) - {self.mutant.kills, *self.mutant.may})
        return f"fails undeclared {', '.join(strangers)}" if strangers else "killed"

    @property
    def holds(self) -> bool:
        """Whether this row of the matrix is as declared."""
        return self.verdict in ("killed", "passes all")


def selftest(
    names: Sequence[str], *, scope: Scope, workers: int, only_list: bool, markdown: Path | None = None,
) -> int:
    """Judge mutants (all, without `names`), print the matrix and return an exit code.

    `markdown` is where the matrix is also written to. Raises MeshError, and OptionError for a matrix with gaps.
    """
    chosen = [find(name) for name in names] or list(MUTANTS.values())
    if only_list:
        print(tabulate([(m.name, m.kills, m.description) for m in chosen], ("mutant", "must fail", "what it does")))
        return ExitCode.CONFORMANT
    if markdown is not None and (names or scope == "own"):
        raise OptionError("a matrix to publish has all mutants and at least all requirements of their API groups; "
                          "leave out --mutant and --own")
    if markdown is not None and not markdown.parent.is_dir():
        raise OptionError(f"the matrix cannot be written to {markdown}: there is no directory {markdown.parent}")
    rows: list[Mutant | None] = [None, *chosen] if not names else [*chosen]
    judged = [row for row in catalogue(paths.suites()) if row.judged]
    kills = []
    with TemporaryDirectory(prefix="mesh-conformance-bytecode-") as bytecode:
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            for kill in pool.map(lambda m: judge(m, against(m, judged, scope), bytecode), rows):
                kills.append(kill)
                print(f"{_name(kill)}: {kill.verdict}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)  # interrupted, it begins no more runs
    print("\n" + render(kills))
    survivors = unkilled(kills, judged) if not names else []
    if survivors:
        print(f"\nno mutant is killed by {', '.join(survivors)}")
    if markdown is not None:
        markdown.write_text(to_markdown(kills, judged), encoding="utf-8")
    return ExitCode.CONFORMANT if all(kill.holds for kill in kills) and not survivors else ExitCode.NONCONFORMANT


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


def render(kills: Sequence[Kill]) -> str:
    """Return the matrix as a table, one line a mutant."""
    rows = [
        (_name(kill), kill.mutant.kills if kill.mutant else "", ", ".join(kill.failed) or "nothing", kill.verdict)
        for kill in kills
    ]
    headers = ("mutant", "must fail", "fails", "verdict")
    return tabulate(rows, headers, tablefmt="simple", maxcolwidths=[None, None, 60, 60])


def to_markdown(kills: Sequence[Kill], judged: Sequence[Requirement]) -> str:
    """Return the matrix as the page `docs/kill-matrix.md`: the same text for the same outcomes, on any machine."""
    groups = {row.id: row.api for row in judged}
    holding = sum(kill.holds for kill in kills if kill.mutant)
    lines = [
        "# Kill matrix", "",
        "Generated by `mesh-conformance selftest --markdown docs/kill-matrix.md`; do not edit.", "",
        ("A mutant is the reference mesh with one requirement broken. Each was judged at least against all judged "
         "requirements of its API group. It must fail the one that it breaks and no other but those that it declares."),
        "",
        (f"{holding} of {sum(kill.mutant is not None for kill in kills)} mutants are as declared; "
         f"{len(judged) - len(unkilled(kills, judged))} of {len(judged)} judged requirements kill a mutant."),
    ]
    lines += [f"The mesh without a mutation {kill.verdict.partition(':')[0]}." for kill in kills if kill.mutant is None]
    for api in sorted(set(groups.values())):
        rows = [
            (f"`{kill.mutant.name}`", kill.mutant.description, kill.mutant.kills, ", ".join(kill.mutant.may),
             ", ".join(kill.failed) or "nothing", kill.verdict.partition(":")[0])
            for kill in kills if kill.mutant and groups.get(kill.mutant.kills) == api
        ]
        lines += ["", f"## Mutants of {api}", "",
                  _table(("mutant", "what it does", "must fail", "may fail", "fails", "verdict"), rows)]
    killed = [
        (row.id, ", ".join(f"`{kill.mutant.name}`" for kill in kills
                           if kill.mutant and kill.holds and kill.mutant.kills == row.id) or "**none**")
        for row in judged
    ]
    lines += ["", "## Requirements", "", _table(("requirement", "kills"), killed)]
    return "\n".join(lines) + "\n"


def unkilled(kills: Sequence[Kill], judged: Sequence[Requirement]) -> list[str]:
    """Return the requirements that no mutant has shown able to fail."""
    killed = {kill.mutant.kills for kill in kills if kill.mutant and kill.holds}
    return [row.id for row in judged if row.id not in killed]


def _name(kill: Kill) -> str:
    return kill.mutant.name if kill.mutant else "(unmutated)"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
