"""What several meshes need that the harness installed: a definition, a namespace, the rights of two instances.

Whoever comes first makes such an object, and its labels say so. Whoever comes later puts a label on it that says that
it is needed there, too. When the first goes, the object becomes the next one's; it goes with the last.
"""

from __future__ import annotations

import contextlib
from typing import Final

from conformance.cluster import Cluster, NotFound, Object
from conformance.lifecycle import inventory
from conformance.lifecycle.labels import MESH_LABEL, mesh_of, run_of, value_of
from conformance.topology import RUN_LABEL

_PREFIX: Final = "needed-by.mesh-conformance/"


def need(cluster: Cluster, there: Object, mesh: str, run: str) -> None:
    """Note on an object of another mesh that this one needs it as well. Raises ClusterError."""
    cluster.patch(there, {"metadata": {"labels": {_PREFIX + value_of(mesh): run}}})


def leave(cluster: Cluster, *, mesh: str = "", run: str = "") -> list[str]:
    """Take back what a mesh, or a run, needs, and give away what of its own others need. Returns what to say of that.

    What is given away carries the labels of its next owner. Raises ClusterError.
    """
    lines = []
    for found in inventory.labelled(cluster, RUN_LABEL).objects:
        needs = _needs(found.obj)
        taken_back = {name for name, by in needs.items() if (name == value_of(mesh) if mesh else by == run)}
        heirs = sorted(needs.keys() - taken_back)
        change: dict[str, str | None] = {_PREFIX + name: None for name in taken_back}
        if heirs and (mesh_of(found.obj) == value_of(mesh) if mesh else run_of(found.obj) == run):
            change |= {_PREFIX + heirs[0]: None, MESH_LABEL: heirs[0], RUN_LABEL: needs[heirs[0]]}
            lines.append(f"{found} stays: {', '.join(heirs)} needs it as well")
        if change:
            with contextlib.suppress(NotFound):  # it went meanwhile
                cluster.patch(found.obj, {"metadata": {"labels": change}})
    return lines


def _needs(obj: Object) -> dict[str, str]:
    """Return the meshes that have said so, each with the run that installed it."""
    labels = obj["metadata"].get("labels") or {}
    return {key.removeprefix(_PREFIX): str(run) for key, run in labels.items() if key.startswith(_PREFIX)}
