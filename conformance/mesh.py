"""A mesh as data: how it is detected, installed, injected and addressed, and what it claims.

One folder per mesh, `fixtures/meshes/<name>/`, whose `mesh.yaml` is described by `schema/mesh.json`.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from conformance import described, paths
from conformance.cluster import Cluster, NotFound, Object
from conformance.smi import DEFINITIONS, RELEASED, RESOURCES


class MeshError(Exception):
    """A mesh is unknown, its description is wrong, or it could not be installed."""


@dataclass(frozen=True)
class ControlPlane:
    """A workload of the mesh that has to be available."""

    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class Proxy:
    """The sidecar that a mesh adds to a pod."""

    container: str
    admin_port: int | None = None


@dataclass(frozen=True)
class Marks:
    """Labels and annotations that tell a mesh to treat a pod differently; false where there are none."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.labels or self.annotations)

    @property
    def patch(self) -> Object:
        """The patch of a pod template that sets them; empty where there are none."""
        metadata = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        found = {key: value for key, value in metadata.items() if value}
        return {"metadata": found} if found else {}


@dataclass(frozen=True)
class Access:
    """How a mesh that implements TrafficTarget is told to deny by default, and where not to.

    `setting` says to people how deny-by-default is turned on. `exempt_labels` and `exempt_annotations` leave a
    namespace out of it; without any, all of the mesh is under it. `ignorant_labels` and `ignorant_annotations` make
    the proxy of a client pod that has them not enforce policy itself, so that only the server's side does.
    """

    setting: str = ""
    exempt_labels: Mapping[str, str] = field(default_factory=dict)
    exempt_annotations: Mapping[str, str] = field(default_factory=dict)
    ignorant_labels: Mapping[str, str] = field(default_factory=dict)
    ignorant_annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def exempts(self) -> bool:
        """Whether a namespace can be left out of deny-by-default."""
        return bool(self.exempt_labels or self.exempt_annotations)

    @property
    def ignorance(self) -> Object:
        """The patch of a pod template that makes its proxy ignore policy; empty where there is no such thing."""
        return Marks(self.ignorant_labels, self.ignorant_annotations).patch


@dataclass(frozen=True)
class Mesh:
    """What the harness knows of a mesh.

    `convergence` is in seconds. `host` is how clients name a service where that is not cluster DNS. `plaintext` marks
    a pod whose traffic, in and out, the mesh does not encrypt although both sides have a sidecar.
    """

    name: str
    title: str
    directory: Path
    control_plane: tuple[ControlPlane, ...]
    namespace_labels: Mapping[str, str]
    namespace_annotations: Mapping[str, str]
    pod_template: Mapping[str, Any]
    proxy: Proxy | None
    host: str
    convergence: float
    apis: Mapping[str, tuple[str, ...]]
    manifests: tuple[str, ...]
    access: Access = field(default_factory=Access)
    plaintext: Marks = field(default_factory=Marks)

    def claims(self, group: str, version: str) -> bool:
        """Tell whether the mesh says that it implements a version of an API group.

        Who implements custom resources answers for their definitions as well.
        """
        if group == DEFINITIONS:
            return version in RELEASED[DEFINITIONS] and any(self.apis.get(known) for known in RESOURCES)
        return version in self.apis.get(group, ())

    def inject(self, template: Mapping[str, Any], *, ignorant: bool = False, plaintext: bool = False) -> Object:
        """Return a pod template as part of the mesh. A namespace label or annotation may be needed as well.

        `ignorant`: its proxy shall not enforce policy, where the mesh has that. `plaintext`: traffic to and from it
        shall not be encrypted. Raises MeshError where the mesh cannot do that: what is measured of such a pod would
        be taken for something else.
        """
        injected = copy.deepcopy(dict(template))
        _merge(injected, self.pod_template)
        if ignorant:
            _merge(injected, self.access.ignorance)
        if plaintext:
            if not self.plaintext:
                raise MeshError(f"{self.title} has no way to leave the traffic of a pod unencrypted: its mesh.yaml "
                                "has no 'plaintext'. Leave plaintext out for this mesh")
            _merge(injected, self.plaintext.patch)
        return injected

    def version(self, cluster: Cluster) -> str | None:
        """Return the installed version (the control plane's image tag), or None if it is not installed."""
        versions = []
        for workload in self.control_plane:
            try:
                found = cluster.get("apps/v1", workload.kind, workload.name, workload.namespace)
            except NotFound:
                return None
            image = found["spec"]["template"]["spec"]["containers"][0]["image"]
            versions.append(image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else "untagged")
        return versions[0]

    def install_objects(self) -> list[Object]:
        """Return the objects that install the mesh, in order."""
        return [obj for file in self.manifests for obj in load_manifests(self.directory / file)]


@cache
def load(name: str) -> Mesh:
    """Return the mesh of that name, or the one that the path to a `mesh.yaml` describes. Raises MeshError."""
    file = Path(name) if name.endswith(".yaml") else paths.fixtures() / "meshes" / name / "mesh.yaml"
    if not file.is_file():
        if name.endswith(".yaml"):
            raise MeshError(f"there is no mesh description at {name}")
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise MeshError(f"unknown mesh {name!r}.{hint} Known are: {', '.join(names())}; or name a mesh.yaml")
    return parse(file)


def names() -> list[str]:
    """Return the names of all meshes that the harness knows."""
    return sorted(file.parent.name for file in (paths.fixtures() / "meshes").glob("*/mesh.yaml"))


def parse(file: Path) -> Mesh:
    """Read and validate one `mesh.yaml`. Raises MeshError naming the file and the field."""
    data = described.read(file, "mesh.json", MeshError)
    inject = data["inject"]
    patch = described.read_yaml(file.parent / inject["pod_template"], MeshError) if "pod_template" in inject else {}
    return Mesh(
        name=data["name"], title=data["title"], directory=file.parent,
        control_plane=tuple(ControlPlane(**workload) for workload in data["detect"]),
        namespace_labels=inject.get("namespace", {}).get("labels", {}),
        namespace_annotations=inject.get("namespace", {}).get("annotations", {}),
        pod_template=patch,
        proxy=Proxy(**data["proxy"]) if "proxy" in data else None,
        host=data.get("host", ""), convergence=float(data["convergence"]),
        apis={group: tuple(versions) for group, versions in data["apis"].items()},
        manifests=tuple(data.get("install", ())),
        access=_access(data.get("access", {})),
        plaintext=Marks(**data.get("plaintext", {})),
    )


def _access(data: Mapping[str, Any]) -> Access:
    exempt, ignorant = data.get("exempt", {}), data.get("ignorant", {})
    return Access(data.get("setting", ""), exempt.get("labels", {}), exempt.get("annotations", {}),
                  ignorant.get("labels", {}), ignorant.get("annotations", {}))


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


def _merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Merge a pod template's patch: maps by key, lists of named things by name, other lists by appending."""
    for key, value in patch.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(target.get(key), list):
            _merge_list(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def _merge_list(target: list[Any], patch: Sequence[Any]) -> None:
    named = {entry["name"]: entry for entry in target if isinstance(entry, dict) and "name" in entry}
    for entry in patch:
        if isinstance(entry, Mapping) and entry.get("name") in named:
            _merge(named[entry["name"]], entry)
        else:
            target.append(copy.deepcopy(entry))
