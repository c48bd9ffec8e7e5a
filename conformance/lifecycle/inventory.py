"""What there is in a cluster: all resources that can be listed and deleted, and their objects by label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from conformance.cluster import Cluster, ClusterError, Kind, NotFound, Object, describe

_NEEDED: Final = frozenset({"list", "delete"})
_MIRRORS: Final = frozenset({"events.k8s.io"})
"""Groups that serve the objects of another group once more."""


@dataclass(frozen=True)
class Found:
    """One object, and where it is served."""

    kind: Kind
    obj: Object

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty for an object of the whole cluster."""
        return str(self.obj["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        """What tells it from another object of the same name."""
        return str(self.obj["metadata"].get("uid", ""))

    @property
    def made(self) -> datetime:
        """When the API server made it, in whole seconds; now where it does not say so."""
        text = self.obj["metadata"].get("creationTimestamp")
        return datetime.fromisoformat(text) if text else datetime.now(UTC)

    @property
    def owned(self) -> bool:
        """Whether it goes with another object, its owner."""
        return bool(self.obj["metadata"].get("ownerReferences"))

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return self.kind.path(self.namespace or None, self.name)

    def __str__(self) -> str:
        return describe(self.obj | {"kind": self.kind.kind})


@dataclass(frozen=True)
class Inventory:
    """Objects that were found. `unseen` says which resources could not be looked at, and why."""

    objects: tuple[Found, ...]
    unseen: tuple[str, ...] = ()


def resources(cluster: Cluster) -> tuple[tuple[Kind, ...], tuple[str, ...]]:
    """Return all resources that can be listed and deleted, each in one version, and what could not be asked for them.

    Raises ClusterError when the API server does not answer at all.
    """
    versions = ["v1"] + [f"{group}/{version}" for group, served in cluster.groups().items()
                         if group not in _MIRRORS for version in served]
    found: dict[tuple[str, str], Kind] = {}
    unseen = []
    for api_version in versions:
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            # The server of an aggregated API may be down for good: no use in waiting for it.
            listed = cluster.json("GET", prefix, patience=0.0)
        except NotFound:
            continue
        except ClusterError as error:
            unseen.append(f"{api_version}: {error.found}")
            continue
        try:
            kinds = list(_deletable(api_version, listed))
        except (AttributeError, KeyError, TypeError):  # an aggregated API's server may answer anything
            unseen.append(f"{api_version}: what its server answered is no list of resources")
            continue
        for kind in kinds:
            found.setdefault((api_version.rpartition("/")[0], kind.plural), kind)
    return tuple(found.values()), tuple(unseen)


def objects(cluster: Cluster, kinds: Iterable[Kind], *, labels: str = "", namespace: str = "") -> Inventory:
    """Return the objects of these kinds that a label selector matches, or that are in a namespace."""
    found: list[Found] = []
    unseen: list[str] = []
    forbidden: list[str] = []
    for kind in kinds:
        if namespace and not kind.namespaced:
            continue
        query = {"labelSelector": labels} if labels else None
        try:
            listed = cluster.json("GET", kind.path(namespace or None), query=query, patience=0.0,
                                  doing=f"listing {kind.plural}")
        except NotFound:
            continue
        except ClusterError as error:
            (forbidden if error.code == 403 else unseen).append(kind.plural if error.code == 403 else str(error))
            continue
        try:
            items, whole = _items(kind, listed)
        except (AttributeError, KeyError, TypeError, ValueError):
            unseen.append(f"{kind.plural} of {kind.api_version}: what its server answered is no list of objects")
            continue
        found += items
        if not whole:
            unseen.append(f"{kind.plural} of {kind.api_version}: there are more than the list has")
    if forbidden:
        unseen.append(f"this user may not list {', '.join(forbidden)}")
    return Inventory(tuple(found), tuple(unseen))


def labelled(cluster: Cluster, selector: str) -> Inventory:
    """Return all objects of the cluster that a label selector matches, of whatever kind. Raises ClusterError."""
    kinds, unseen = resources(cluster)
    found = objects(cluster, kinds, labels=selector)
    return Inventory(found.objects, unseen + found.unseen)


def _deletable(api_version: str, listed: Object) -> Iterable[Kind]:
    for entry in listed.get("resources") or ():
        if "/" not in entry["name"] and set(entry["verbs"]) >= _NEEDED:
            yield Kind(api_version, str(entry["kind"]), entry["name"], bool(entry["namespaced"]))


def _items(kind: Kind, listed: Object) -> tuple[list[Found], bool]:
    """Return the objects of a list, and whether it is whole. A list's items do not say what they are; the list does.

    Raises what objects raise that are none.
    """
    found = [Found(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
             for obj in listed.get("items") or ()]
    for each in found:
        metadata = each.obj["metadata"]
        if not isinstance(metadata["name"], str) or not isinstance(metadata.get("labels") or {}, dict):
            raise TypeError(kind)
        each.made  # noqa: B018 - raises where it is no time
    return found, not (listed.get("metadata") or {}).get("continue")
