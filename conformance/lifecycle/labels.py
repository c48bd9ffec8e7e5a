"""The labels by which the harness knows its own objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from conformance.cluster import Object
from conformance.topology import RUN_LABEL

MESH_LABEL: Final = "mesh-conformance/mesh"
"""On what was applied to install a mesh: its name."""
MANAGED_BY: Final = ("app.kubernetes.io/managed-by", "mesh-conformance")


def value_of(mesh: str) -> str:
    """Return a mesh's name as the value of a label, which may not have the `@` of an instance."""
    return mesh.replace("@", "_")


def labelled(obj: Object, run: str, mesh: str) -> Object:
    """Return an object as part of an installation, with what says so."""
    metadata = obj["metadata"]
    own = {RUN_LABEL: run, MESH_LABEL: value_of(mesh), MANAGED_BY[0]: MANAGED_BY[1]}
    return obj | {"metadata": metadata | {"labels": (metadata.get("labels") or {}) | own}}


def run_of(obj: Mapping[str, Any]) -> str:
    """Return the run that an object belongs to; empty for one that is not the harness's."""
    return str((obj["metadata"].get("labels") or {}).get(RUN_LABEL, ""))


def is_of_run(obj: Mapping[str, Any]) -> bool:
    """Whether an object is the harness's, and not one of a user's that got a run's label, such as by a copy.

    What belongs to a mesh has a label of its own. Of the rest, a run makes namespaces of its name, and what is in them.
    """
    run, metadata = run_of(obj), obj["metadata"]
    home = metadata["name"] if obj.get("kind") == "Namespace" else metadata.get("namespace") or ""
    return bool(mesh_of(obj)) or (bool(run) and str(home).startswith(f"mc-{run}-"))


def mesh_of(obj: Mapping[str, Any]) -> str:
    """Return the mesh that an object was applied for (as a label has it); empty for any other object."""
    return str((obj["metadata"].get("labels") or {}).get(MESH_LABEL, ""))
