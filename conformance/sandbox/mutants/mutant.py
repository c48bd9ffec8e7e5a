"""What a mutant is: the reference mesh with exactly one requirement broken."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.sandbox.reference.behaviour import Behaviour


@dataclass(frozen=True)
class Mutant:
    """One way to break a mesh.

    `kills` is the requirement whose check has to fail; `may` names others whose checks may fail as well, because
    the same fault is in their way. Any other failure is a fault of the suite.
    """

    name: str
    description: str
    kills: str
    behaviour: Behaviour = field(compare=False)
    may: tuple[str, ...] = ()
