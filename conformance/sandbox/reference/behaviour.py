"""What can be exchanged in the control plane to make a mesh that breaks a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.sandbox.reference.metrics import Metrics
from conformance.sandbox.reference.model import Problem, Snapshot
from conformance.sandbox.reference.problems import problems
from conformance.sandbox.reference.translate import Translation

View = Callable[[Snapshot], Snapshot]
"""What the control plane believes, given what there is. May remember earlier snapshots."""


def as_it_is() -> View:
    """Return the view of a mesh that believes what it sees."""
    return lambda snapshot: snapshot


@dataclass(frozen=True)
class Behaviour:
    """One way to be a mesh; the default is the correct one. `view` makes a fresh memory for each control plane."""

    translation: type[Translation] = Translation
    view: Callable[[], View] = as_it_is
    problems: Callable[[Translation], tuple[Problem, ...]] = problems
    metrics: type[Metrics] = Metrics
