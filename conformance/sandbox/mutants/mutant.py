"""What a mutant is: the reference mesh with exactly one requirement broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.sandbox.conversion.convert import Conversion
from conformance.sandbox.reference.behaviour import Behaviour

Objects = list[dict[str, Any]]


def as_they_are(objects: Objects) -> Objects:
    """Change nothing."""
    return objects


@dataclass(frozen=True)
class Mutant:
    """One way to break a mesh.

    `kills` is the requirement whose check has to fail; `may` names others whose checks may fail as well, because
    the same fault is in their way. Any other failure is a fault of the suite. `definitions` breaks the
    CustomResourceDefinitions that the mesh ships, `manifests` the objects that install it, `conversion` how versions
    are converted; `dialect` names what the sandbox has to serve for the fault to show.
    """

    name: str
    description: str
    kills: str
    behaviour: Behaviour = field(default_factory=Behaviour, compare=False)
    may: tuple[str, ...] = ()
    definitions: Callable[[Objects], Objects] = field(default=as_they_are, compare=False)
    conversion: type[Conversion] = field(default=Conversion, compare=False)
    dialect: str = ""
    manifests: Callable[[Objects], Objects] = field(default=as_they_are, compare=False)

    @property
    def replaceable(self) -> bool:
        """Whether it takes the mesh's place in a sandbox that stands: all that differs is replaced with it."""
        return self.manifests is as_they_are and self.conversion is Conversion and not self.dialect
