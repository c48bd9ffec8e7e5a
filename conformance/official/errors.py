"""What can be wrong with what the official suite left behind."""

from __future__ import annotations

from conformance.report.codec import RecordError


class OfficialError(RecordError):
    """The official suite's events or report cannot be read, contradict each other, or are of a run that broke off."""
