"""Taking a mesh away that the harness installed: exactly that, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from conformance.cluster import Cluster, NotFound
from conformance.lifecycle import inventory, removal, sharing, steps
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import MESH_LABEL, run_of, value_of
from conformance.mesh import CommandStep, Leftover, Mesh
from conformance.topology import RUN_LABEL, ProvisionError
from conformance.waiting import Progress


def remove(
    cluster: Cluster, mesh: Mesh, *, run: str = "", tell: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> bool:
    """Remove a mesh that the harness installed, and wait until all of it is gone. False: there was nothing of it.

    `run`: only what that run made of it. Raises ProvisionError where the mesh is there and somebody else's, or does not
    go; ClusterError.
    """
    selector = f"{MESH_LABEL}={value_of(mesh.name)}"
    everything = inventory.labelled(cluster, selector).objects
    ours = [each for each in everything if run in ("", run_of(each.obj))]
    if not ours:
        if run:
            return False
        found = mesh.installations(cluster)
        if found:
            where = f"{mesh.title} {found[0].version} is in namespace {found[0].namespace} of {cluster.name}"
            raise ProvisionError(f"{where}, and mesh-conformance did not install it: it is left alone")
        return False
    lines = sharing.leave(cluster, run=run) if run else sharing.leave(cluster, mesh=mesh.name)
    # Its own programs and its leftovers know no runs.
    alone = len(ours) == len(everything)
    for step in mesh.remove if alone else ():
        # What it would have deleted of what it printed carries the label, or is a leftover.
        if isinstance(step, CommandStep) and not step.applies_output:
            steps.objects(step, cluster)
    swept = removal.sweep(cluster, f"{selector},{RUN_LABEL}={run}" if run else selector, progress=progress)
    lines += [*swept.kept, *(_clear_up(cluster, mesh, min(each.made for each in ours), progress) if alone else ())]
    for line in (*lines, *(f"not looked at: {unseen}" for unseen in swept.unseen)):
        tell(line)
    return True


def _clear_up(cluster: Cluster, mesh: Mesh, since: datetime, progress: Progress | None) -> list[str]:
    """Delete what the mesh's own controllers left, unless another instance of it uses that. Returns what to say.

    What was there before `since`, when the first object of the mesh was made, only has the name of a leftover.
    """
    found = _leftovers(cluster, mesh.leftovers)
    left = [each for each in found if each.made >= since]
    lines = [f"{each} is kept: it was there before {mesh.title}" for each in found if each.made < since]
    users = [f"{found.workload} in {found.namespace}" for found in mesh.kin(cluster)] if left else []
    if users:
        what = f"{len(left)} leftovers of {mesh.title}, such as {left[0]}"
        return [*lines, f"{what}, are kept: {', '.join(users)} needs them"]
    removal.delete_exactly(cluster, left, progress=progress)
    return lines


def _leftovers(cluster: Cluster, leftovers: tuple[Leftover, ...]) -> list[Found]:
    found = []
    for leftover in leftovers:
        try:
            kind = cluster.kind(leftover.api_version, leftover.kind)
        except NotFound:
            continue
        labels = ",".join(f"{key}={value}" for key, value in leftover.labels.items())
        listed = inventory.objects(cluster, [kind], labels=labels)
        found += [each for each in listed.objects if leftover.name in ("", each.name)]
    return found
