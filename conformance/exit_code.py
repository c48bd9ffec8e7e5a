"""The exit code of the process: what came of a whole run, in a number."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from conformance.outcome import Outcome, Result
from conformance.verdict import Verdict


class ExitCode(IntEnum):
    """What the process's exit code says; the first that holds, from the top of `exit_code`."""

    CONFORMANT = 0
    """Every selected requirement that was judged passed, but for listed known failures and failed shoulds."""
    NONCONFORMANT = 1
    """A must or a behaviour failed that is not listed as known, or the list is stale: a requirement on it passed."""
    USAGE = 2
    """Unknown option, mesh or requirement, unreadable kubeconfig: nothing was run."""
    ERROR = 3
    """The harness or the cluster broke, or a judged requirement was skipped or has no result."""
    NOTHING = 4
    """Nothing was selected, or nothing of it could be judged: not a pass."""
    INTERRUPTED = 130
    """Ended by Ctrl-C or a signal."""


def exit_code(results: Iterable[Result], verdicts: Iterable[Verdict], *, interrupted: bool = False) -> ExitCode:
    """The exit code of a finished run.

    A violation outweighs an error: it is certain whatever else broke. Requirements that were not selected make a
    verdict incomplete, not the run fail: who asks for one requirement is answered for that one. An error in an
    unjudged requirement counts, because the harness must not break unnoticed. A stale list of known failures counts as
    a violation does: whoever reads the list would believe what is no longer so.
    """
    outcomes, stale = [], False
    for result in results:
        outcomes.append((result.outcome, result.judged, result.level.binding))
        stale = stale or result.stale
    if interrupted:
        return ExitCode.INTERRUPTED
    if stale or any(outcome is Outcome.FAILED and binding for outcome, _, binding in outcomes):
        return ExitCode.NONCONFORMANT
    if any(outcome is Outcome.ERROR or (outcome is Outcome.SKIPPED and judged) for outcome, judged, _ in outcomes):
        return ExitCode.ERROR
    if any(verdict.missing for verdict in verdicts):
        return ExitCode.ERROR
    if not any(outcome.judgement for outcome, _, _ in outcomes):
        return ExitCode.NOTHING
    return ExitCode.CONFORMANT
