"""Each mutant of access and specs differs in the situation of its own requirement, and in no other undeclared one.

As `test_mesh_mutants` for TrafficSplit; a mutant is held to the requirements of its own API group only.
"""

from __future__ import annotations

import pytest
from access_scenarios import allowed, scenarios

from conformance.sandbox.mutants import access, specs
from conformance.sandbox.reference.behaviour import Behaviour

SCENARIOS = scenarios()
REFERENCE = {name: allowed(Behaviour(), scenario) for name, scenario in SCENARIOS.items()}
JUDGED = {name.split()[0] for name in SCENARIOS} - {"beacon"}


def is_access(name: str) -> bool:
    return name.startswith("TARGET-")


def differing(mutant) -> set[str]:
    return {name.split()[0] for name, scenario in SCENARIOS.items()
            if name == "beacon" or is_access(name) == is_access(mutant.kills)
            if allowed(mutant.behaviour, scenario) != REFERENCE[name]}


@pytest.mark.parametrize("mutant", [*access.MUTANTS, *specs.MUTANTS], ids=lambda mutant: mutant.name)
def test_mutant_breaks_what_it_declares_and_nothing_else(mutant):
    broken = differing(mutant)
    assert mutant.kills in broken
    assert broken <= {mutant.kills, *mutant.may}


def test_every_judged_requirement_has_a_mutant():
    assert {mutant.kills for mutant in (*access.MUTANTS, *specs.MUTANTS)} == JUDGED


@pytest.mark.parametrize(("requirement", "wanted"), [
    ("TARGET-001", [0, 0]), ("TARGET-003", [1, 0, 0]), ("TARGET-005", [1, 1, 0]), ("TARGET-006", [1, 0, 1, 0]),
    ("TARGET-007", [0, 0]), ("TARGET-007 sources", [0, 0]), ("TARGET-002", [1, 1, 1]),
    ("TARGET-008", [1, 0]), ("TARGET-008 two", [0, 1, 1]), ("TARGET-009", [1, 1, 0]),
    ("TARGET-010", [1, 0]), ("TARGET-011", [1, 1, 1, 0, 0, 0]), ("TARGET-013", [1, 0, 0, 0]),
    ("TARGET-015", [1, 1, 0, 1]), ("TARGET-016 deleted", [0, 0]), ("TARGET-018", [1, 1, 1, 0, 1, 1]),
    ("TARGET-019", [1, 0, 1]), ("HRG-001", [1, 0, 0, 1, 0, 0]), ("HRG-002", [0, 1, 0]),
    ("HRG-003", [1, 1, 1, 1, 1, 0, 0, 0]), ("HRG-006", [1, 0, 0, 0]), ("HRG-007", [1, 0, 0, 0]),
    ("HRG-008 changed", [1, 0]),
    ("HRG-009", [1, 0, 0, 0]), ("HRG-013", [1, 0]), ("TCP-001", [1, 0, 1]), ("TCP-002", [1, 1, 1]),
    ("UDP-001", [1, 0, 1]), ("UDP-002", [1, 1, 1]), ("beacon", [1, 1, 1]),
])
def test_reference_mesh_decides_as_the_specification_says(requirement, wanted):
    assert REFERENCE[requirement] == [bool(decision) for decision in wanted]
