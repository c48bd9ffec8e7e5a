"""The version of a mesh that a run is going to install, known before it is there.

A record begins with the versions of all meshes of its run. Of those that are installed one after the other, each around
its own checks, the later ones are told by what their steps would apply: the same workload, the same container's image.
"""

from __future__ import annotations

from conformance.cluster import Cluster
from conformance.lifecycle import steps
from conformance.mesh import CommandStep, Mesh, MeshError
from conformance.topology import ProvisionError


def version(mesh: Mesh, cluster: Cluster) -> str | None:
    """Return the version that a mesh's install steps have; None where only carrying them out would tell.

    Changes nothing. Raises ClusterError.
    """
    try:
        found = [obj for step in mesh.install if not isinstance(step, CommandStep) or step.applies_output
                 for obj in steps.objects(step, cluster)]
    except (MeshError, ProvisionError):  # what is wrong is told when the mesh is installed
        return None
    sign = mesh.detect[0] if mesh.detect else None
    shown = (sign.version(obj) for obj in found if sign is not None and sign.is_shown_by(obj))
    return next(shown, None)
