"""Deleting the harness's own objects, in an order that leaves nothing stuck, and waiting until they are gone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from conformance.cluster import Cluster, ClusterError, Conflict, Kind, NotFound
from conformance.lifecycle import blocked, inventory
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import is_of_run
from conformance.topology import ProvisionError
from conformance.waiting import NotConverged, NotYet, Progress, eventually

GONE_WITHIN: Final = 180.0
_ROUNDS: Final = 3
_HOOKS: Final = ("APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
                 "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding")
"""What the API server calls on: with its server gone, nothing else can be deleted."""
_DEFINITION: Final = "CustomResourceDefinition"
_BUILT_IN: Final = re.compile(r"([a-z]+|rbac\.authorization|internal\.apiserver)\.k8s\.io")


@dataclass(frozen=True)
class Swept:
    """What came of it: how many objects went, and which definitions were kept because others' objects are in them."""

    removed: int
    kept: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def sweep(
    cluster: Cluster, selector: str, *, within: float = GONE_WITHIN, progress: Progress | None = None,
) -> Swept:
    """Delete all objects that a label selector matches, and wait at most so many seconds until they are gone.

    A definition in which there are objects that the selector does not match is kept. Raises ClusterError, and
    ProvisionError that says what blocks an object.
    """
    removed: set[str] = set()
    kept: dict[str, str] = {}
    for _ in range(_ROUNDS):
        found = inventory.labelled(cluster, selector)
        ours = [each for each in found.objects if is_of_run(each.obj)]
        kept = _others(cluster, ours)
        doomed = [each for each in ours if each.uid not in kept]
        if not doomed:
            return Swept(len(removed), tuple(kept.values()), found.unseen)
        removed |= {each.uid for each in doomed}
        for stage in _order(doomed):
            # Somebody may have made an object of theirs while the stages before went.
            taken = _others(cluster, stage, ours)
            batch = [each for each in stage if each.uid not in taken]
            removed -= taken.keys()
            if batch:
                _delete(cluster, batch, within, progress)
    left = ", ".join(str(each) for each in doomed)
    raise ProvisionError(f"{left} came back {_ROUNDS} times: something makes them again. Find its controller")


def delete_exactly(
    cluster: Cluster, doomed: Sequence[Found], *, within: float = GONE_WITHIN, progress: Progress | None = None,
) -> None:
    """Delete these objects and wait until they are gone. Raises ClusterError, ProvisionError."""
    _delete(cluster, doomed, within, progress)


def _others(cluster: Cluster, found: Iterable[Found], own: Iterable[Found] = ()) -> dict[str, str]:
    """Return the definitions, by uid, that hold objects of somebody else, each with what to say of it.

    Ours are those that were `found`, and our `own` besides.
    """
    ours = {each.uid for each in (*found, *own)}
    kept = {}
    for each in found:
        if each.kind.kind != _DEFINITION:
            continue
        spec = each.obj["spec"]
        held = inventory.objects(cluster, _kinds(spec))
        strange = [obj for obj in held.objects if obj.uid not in ours]
        if strange or held.unseen:
            why = f"there are objects of others, such as {strange[0]}" if strange else held.unseen[0]
            kept[each.uid] = f"{each.name} is kept: {why}"
    return kept


def _kinds(spec: dict[str, object]) -> Iterable[Kind]:
    names, versions = spec["names"], spec["versions"]
    assert isinstance(names, dict)
    assert isinstance(versions, list)
    for version in versions:
        if version.get("served"):
            yield Kind(f"{spec['group']}/{version['name']}", names["kind"], names["plural"],
                                 spec.get("scope") == "Namespaced")
            return


def _order(doomed: Sequence[Found]) -> Iterable[list[Found]]:
    """Yield what goes together, in order: what the API server calls on, contents, namespaces, rights, definitions.

    What is in a namespace that goes, goes with it; what has an owner, with that.
    """
    namespaces = {each.name for each in doomed if each.kind.kind == "Namespace"}

    def inside(each: Found) -> bool:
        return bool(each.namespace) and each.namespace not in namespaces and not each.owned

    stages: tuple[Callable[[Found], bool], ...] = (
        lambda each: each.kind.kind in _HOOKS,
        # While their controllers, which may have to finish them, are still there.
        lambda each: _custom(each) and (inside(each) or not each.namespace),
        inside,
        lambda each: each.kind.kind == "Namespace",
        lambda each: not each.namespace and each.kind.kind != _DEFINITION,
        lambda each: each.kind.kind == _DEFINITION,
    )
    done: set[str] = set()
    for stage in stages:
        batch = [each for each in doomed if each.uid not in done and stage(each)]
        done |= {each.uid for each in batch}
        if batch:
            yield batch


def _custom(each: Found) -> bool:
    group = each.kind.api_version.rpartition("/")[0]
    return "." in group and not _BUILT_IN.fullmatch(group)


def _delete(cluster: Cluster, batch: Sequence[Found], within: float, progress: Progress | None) -> None:
    left, asked = list(batch), set[str]()

    def gone() -> None:
        try:
            for each in left:
                if each.uid not in asked:
                    _ask(cluster, each)
                    asked.add(each.uid)
            left[:] = [each for each in left if _stands(cluster, each)]
        except ClusterError as error:
            if error.code:
                raise
            raise NotYet(str(error)) from error  # an API server that is away for a moment comes back
        if left:
            raise NotYet(f"still there: {', '.join(str(each) for each in left)}")

    what = ", ".join(sorted({each.kind.plural for each in batch}))
    try:
        eventually(gone, what=f"{len(batch)} objects ({what}) to go", within=within, consecutive=1, longest=0.5,
                   progress=progress)
    except NotConverged as error:
        details = "\n".join(f"  {line}" for line in blocked.explain(cluster, left))
        raise ProvisionError(f"waited {error.seconds:.0f} s for {len(left)} objects to go, and they are still there:\n"
                             f"{details}\nRemove what blocks them, then run `mesh-conformance cleanup`") from error


def _ask(cluster: Cluster, each: Found) -> None:
    # In the foreground: a workload is gone only when its pods are.
    policy = "Background" if each.kind.kind in ("Namespace", _DEFINITION) else "Foreground"
    body = {"propagationPolicy": policy, "preconditions": {"uid": each.uid}}
    with contextlib.suppress(NotFound, Conflict):  # gone, or another one of that name
        cluster.request("DELETE", each.path, body=body, doing=f"deleting {each}")


def _stands(cluster: Cluster, each: Found) -> bool:
    try:
        now = cluster.json("GET", each.path, doing=f"looking whether {each} is gone")
    except NotFound:
        return False
    return bool(now["metadata"].get("uid") == each.uid)
