"""Taking a mesh away that the harness installed: exactly that, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable

from conformance.cluster import Cluster, NotFound
from conformance.lifecycle import inventory, removal, sharing, steps
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import MESH_LABEL, value_of
from conformance.mesh import CommandStep, Leftover, Mesh
from conformance.topology import ProvisionError
from conformance.waiting import Progress


def remove(
    cluster: Cluster, mesh: Mesh, *, tell: Callable[[str], None] = print, progress: Progress | None = None,
) -> bool:
    """Remove a mesh that the harness installed, and wait until all of it is gone. False: there was nothing of it.

    Raises ProvisionError where the mesh is there and somebody else's, or does not go; ClusterError.
    """
    selector = f"{MESH_LABEL}={value_of(mesh.name)}"
    ours = inventory.labelled(cluster, selector).objects
    if not ours:
        found = mesh.installations(cluster)
        if found:
            where = f"{mesh.title} {found[0].version} is in namespace {found[0].namespace} of {cluster.name}"
            raise ProvisionError(f"{where}, and mesh-conformance did not install it: it is left alone")
        return False
    lines = sharing.leave(cluster, mesh=mesh.name)
    for step in mesh.remove:
        # What it would have deleted of what it printed carries the label, or is a leftover.
        if isinstance(step, CommandStep) and not step.applies_output:
            steps.objects(step, cluster)
    swept = removal.sweep(cluster, selector, progress=progress)
    lines += [*swept.kept, *_clear_up(cluster, mesh, progress)]
    for line in (*lines, *(f"not looked at: {unseen}" for unseen in swept.unseen)):
        tell(line)
    return True


def _clear_up(cluster: Cluster, mesh: Mesh, progress: Progress | None) -> list[str]:
    """Delete what the mesh's own controllers left, unless another instance of it uses that. Returns what to say."""
    left = _leftovers(cluster, mesh.leftovers)
    users = [f"{found.workload} in {found.namespace}" for found in mesh.kin(cluster)] if left else []
    if users:
        return [f"{len(left)} leftovers of {mesh.title}, such as {left[0]}, are kept: {', '.join(users)} needs them"]
    removal.delete_exactly(cluster, left, progress=progress)
    return []


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
