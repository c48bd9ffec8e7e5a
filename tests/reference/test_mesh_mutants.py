"""Each mutant of TrafficSplit differs from the reference mesh in the situation of its own requirement only.

This is the kill matrix on snapshots; the one through Envoy judges the suite as well.
"""

from __future__ import annotations

import pytest
from mesh_scenarios import scenarios, seen

from conformance.mesh import MeshError
from conformance.sandbox.mutants import MUTANTS, find
from conformance.sandbox.reference.behaviour import Behaviour

SCENARIOS = scenarios()
JUDGED = {name.split()[0] for name in SCENARIOS} - {"beacon"}
SPLITS = [mutant for mutant in MUTANTS.values() if mutant.kills.startswith("SPLIT-")]


def differing(mutant) -> set[str]:
    return {
        name.split()[0] for name, scenario in SCENARIOS.items()
        if seen(mutant.behaviour, scenario) != seen(Behaviour(), scenario)
    }


@pytest.mark.parametrize("mutant", SPLITS, ids=lambda mutant: mutant.name)
def test_mutant_breaks_what_it_declares_and_nothing_else(mutant):
    broken = differing(mutant)
    assert mutant.kills in broken
    assert broken <= {mutant.kills, *mutant.may}


def test_every_judged_requirement_has_a_mutant():
    assert {mutant.kills for mutant in SPLITS} == JUDGED


def test_names_and_descriptions_are_there():
    assert all(name == mutant.name and mutant.description for name, mutant in MUTANTS.items())
    with pytest.raises(TypeError):
        MUTANTS["new"] = None


def test_mutant_with_a_memory_starts_afresh_in_each_control_plane():
    mutant = MUTANTS["updates-ignored"]
    before, after = SCENARIOS["SPLIT-011"].worlds
    first, second = mutant.behaviour.view(), mutant.behaviour.view()
    first(before.snapshot())
    assert first(after.snapshot()) != after.snapshot()
    assert second(after.snapshot()) == after.snapshot()


def test_deleted_split_is_forgotten_with_its_root():
    view = MUTANTS["deleted-split-stays"].behaviour.view()
    with_split, without = SCENARIOS["SPLIT-012"].worlds
    view(with_split.snapshot())
    assert len(view(without.snapshot()).splits) == 2
    gone = without.snapshot()
    services = {key: service for key, service in gone.services.items() if key[1] != "root"}
    assert len(view(type(gone)(services, splits=gone.splits)).splits) == 1
    assert len(view(without.snapshot()).splits) == 1


def test_unknown_mutant_names_the_closest_and_where_all_are():
    assert find("no-events") is MUTANTS["no-events"]
    with pytest.raises(MeshError, match=r"unknown mutant 'no-event'\. Did you mean 'no-events'.*--list`") as raised:
        find("no-event")
    assert len(str(raised.value)) < 300
