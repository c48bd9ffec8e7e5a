"""How outcomes and verdicts are shown: a symbol, a word and a class for the colour, which never stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conformance.outcome import Outcome, Result
from conformance.verdict import Capability, Compliance


@dataclass(frozen=True, slots=True)
class Mark:
    """One of them; `tone` is one of the classes of colour in the style sheet: good, bad, odd, soft or plain."""

    symbol: str
    word: str
    tone: str


OUTCOMES: Final = {
    Outcome.PASSED: Mark("✓", "passed", "good"),
    Outcome.FAILED: Mark("✗", "failed", "bad"),
    Outcome.ERROR: Mark("!", "error", "odd"),
    Outcome.UNSUPPORTED: Mark("⊘", "unsupported", "soft"),
    Outcome.NOT_APPLICABLE: Mark("·", "not applicable", "soft"),
    Outcome.SKIPPED: Mark("↷", "skipped", "odd"),
    Outcome.KNOWN_FAILURE: Mark("≈", "known failure", "bad"),
    Outcome.OBSERVED: Mark("○", "observed", "plain"),
}
NOTHING: Final = Mark("?", "no result", "odd")

STALE: Final = Mark("✓", "passed, stale", "odd")
"""Passed, and listed as a known failure: the list is to be mended."""

COMPLIANCE: Final = {
    Compliance.CONFORMANT: Mark("✓", "conformant", "good"),
    Compliance.NONCONFORMANT: Mark("✗", "nonconformant", "bad"),
    Compliance.INCOMPLETE: Mark("?", "incomplete", "odd"),
}
CAPABILITY: Final = {
    Capability.FULL: Mark("●", "full", "plain"),
    Capability.PARTIAL: Mark("◐", "partial", "plain"),
    Capability.NONE: Mark("○", "none", "plain"),
}


def mark_of(result: Result) -> Mark:
    """The mark of a result."""
    return STALE if result.stale else OUTCOMES[result.outcome]
