"""Each mutant against its own requirement, and after them the unmutated mesh against all, as runs judge them.

The whole matrix, every mutant against all requirements of its API group, is `mesh-conformance selftest`.
"""

from __future__ import annotations

import random

import pytest

from conformance import paths
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS
from conformance.selftest import judge

WORKERS = 4
"""Twice the cores that CI has: of the 7 seconds of a run, 5 are the mesh's limit, which a failing check waits out."""


@pytest.fixture(scope="module")
def kills():
    """All rows. The order is another one each time, so that no mutant can lean on the one before it."""
    judged = [row for row in catalogue(paths.suites()) if row.judged]
    mutants = random.sample(list(MUTANTS.values()), len(MUTANTS))
    print("in this order:", *(mutant.name for mutant in mutants))
    return {kill.name: kill for kill in judge(mutants, judged, "own", WORKERS, unmutated=True)}


@pytest.mark.parametrize("name", [*MUTANTS, "(unmutated)"])
def test_kill(kills, name):
    kill = kills[name]
    assert kill.holds, f"{name}: {kill.verdict} (fails {kill.failed or 'nothing'})"
