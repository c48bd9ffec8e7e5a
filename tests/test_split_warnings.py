"""A warning about a wrong TrafficSplit counts only where a right one has no such warning."""

from __future__ import annotations

import pytest
from smi_objects import apis

from conformance.evidence import Evidence
from conformance.objects import Objects
from conformance.outcome import Nonconformance
from conformance.splits import Splits

MISMATCH = ("Warning", "PortMismatch", "backend {name} has no port 8080")
HABIT = ("Warning", "Beware", "TrafficSplit {split} may be wrong")
NOTE = ("Normal", "PortMismatch", "backend {name} has no port 8080")


class Cluster:
    """Takes every object and has events about the first split and about the later ones."""

    def __init__(self, right, wrong):
        self.told = (right, wrong)
        self.splits = []

    def create(self, obj):
        self.splits.append(obj["metadata"]["name"])

    def list(self, version, plural, namespace, fields):
        assert (version, plural, namespace) == ("v1", "events", "demo")
        split = fields.removeprefix("involvedObject.name=")
        about = {"kind": "TrafficSplit", "name": split}
        events = [{"type": kind, "reason": reason, "involvedObject": about,
                   "message": message.format(split=split, name=f"split-020-ab12-blue-{self.splits.index(split)}")}
                  for kind, reason, message in self.told[bool(self.splits.index(split))]]
        return [*events, {"type": "Warning", "involvedObject": {"kind": "Service", "name": split}}], "1"


class Root:
    name = "root"


def warning(right, wrong):
    cluster = Cluster(right, wrong)
    objects = Objects(cluster, "run", "split-020-ab12", Evidence())
    splits = Splits(objects, apis("v1alpha4"), "demo", lambda: None, within=0.05)
    usual, faulty = splits(Root, {Root: 1}), splits(Root, {Root: 1})
    return faulty.warning(right=usual)


def test_a_warning_that_only_the_wrong_split_has_is_returned():
    assert warning([], [MISMATCH]) == "PortMismatch: backend split-020-ab12-blue-1 has no port 8080"
    assert warning([HABIT], [HABIT, MISMATCH]).startswith("PortMismatch")


def test_the_same_warning_about_every_split_tells_nothing():
    with pytest.raises(Nonconformance, match=r"on every other(.|\n)*on a split that is right: events: Warning B"):
        warning([HABIT], [HABIT])


@pytest.mark.parametrize("events", [[], [NOTE]])
def test_without_a_warning_nothing_was_reported(events):
    with pytest.raises(Nonconformance, match=r"an event of type Warning on the TrafficSplit within 0\.05 s"):
        warning([], events)
