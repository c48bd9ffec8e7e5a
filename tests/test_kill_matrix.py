"""Each mutant against its own requirement, and the unmutated mesh against all, as `mesh-conformance run` judges them.

The whole matrix, every mutant against every requirement, is `mesh-conformance selftest`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance import paths
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS
from conformance.selftest import judge


@pytest.fixture(scope="module")
def kills():
    """All runs, two at a time: a run waits more than it computes."""
    pool = ThreadPoolExecutor(2)
    futures = {mutant.name: pool.submit(judge, mutant, [mutant.kills]) for mutant in MUTANTS.values()}
    futures["(unmutated)"] = pool.submit(judge, None, [row.id for row in catalogue(paths.suites()) if row.judged])
    yield futures
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", [*MUTANTS, "(unmutated)"])
def test_kill(kills, name):
    kill = kills[name].result()
    assert kill.holds, f"{name}: {kill.verdict} (fails {kill.failed or 'nothing'})"
