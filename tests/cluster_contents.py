"""What there is on a cluster, by name: tests compare it before and after."""

from __future__ import annotations

from contextlib import contextmanager

from conformance.lifecycle import inventory

RENEWED = ("Event", "Lease")
"""Kinds whose objects come and go by themselves on every cluster."""
PASSING = (*RENEWED, "EndpointSlice", "IPAddress", "PodMetrics")
"""Kinds whose objects come and go by themselves on a real cluster."""


def everything(cluster, passing=RENEWED):
    """Names of all objects, but for those that come and go by themselves."""
    return {str(each) for each in _found(cluster, passing)}


@contextmanager
def unchanged(cluster):
    """In the end there is what there was before, but for what an earlier test was still rid of; also on a real one."""
    before = _found(cluster, PASSING)
    ending = {each.name for each in before if each.kind.kind == "Namespace" and _ends(each)}
    going = {str(each) for each in before if _ends(each) or each.namespace in ending}
    names = {str(each) for each in before}
    yield
    now = everything(cluster, PASSING)
    assert (now - names, names - now - going) == (set(), set())


def _found(cluster, passing):
    kinds, _ = inventory.resources(cluster)
    return [each for each in inventory.objects(cluster, kinds).objects if each.kind.kind not in passing]


def _ends(each):
    return "deletionTimestamp" in each.obj["metadata"]
