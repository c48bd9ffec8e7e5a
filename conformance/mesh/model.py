"""What the harness knows of a mesh, as read from its `mesh.yaml`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from conformance.cluster import Cluster, Object
from conformance.mesh.detection import Installation, Sign, find
from conformance.mesh.errors import MeshError
from conformance.mesh.patching import control_ports, merge
from conformance.mesh.steps import ManifestStep, Step, load_manifests, program_of
from conformance.smi import DEFINITIONS, RELEASED, RESOURCES

Status = Literal["maintained", "dormant", "archived", "retired"]
Basis = Literal["cluster", "documentation", "unverified"]

FACTS: Final = ("detect", "inject", "bypass", "host", "apis", "access", "metrics", "install")
"""The groups of facts in a `mesh.yaml` that are told how they are known."""


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
    """Labels and annotations that tell a mesh to treat a pod or namespace differently; false where there are none."""

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

    `setting` says to people how deny-by-default is turned on. `exempt` leaves a namespace out of it; without it, all of
    the mesh is under it. `ignorant` makes the proxy of a client pod not enforce policy itself, so that only the
    server's side does.
    """

    setting: str = ""
    exempt: Marks = field(default_factory=Marks)
    ignorant: Marks = field(default_factory=Marks)


@dataclass(frozen=True)
class Adapter:
    """Meshery's adapter for the mesh: its name, the port of its gRPC server and what Meshery says of its state."""

    name: str
    port: int
    status: str


@dataclass(frozen=True)
class MetricsPlace:
    """The Prometheus that a mesh brings along, or where it says that one is to be found, once `setting` is done."""

    service: str
    namespace: str
    port: int
    setting: str = ""


@dataclass(frozen=True)
class Evidence:
    """How a group of facts is known: seen on a cluster, read in documentation, or not verified at all."""

    basis: Basis = "unverified"
    source: str = ""


@dataclass(frozen=True)
class Leftover:
    """Objects that a mesh's own controllers make and do not take back, in any namespace or in none.

    Found by name, labels or both. Only whoever installed the mesh may delete them when it removes it.
    """

    api_version: str
    kind: str
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownFailure:
    """A requirement that the mesh is known to fail: why, where that is reported, and since which of its versions."""

    requirement: str
    reason: str
    link: str
    since: str


@dataclass(frozen=True)
class Mesh:
    """What the harness knows of a mesh.

    `name` is unique in a run: `istio`, or `istio@canary` for one of several instances. `convergence` is in seconds.
    `host` is how clients name a service where that is not cluster DNS. `plaintext` marks a pod whose traffic, in and
    out, the mesh does not encrypt although both sides have a sidecar. `bypass` marks a pod of which the mesh leaves
    the incoming traffic of some ports alone; `{ports}` in its values stands for them.

    `control_plane` is waited for after `install`. An empty `remove` means that what `install` applied is deleted in
    reverse order. `images` are those to mirror where a cluster cannot reach the registries. `relatives` are the signs
    of the usual one and of instances of any name, where there may be several.
    """

    name: str
    title: str
    directory: Path
    homepage: str
    status: Status
    status_source: str
    detect: tuple[Sign, ...]
    control_plane: tuple[ControlPlane, ...]
    namespace_labels: Mapping[str, str]
    namespace_annotations: Mapping[str, str]
    pod_template: Mapping[str, Any]
    proxy: Proxy | None
    host: str
    convergence: float
    apis: Mapping[str, tuple[str, ...]]
    install: tuple[Step, ...] = ()
    remove: tuple[Step, ...] = ()
    images: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    access: Access = field(default_factory=Access)
    plaintext: Marks = field(default_factory=Marks)
    bypass: Marks = field(default_factory=Marks)
    adapter: Adapter | None = None
    metrics: MetricsPlace | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    known_failing: tuple[KnownFailure, ...] = ()
    note: str = ""
    relatives: tuple[tuple[Sign, ...], ...] = ()

    @property
    def base(self) -> str:
        """The mesh's name without the instance: `istio` of `istio@canary`."""
        return self.name.partition("@")[0]

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that installing and removing it need on PATH."""
        needed = (program_of(step) for step in (*self.install, *self.remove))
        return tuple(dict.fromkeys(program for program in needed if program))

    def claims(self, group: str, version: str) -> bool:
        """Tell whether the mesh says that it implements a version of an API group.

        Who implements custom resources answers for their definitions as well.
        """
        if group == DEFINITIONS:
            return version in RELEASED[DEFINITIONS] and any(self.apis.get(known) for known in RESOURCES)
        return version in self.apis.get(group, ())

    def known(self, facts: str) -> Evidence:
        """Return how a group of facts is known; what nobody said is unverified."""
        return self.evidence.get(facts, Evidence())

    def inject(self, template: Mapping[str, Any], *, ignorant: bool = False, plaintext: bool = False) -> Object:
        """Return a pod template as part of the mesh. A namespace label or annotation may be needed as well.

        `ignorant`: its proxy shall not enforce policy, where the mesh has that. `plaintext`: traffic to and from it
        shall not be encrypted. Raises MeshError where the mesh cannot do that: what is measured of such a pod would
        be taken for something else. The ports named `control` are left out of what the mesh intercepts.
        """
        injected = copy.deepcopy(dict(template))
        merge(injected, self.pod_template)
        ports = ",".join(str(port) for port in control_ports(injected))
        if ports:
            merge(injected, _with_ports(self.bypass, ports).patch)
        if ignorant:
            merge(injected, self.access.ignorant.patch)
        if plaintext:
            if not self.plaintext:
                raise MeshError(f"{self.title} has no way to leave the traffic of a pod unencrypted: its mesh.yaml "
                                "has no 'plaintext'. Leave plaintext out for this mesh")
            merge(injected, self.plaintext.patch)
        return injected

    def installations(self, cluster: Cluster) -> tuple[Installation, ...]:
        """Return what of the mesh is in a cluster: more than one where several instances are. Raises ClusterError."""
        return find(cluster, self.detect)

    def kin(self, cluster: Cluster) -> tuple[Installation, ...]:
        """Return every instance of the mesh that is in a cluster, whatever it is called. Raises ClusterError."""
        found = (installation for signs in (self.detect, *self.relatives) for installation in find(cluster, signs))
        return tuple(dict.fromkeys(found))

    def version(self, cluster: Cluster) -> str | None:
        """Return the installed version (an image's tag), or None if the mesh is not installed. Raises ClusterError."""
        found = self.installations(cluster)
        return found[0].version if found else None

    def located(self, cluster: Cluster) -> Mesh:
        """Return the mesh with its control plane in the namespace where it was found. Raises ClusterError."""
        found = self.installations(cluster)
        if not found or not self.control_plane:
            return self
        home, there = self.control_plane[0].namespace, found[0].namespace
        if home in {installation.namespace for installation in found}:
            return self
        moved = tuple(replace(workload, namespace=there) if workload.namespace == home else workload
                      for workload in self.control_plane)
        return replace(self, control_plane=moved)

    def install_objects(self) -> list[Object]:
        """Return the objects of the manifests that install the mesh, in order. Raises MeshError."""
        return [obj for step in self.install if isinstance(step, ManifestStep)
                for file in step.files for obj in load_manifests(file)]


def _with_ports(marks: Marks, ports: str) -> Marks:
    return Marks({key: value.replace("{ports}", ports) for key, value in marks.labels.items()},
                 {key: value.replace("{ports}", ports) for key, value in marks.annotations.items()})
