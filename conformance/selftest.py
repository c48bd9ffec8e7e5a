"""The kill matrix: every mutant of the reference mesh must fail its own requirement, and no other but those it names.

Each mutant is judged by a run of its own, in a process of its own, exactly as a user would judge it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tabulate import tabulate

from conformance import paths
from conformance.outcome import ExitCode, Outcome
from conformance.report import record
from conformance.report.codec import RecordError
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS, Mutant, find

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


def selftest(names: Sequence[str], *, own: bool, workers: int, only_list: bool) -> int:
    """Judge mutants (all, without `names`), print the matrix and return an exit code. Raises MeshError."""
    chosen = [find(name) for name in names] or list(MUTANTS.values())
    if only_list:
        print(tabulate([(m.name, m.kills, m.description) for m in chosen], ("mutant", "must fail", "what it does")))
        return ExitCode.CONFORMANT
    rows: list[Mutant | None] = [None, *chosen] if not names else [*chosen]
    judged = [row.id for row in catalogue(paths.suites()) if row.judged]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        kills = []
        for kill in pool.map(lambda m: judge(m, [m.kills] if own and m else judged), rows):
            kills.append(kill)
            print(f"{_name(kill)}: {kill.verdict}", flush=True)
    print("\n" + render(kills))
    unkilled = _unkilled(kills, judged) if not names else []
    if unkilled:
        print(f"\nno mutant is killed by {', '.join(unkilled)}")
    return ExitCode.CONFORMANT if all(kill.holds for kill in kills) and not unkilled else ExitCode.NONCONFORMANT


def judge(subject: Mutant | None, requirements: Sequence[str]) -> Kill:
    """Run these requirements on one mutant, or on the mesh as it is."""
    with TemporaryDirectory(prefix="mesh-conformance-selftest-") as directory:
        command = [sys.executable, "-m", "conformance.cli", "run", "--report-dir", directory,
                   "--requirement", ",".join(requirements), "-q"]
        command += ["--mutant", subject.name] if subject else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_WITHIN, check=False)
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


def render(kills: Sequence[Kill]) -> str:
    """Return the matrix as a table, one line a mutant."""
    rows = [
        (_name(kill), kill.mutant.kills if kill.mutant else "", ", ".join(kill.failed) or "nothing", kill.verdict)
        for kill in kills
    ]
    headers = ("mutant", "must fail", "fails", "verdict")
    return tabulate(rows, headers, tablefmt="simple", maxcolwidths=[None, None, 60, 60])


def _name(kill: Kill) -> str:
    return kill.mutant.name if kill.mutant else "(unmutated)"


def _unkilled(kills: Sequence[Kill], judged: Sequence[str]) -> list[str]:
    killed = {kill.mutant.kills for kill in kills if kill.mutant and kill.holds}
    return [requirement for requirement in judged if requirement not in killed]
