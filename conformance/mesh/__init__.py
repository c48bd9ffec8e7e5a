"""A mesh as data: how it is detected, installed, injected and addressed, and what it claims.

One folder per mesh, `fixtures/meshes/<name>/`, whose `mesh.yaml` is described by `schema/mesh.json`; a mesh of a third
party may be anywhere (`registry`). `docs/adding-a-mesh.md` shows how to write one.
"""

from conformance.mesh.description import parse
from conformance.mesh.detection import Installation, Sign
from conformance.mesh.errors import MeshError
from conformance.mesh.model import (
    Access,
    Adapter,
    ControlPlane,
    Evidence,
    KnownFailure,
    Leftover,
    Marks,
    Mesh,
    MetricsPlace,
    Proxy,
)
from conformance.mesh.registry import load, names, shipped
from conformance.mesh.steps import CommandStep, HelmStep, ManifestStep, Step, load_manifests

__all__ = [
    "Access", "Adapter", "CommandStep", "ControlPlane", "Evidence", "HelmStep", "Installation", "KnownFailure",
    "Leftover", "ManifestStep", "Marks", "Mesh", "MeshError", "MetricsPlace", "Proxy", "Sign", "Step", "load",
    "load_manifests", "names", "parse", "shipped",
]
