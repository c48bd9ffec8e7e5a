"""What was done is undone however it ends, and an error in that does not hide the one before it."""

from __future__ import annotations

import pytest

from conformance.cluster import ClusterError
from conformance.lifecycle.undoing import undone
from conformance.topology import ProvisionError

FIRST, SECOND = ClusterError("deploying", "the disk is full"), ProvisionError("it does not go")


def test_it_is_undone_at_the_end_and_after_errors():
    times = []
    with undone(lambda: times.append("well")):
        pass
    for error in (FIRST, KeyboardInterrupt(), ValueError("a bug")):
        with pytest.raises(type(error)), undone(lambda: times.append("ill")):
            raise error
    assert times == ["well", "ill", "ill", "ill"]


def test_it_is_kept_if_asked():
    with undone(lambda: pytest.fail("it was undone"), keep=True):
        pass


def fails():
    raise SECOND


def test_both_errors_are_told():
    with pytest.raises(ProvisionError) as told, undone(fails):
        raise FIRST
    assert str(told.value) == "deploying: the disk is full\nCleaning up failed as well: it does not go"
    with pytest.raises(ProvisionError) as told, undone(fails):
        pass
    assert told.value is SECOND
