"""Which message a file holds: SMP's files do not say it."""

from __future__ import annotations

from typing import Final

from conformance.performance.smp.document import Item
from conformance.performance.smp.fields import DOCUMENTS, MESSAGES
from conformance.performance.smp.shape import EARLIER

CONFIG, RESULT, MESH, ENVIRONMENT = DOCUMENTS
WRAPPED: Final = "config file"
"""A test and a mesh in one file, as `mesheryctl perf apply -f` wants it."""
OLDER: Final = "older result"
"""A result as the samples in SMP's repository have it, of a time before its messages took their form."""
MESHERY: Final = "Meshery result"
"""What Meshery stores of a run, which is no message of SMP."""
UNKNOWN: Final = ""

_OLDER: Final = {"exp_uuid", "endpoint_url", "env", "client", "metrics", "config"}
_MESHERY: Final = {"runner_results", "meshery_id", "performance_profile"}


def kind(item: Item) -> str:
    """Return what a tree is by the names of its members: one of `DOCUMENTS` or of the constants above."""
    keys = set(item.members)
    if keys & {"test", "mesh"} and not keys & set(MESSAGES[CONFIG].fields).difference({"labels"}):
        return WRAPPED
    if keys & _MESHERY:
        return MESHERY
    if "latencies_ms" in item.members.get("client", Item(None, "")).members or len(keys & _OLDER) >= 2:
        return OLDER
    known = {EARLIER.get(key, key) for key in keys}
    scores = {
        name: sum(1 for one in MESSAGES[name].fields.values() if {one.name, one.camel} & known) for name in DOCUMENTS
    }
    # What all messages have says nothing, unless there is nothing else.
    shared = len(known & {"smp_version", "id", "labels", "smpVersion"})
    best = max(DOCUMENTS, key=lambda name: scores[name])
    return best if scores[best] > shared else UNKNOWN


def documents(root: Item) -> tuple[Item, ...]:
    """Return the documents of a file: the elements of a list, or the one that it is."""
    return root.elements or (root,)
