"""Finding a mesh by its name: those that ship, those that installed packages bring along, or a path to a `mesh.yaml`.

A package brings meshes along with an entry point of the group `mesh_conformance.meshes`. Its object is a package, or a
function without arguments that returns a directory; there, each mesh has a folder with its `mesh.yaml`, as the folder
`fixtures/meshes` has.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from conformance import paths
from conformance.mesh.description import parse
from conformance.mesh.errors import MeshError
from conformance.mesh.model import Mesh

ENTRY_POINTS: Final = "mesh_conformance.meshes"


@cache
def load(name: str) -> Mesh:
    """Return a mesh by its name or the path to its `mesh.yaml`; one of several instances as `NAME@INSTANCE`.

    Raises MeshError, with the closest name, when there is no such mesh or its description is wrong.
    """
    plain, separator, instance = _split(name)
    if separator and not instance:
        raise MeshError(f"{name!r} names no instance after the @; leave the @ out, or write {plain}@INSTANCE")
    if plain.endswith(".yaml"):
        if not Path(plain).is_file():
            raise MeshError(f"there is no mesh description at {plain}")
        return parse(Path(plain), instance)
    known = files()
    if plain not in known:
        close = difflib.get_close_matches(plain, known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise MeshError(f"unknown mesh {plain!r}.{hint} Known are: {', '.join(sorted(known))}; or name a mesh.yaml")
    return parse(known[plain], instance)


def names() -> list[str]:
    """Return the names of all meshes that the harness knows. Raises MeshError as `files` does."""
    return sorted(files())


def shipped() -> list[str]:
    """Return the names of the meshes that come with the harness."""
    return sorted(file.parent.name for file in (paths.fixtures() / "meshes").glob("*/mesh.yaml"))


def files() -> Mapping[str, Path]:
    """Return the `mesh.yaml` of every known mesh, by the name of its folder.

    Raises MeshError when two have the same name, or when a package that brings meshes along is broken.
    """
    found: dict[str, Path] = {}
    own = paths.fixtures() / "meshes"
    for directory in (own, *(_directory(point) for point in entry_points(group=ENTRY_POINTS))):
        for file in sorted(directory.glob("*/mesh.yaml")):
            name = file.parent.name
            if name in found:
                raise MeshError(f"two meshes have the name {name!r}: {found[name]} and {file}. Rename the folder of "
                                "one of them, or uninstall the package that brings it")
            found[name] = file
    return found


def _split(name: str) -> tuple[str, str, str]:
    """Split NAME@INSTANCE. The path to a file may have an @ of its own."""
    if name.endswith(".yaml"):
        return name, "", ""
    plain, separator, instance = name.rpartition("@")
    return (plain, separator, instance) if separator else (name, "", "")


def _directory(point: EntryPoint) -> Path:
    """Return the directory with the meshes of an entry point. Raises MeshError."""
    owner = point.dist.name if point.dist else "an installed package"
    doing = f"meshes of {owner} (entry point {point.name} = {point.value})"
    try:
        target = point.load()
        given = target() if callable(target) else next(iter(target.__path__))
        directory = Path(given)
    except Exception as error:  # whatever a stranger's package raises
        raise MeshError(f"{doing}: {type(error).__name__}: {error}. Mend or uninstall that package") from error
    if not directory.is_dir():
        raise MeshError(f"{doing}: {directory} is no directory")
    if not any(directory.glob("*/mesh.yaml")):
        raise MeshError(f"{doing}: there is no */mesh.yaml in {directory}")
    return directory
