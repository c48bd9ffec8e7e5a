"""What runs have left in a cluster: killed ones, and those that were told to keep it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from conformance.cluster import Cluster
from conformance.lifecycle import inventory, removal, sharing
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import is_of_run, mesh_of, run_of
from conformance.lifecycle.removal import Swept
from conformance.topology import RUN_LABEL
from conformance.waiting import Progress


@dataclass(frozen=True)
class Remains:
    """The objects of one run. `mesh` is the one that it installed, if any; `newest` when its last object was made."""

    run: str
    mesh: str
    objects: tuple[Found, ...]
    newest: datetime

    def summary(self) -> str:
        """Say of which kinds the objects are, the most first."""
        counts = Counter(each.kind.kind for each in self.objects)
        return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())

    def listing(self) -> list[str]:
        """Name what goes, namespaces with all that is in them."""
        namespaces = {each.name for each in self.objects if each.kind.kind == "Namespace"}
        return [f"{each}{', with everything in it' if each.kind.kind == 'Namespace' else ''}"
                for each in self.objects if each.namespace not in namespaces]


def remains(cluster: Cluster, run: str = "", older: timedelta | None = None) -> tuple[list[Remains], tuple[str, ...]]:
    """Return what runs have left, or one run, and what could not be looked at. Sample workloads come before meshes.

    `older`: only runs for which nothing was made within that time; others may still go on. Raises ClusterError.
    """
    found = inventory.labelled(cluster, f"{RUN_LABEL}={run}" if run else RUN_LABEL)
    groups: dict[str, list[Found]] = {}
    for each in found.objects:
        if not each.owned and is_of_run(each.obj):
            groups.setdefault(run_of(each.obj), []).append(each)
    before = datetime.now(UTC) - older if older is not None else None
    all_of_them = [_remains(name, objects) for name, objects in groups.items()]
    kept = [each for each in all_of_them if before is None or each.newest <= before]
    return sorted(kept, key=lambda each: (bool(each.mesh), each.newest)), found.unseen


def clean(cluster: Cluster, left: Remains, progress: Progress | None = None) -> Swept:
    """Remove what a run left and wait until it is gone. Raises ClusterError, ProvisionError."""
    stay = sharing.leave(cluster, run=left.run)
    swept = removal.sweep(cluster, f"{RUN_LABEL}={left.run}", progress=progress)
    return replace(swept, kept=(*stay, *swept.kept))


def _remains(run: str, objects: Sequence[Found]) -> Remains:
    meshes = sorted({mesh for each in objects if (mesh := mesh_of(each.obj))})
    return Remains(run, ", ".join(meshes), tuple(objects), max(each.made for each in objects))
