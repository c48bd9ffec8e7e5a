"""What is put on a cluster for a mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.cluster import Object
from conformance.mesh import ControlPlane, Mesh


def unchanged(objects: list[Object]) -> list[Object]:
    """Change nothing."""
    return objects


@dataclass(frozen=True)
class Setup:
    """A mesh, and what besides its install steps belongs to it.

    `definitions` are CustomResourceDefinitions; those that others have applied are used as they are, unless `exactly`
    these have to be served. `first` are objects that are applied before the steps, `also` workloads to wait for
    besides its control plane. `change` is applied to the objects of the steps' manifests.
    """

    mesh: Mesh
    definitions: tuple[Object, ...] = ()
    exactly: bool = False
    first: tuple[Object, ...] = ()
    also: tuple[ControlPlane, ...] = ()
    change: Callable[[list[Object]], list[Object]] = unchanged
