"""One check as it goes through pytest's phases, and the result that comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.outcomes import Skipped

from conformance import kubelets
from conformance.cluster import ClusterError
from conformance.dump import FAILURES, dump
from conformance.evidence import Evidence
from conformance.outcome import Known, Nonconformance, Outcome, Result, outcome_of
from conformance.requirement import Requirement
from conformance.smi import NotExpressible, NotServed
from conformance.topology import Topology


class Unjudged(Skipped):
    """Raised by a fixture when a requirement cannot be judged on this mesh; pytest shows it as skipped."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome
        self.reason = reason


@dataclass
class Check:
    """What has come of one check so far. The first phase that goes wrong decides.

    `known` is what the list of known failures says of it, `listed_in` the file that the list is in.
    """

    row: Requirement
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    message: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    unexplained: bool = False
    known: Known | None = None
    listed_in: str = ""

    def phase(self, when: str, error: BaseException | None, funcargs: Mapping[str, Any]) -> None:
        """Take what a phase (setup, call, teardown) ended with."""
        self.evidence = funcargs.get("evidence", self.evidence)
        if isinstance(error, Nonconformance) and (disturbed := _disturbed(funcargs, kubelets.disturbances)):
            error = ClusterError(f"judging {self.row.id}", f"{disturbed}. Seen meanwhile: {error}")
        elif error is None and when == "call" and (disturbed := _disturbed(funcargs, kubelets.noticed)):
            # A server that was away has denied nothing, and has forgotten what it was sent.
            error = ClusterError(f"judging {self.row.id}", f"{disturbed}, though all else was as it has to be")
        if self.outcome in (None, Outcome.PASSED, Outcome.OBSERVED):
            if error is not None or when == "call":
                self._decide(error)
        elif error is not None:
            self._add(error)

    def hold_to(self, known: Known | None, listed_in: str) -> None:
        """Take what the list of known failures says: it decides how a failure counts, and whether a pass is news."""
        self.known, self.listed_in = known, listed_in
        if known is not None and self.outcome is Outcome.FAILED:
            self.outcome = Outcome.KNOWN_FAILURE

    @property
    def stale(self) -> str:
        """What to do where a listed requirement passes; empty where none of this is so."""
        if self.known is None or self.outcome is not Outcome.PASSED:
            return ""
        return f"stale: {self.row.id} passes now; take it out of {self.listed_in}"

    def dump(self, directory: Path, funcargs: Mapping[str, Any]) -> None:
        """Write what explains a failure, while it is still there; the message then says where."""
        topology = funcargs.get("topology")
        if self.outcome not in (Outcome.FAILED, Outcome.ERROR) or topology is None:
            return
        target = directory / FAILURES / self.row.id
        try:
            dump(target, topology, self.evidence)
        except OSError as error:
            self.message += f"\nno dump: {error.strerror}"
        else:
            self.message += f"\ndump: {target.relative_to(directory.parent)}"

    def recovery(self, funcargs: Mapping[str, Any]) -> Callable[[], None] | None:
        """Return what is to be done before the next check: after an error it may lack pods that this one has lost."""
        topology = funcargs.get("topology")
        return topology.renew if self.outcome is Outcome.ERROR and topology is not None else None

    def _add(self, error: BaseException) -> None:
        """Take an error that comes after the outcome is decided: what could not be cleaned up must not go unsaid."""
        before, unexplained = self.message, self.unexplained
        if self.outcome is not Outcome.FAILED or not self.row.level.binding:
            self._decide(error)
        self.message = "\n".join(filter(None, (before, _message(error, unexplained=not _explained(error)))))
        self.unexplained = unexplained or not _explained(error)

    def _decide(self, error: BaseException | None) -> None:
        match error:
            case Unjudged():
                self.outcome, self.message = error.outcome, error.reason
            case NotExpressible():
                self.outcome, self.message = Outcome.NOT_APPLICABLE, str(error)
            case NotServed():
                self.outcome, self.message = Outcome.UNSUPPORTED, str(error)
            case Skipped():
                self.outcome, self.message = Outcome.SKIPPED, str(error.msg)
            case _:
                self.outcome = outcome_of(error, judged=self.row.judged)
                self.unexplained = not _explained(error)
                self.message = "" if error is None else _message(error, unexplained=self.unexplained)
                if self.outcome is Outcome.OBSERVED and error is not None:
                    self.evidence.observe(self.message)

    def dress(self, report: pytest.TestReport) -> None:
        """Make pytest's own report of a phase say what the outcome is, in words instead of a traceback."""
        if report.when != "call" and report.passed:
            return
        if self.outcome in (Outcome.FAILED, Outcome.ERROR) and report.failed and not self.unexplained:
            report.longrepr = f"{self.row.id} {self.outcome}: {self.message}"
        elif self.outcome is Outcome.KNOWN_FAILURE and report.failed and self.known:
            # As pytest has it for a test that is marked `xfail`.
            report.outcome, report.wasxfail = "skipped", f"{self.known.reason} ({self.known.link})"
            report.longrepr = f"{self.row.id} {self.outcome}: {self.message}"
        elif self.stale:
            report.outcome, report.longrepr = "failed", self.stale
        elif self.outcome is Outcome.OBSERVED and report.failed:
            report.outcome, report.longrepr = "passed", None
        elif self.outcome in (Outcome.NOT_APPLICABLE, Outcome.UNSUPPORTED) and report.failed:
            report.outcome, report.longrepr = "skipped", ("", 0, f"Skipped: {self.outcome}: {self.message}")


def result_of(check: Check, mesh: str, version: str, reproduce: str, worker: str) -> Result:
    """Return the result of a check that has gone through all phases."""
    evidence = check.evidence
    return Result(
        requirement=check.row.id, level=check.row.level, mesh=mesh, api=check.row.api, version=version,
        outcome=check.outcome or Outcome.ERROR, message=check.stale or _said(check),
        duration=round(time.monotonic() - check.started, 4), convergence=tuple(evidence.convergence),
        samples=tuple(evidence.samples), applied=tuple(evidence.applied), observed="; ".join(evidence.observations),
        reproduce=reproduce, worker=worker, judged=check.row.judged,
        known=check.known if check.stale or check.outcome is Outcome.KNOWN_FAILURE else None,
    )


def _said(check: Check) -> str:
    return check.message or ("" if check.outcome else "it never ran")


def _explained(error: BaseException | None) -> bool:
    """Whether an exception is one of ours, whose message says all: others are bugs and keep their traceback."""
    if isinstance(error, BaseExceptionGroup):  # several fixtures failed at the end of a check
        return all(_explained(each) for each in error.exceptions)
    return error is None or type(error).__module__.split(".")[0] == "conformance"


def _message(error: BaseException, *, unexplained: bool) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(_message(each, unexplained=not _explained(each)) for each in error.exceptions)
    return f"unexpected {type(error).__name__}: {error}" if unexplained else str(error)


def _disturbed(funcargs: Mapping[str, Any], look: Callable[[Topology], str]) -> str:
    """Say which of the run's pods were disturbed, by a way to look at them; their trouble is not the mesh's."""
    topology = funcargs.get("topology")
    return "" if topology is None else look(topology)
