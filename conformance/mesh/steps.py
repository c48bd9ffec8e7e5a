"""What installs and removes a mesh, as data: manifests, a Helm chart, or a program and its arguments. Never a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from conformance.cluster import Object
from conformance.mesh.errors import MeshError


@dataclass(frozen=True)
class ManifestStep:
    """Files of manifests, applied in this order by the harness itself. They are in the mesh's own folder."""

    files: tuple[Path, ...]


@dataclass(frozen=True)
class HelmStep:
    """One Helm release. `repository` is an https:// or oci:// address, `version` that of the chart."""

    release: str
    chart: str
    repository: str
    version: str
    namespace: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class CommandStep:
    """One program, found on PATH, with its arguments.

    `applies_output`: what it prints is manifests, which the harness applies when it installs and deletes when it
    removes, as `linkerd install | kubectl apply -f -` does. Otherwise the program changes the cluster itself; it is
    told which by the environment variable KUBECONFIG.
    """

    program: str
    arguments: tuple[str, ...]
    applies_output: bool


Step = ManifestStep | HelmStep | CommandStep


def program_of(step: Step) -> str | None:
    """Return the program that a step needs on PATH, or None."""
    if isinstance(step, HelmStep):
        return "helm"
    return step.program if isinstance(step, CommandStep) else None


def load_manifests(file: Path) -> list[Object]:
    """Read the objects of a manifest file. Raises MeshError when one is not a Kubernetes object."""
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MeshError(f"{file} cannot be read as a manifest: {error}") from error
    objects = [document for document in documents if document is not None]
    for number, obj in enumerate(objects, 1):
        named = isinstance(obj, dict) and isinstance(obj.get("metadata"), dict) and obj["metadata"].get("name")
        if not named or not obj.get("apiVersion") or not obj.get("kind"):
            raise MeshError(f"{file}: document {number} is not a Kubernetes object: it needs apiVersion, kind "
                            "and metadata.name")
    return objects
