"""The mutants: for every judged requirement at least one mesh that breaks exactly it.

They answer the question whether a check can fail at all. The kill matrix, requirements by mutants, is a test, and
`mesh-conformance selftest` prints it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from conformance.sandbox.mutants import access, definitions, gateway, metrics, specs, splits
from conformance.sandbox.mutants.mutant import Mutant

__all__ = ["MUTANTS", "OBSERVED", "Mutant", "find"]

_ALL: Final = (*splits.MUTANTS, *access.MUTANTS, *specs.MUTANTS, *metrics.MUTANTS, *definitions.MUTANTS,
               *gateway.MUTANTS)

MUTANTS: Final[Mapping[str, Mutant]] = MappingProxyType({mutant.name: mutant for mutant in _ALL})

OBSERVED: Final[Mapping[str, Mutant]] = MappingProxyType({mutant.name: mutant for mutant in splits.OBSERVED})
"""Mutants that no requirement is failed by, because the specification is silent: what they do is observed."""


def find(name: str) -> Mutant:
    """Return the mutant of that name. Raises MeshError naming the closest ones."""
    if name in MUTANTS or name in OBSERVED:
        return MUTANTS.get(name) or OBSERVED[name]
    # Not at the top: every control plane imports this module, and none needs the schemas behind that one.
    from conformance.mesh import MeshError  # noqa: PLC0415

    close = difflib.get_close_matches(name, [*MUTANTS, *OBSERVED], n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise MeshError(f"unknown mutant {name!r:.100}.{hint} `mesh-conformance selftest --list` names all")
