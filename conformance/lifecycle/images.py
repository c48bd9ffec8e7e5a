"""Images: which ones a run needs, and what they are called in a registry that mirrors them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from conformance import paths
from conformance.cluster import Object
from conformance.mesh import Mesh

AGENT: Final = "agent"
_LISTS: Final = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True)
class Image:
    """An image that a run needs, and what needs it: the agent, or a mesh by its name."""

    reference: str
    needed_by: str


def needed(meshes: tuple[Mesh, ...]) -> tuple[Image, ...]:
    """Return the images of a run on these meshes, each once for what needs it. Raises MeshError."""
    agent = yaml.safe_load((paths.fixtures() / "workloads" / "agent.yaml").read_text(encoding="utf-8"))
    found = [Image(reference, AGENT) for reference in _of(agent)]
    for mesh in meshes:
        own = [*mesh.images, *_of(mesh.pod_template)]
        own += [reference for obj in mesh.install_objects() for reference in _of(obj)]
        known = {_full(reference) for reference in mesh.images}
        found += [Image(reference, mesh.name) for reference in dict.fromkeys(own)
                  if reference in mesh.images or _full(reference) not in known]
    return tuple(dict.fromkeys(found))


def mirrored(reference: str, registry: str) -> str:
    """Return what an image is called in a mirror, `host/prefix`: its path is kept, its registry is replaced."""
    registry = registry.rstrip("/")
    if not registry or reference.startswith(f"{registry}/"):
        return reference
    host, slash, rest = reference.partition("/")
    named = bool(slash) and ("." in host or ":" in host or host == "localhost")
    return f"{registry}/{rest if named else reference}"


def through(registry: str, obj: Mapping[str, Any]) -> Object:
    """Return an object, or a pod template, that takes the images of its containers from a mirror, if any."""
    changed = copy.deepcopy(dict(obj))
    if registry:
        for container in _containers(changed):
            container["image"] = mirrored(str(container["image"]), registry)
    return changed


def _of(obj: Mapping[str, Any]) -> list[str]:
    return [str(container["image"]) for container in _containers(obj)]


def _containers(obj: Any) -> Iterator[dict[str, Any]]:
    """Yield every container below an object: what has an image and stands in a list of containers."""
    if isinstance(obj, list):
        for entry in obj:
            yield from _containers(entry)
    if isinstance(obj, Mapping):
        for key, value in obj.items():
            if key in _LISTS and isinstance(value, list):
                yield from (entry for entry in value if isinstance(entry, dict) and "image" in entry)
            else:
                yield from _containers(value)


def _full(reference: str) -> str:
    """Return a reference with the registry and path that Docker's short forms leave out."""
    host, slash, _ = reference.partition("/")
    if not slash:
        return f"docker.io/library/{reference}"
    return reference if "." in host or ":" in host or host == "localhost" else f"docker.io/{reference}"
