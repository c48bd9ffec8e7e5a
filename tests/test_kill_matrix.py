"""Each mutant against its own requirement, and the unmutated mesh against all, as `mesh-conformance run` judges them.

The whole matrix, every mutant against all requirements of its API group, is `mesh-conformance selftest`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance import paths
from conformance.requirement import catalogue
from conformance.sandbox.mutants import MUTANTS
from conformance.selftest import judge


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    """All runs, two at a time: a run waits more than it computes. They share what Python compiled."""
    pool = ThreadPoolExecutor(2)
    compiled = str(tmp_path_factory.mktemp("compiled"))
    judged = [row.id for row in catalogue(paths.suites()) if row.judged]
    futures = {"(unmutated)": pool.submit(judge, None, judged, compiled)}
    futures |= {mutant.name: pool.submit(judge, mutant, [mutant.kills], compiled) for mutant in MUTANTS.values()}
    yield futures
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", [*MUTANTS, "(unmutated)"])
def test_kill(kills, name):
    kill = kills[name].result()
    assert kill.holds, f"{name}: {kill.verdict} (fails {kill.failed or 'nothing'})"
