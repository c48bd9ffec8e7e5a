"""Answers of an API server, or of one behind it, that are not what they should be: told, not taken for nothing."""

from __future__ import annotations

import pytest

from conformance.cluster import Kind
from conformance.lifecycle import inventory

WIDGETS = Kind("example.org/v1", "Widget", "widgets", namespaced=True)


class Answering:
    """A cluster that gives the same answer to whatever it is asked."""

    def __init__(self, answer):
        self._answer = answer

    def groups(self):
        return {"example.org": ("v1",)}

    def json(self, *_, **__):
        return self._answer


@pytest.mark.parametrize("listed", [
    [{"name": "x"}], ["x"], {"a": 1}, [{"name": 3}], [{"name": "x", "kind": "X", "namespaced": True, "verbs": 3}],
])
def test_a_list_of_resources_that_is_none(listed):
    kinds, unseen = inventory.resources(Answering({"resources": listed}))
    assert kinds == ()
    assert unseen == tuple(
        f"{api}: what its server answered is no list of resources" for api in ("v1", "example.org/v1"))


@pytest.mark.parametrize("items", [
    [{"metadata": None}], ["x"], [{}], {"a": 1}, 3, [{"metadata": {"name": None}}],
    [{"metadata": {"name": "x", "labels": "y"}}], [{"metadata": {"name": "x", "creationTimestamp": "yesterday"}}],
])
def test_a_list_of_objects_that_is_none(items):
    found = inventory.objects(Answering({"items": items}), [WIDGETS])
    assert found == inventory.Inventory((), (
        "widgets of example.org/v1: what its server answered is no list of objects",))


def test_a_list_that_goes_on_is_not_taken_for_whole():
    listed = {"items": [{"metadata": {"name": "x"}}], "metadata": {"continue": "more"}}
    found = inventory.objects(Answering(listed), [WIDGETS])
    assert [each.name for each in found.objects] == ["x"]
    assert found.unseen == ("widgets of example.org/v1: there are more than the list has",)
