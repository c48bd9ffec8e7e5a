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


def mesh_of(obj: Mapping[str, Any]) -> str:
    """Return the mesh that an object was applied for (as a label has it); empty for any other object."""
    return str((obj["metadata"].get("labels") or {}).get(MESH_LABEL, ""))
