"""Installing a mesh on a cluster so that it can be taken away again without a trace, and taking it away."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from conformance.cluster import Cluster, ClusterError, NotFound, Object, describe
from conformance.lifecycle import availability, blocked, images, inventory, sharing, steps
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import MESH_LABEL, labelled, mesh_of, run_of, value_of
from conformance.lifecycle.setup import Setup
from conformance.lifecycle.undoing import undone
from conformance.lifecycle.uninstall import remove
from conformance.mesh import HelmStep, ManifestStep, Mesh
from conformance.topology import ProvisionError
from conformance.waiting import NotConverged, NotYet, Progress, eventually

AVAILABLE_WITHIN: Final = 300.0
"""Seconds for a control plane to come up: images may have to be pulled."""
ESTABLISHED_WITHIN: Final = 30.0
SERVED_WITHIN: Final = 60.0
_SHARED: Final = ("Namespace", "CustomResourceDefinition")
"""Kinds of which an object that was there before is used as it is, and left alone."""

Tell = Callable[[str], None]


@dataclass
class Installer:
    """Installs one mesh under one run's label. `registry` is the mirror that images are taken from, if any.

    `renews`: what an earlier run installed of the mesh is renewed. Otherwise it is a reason to refuse, for that run may
    still go on, and would take the mesh away from under this one.
    """

    cluster: Cluster
    setup: Setup
    registry: str = ""
    tell: Tell = print
    progress: Progress | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    renews: bool = False

    @property
    def mesh(self) -> Mesh:
        """The mesh."""
        return self.setup.mesh

    def refuse(self) -> None:
        """Raise ProvisionError where the mesh is there and not ours, or ours and not to be renewed."""
        if not self.mesh.install:
            raise ProvisionError(f"the harness does not know how {self.mesh.title} is installed: its mesh.yaml has no "
                                 "'install'. Install it yourself, and run without --provision")
        for found in self.mesh.installations(self.cluster):
            where = f"{self.mesh.title} {found.version} is there, in namespace {found.namespace} of {self.cluster.name}"
            if not self._is_ours(found.namespace, found.workload):
                raise ProvisionError(f"{where}, and mesh-conformance did not install it: it is left alone. "
                                     "To judge it, run without --provision")
            if not self.renews:
                raise ProvisionError(f"{where}, by `mesh-conformance provision`. To judge it, run without --provision; "
                                     f"to be rid of it: `mesh-conformance remove --mesh {self.mesh.name}`")
        for each in () if self.renews else self.standing():
            self._refuse_another_run(each.obj)

    def standing(self) -> tuple[Found, ...]:
        """Return what there is of the mesh by the harness, whichever run it was. Raises ClusterError."""
        return inventory.labelled(self.cluster, f"{MESH_LABEL}={value_of(self.mesh.name)}").objects

    def provision(self) -> None:
        """Install the mesh and wait until its control plane is available.

        What was applied stays when something fails; it carries the run's label. Raises ProvisionError, MeshError,
        ClusterError.
        """
        self._apply([_namespace(name) for name in self._homes()])
        if self.setup.exactly:
            self._own(self.setup.definitions)
        self._apply(self.setup.definitions)
        self._apply(self.setup.first)
        for step in self.mesh.install:
            found = steps.objects(step, self.cluster)
            self._apply(self.setup.change(found) if isinstance(step, ManifestStep) else found)
        availability.wait(self.cluster, (*self.mesh.control_plane, *self.setup.also),
                          f"the control plane of {self.mesh.title}", within=AVAILABLE_WITHIN, progress=self.progress,
                          lasting=True)
        self._aggregated()

    # --- objects ---

    def _homes(self) -> Sequence[str]:
        """The namespaces that charts and programs expect to be there: the control plane's first."""
        charts = [step.namespace for step in self.mesh.install if isinstance(step, HelmStep)]
        return list(dict.fromkeys([*(workload.namespace for workload in self.mesh.control_plane), *charts]))

    def _apply(self, objects: Sequence[Object]) -> None:
        """Apply objects: first namespaces and definitions, then the others in their order."""
        prepared = [self._prepare(obj) for obj in objects]
        shared = [obj for obj in prepared if obj["kind"] in _SHARED]
        self._put(shared)
        self._established([obj for obj in shared if obj["kind"] == _SHARED[1]])
        self._put([self._placed(obj) for obj in prepared if obj["kind"] not in _SHARED])

    def _prepare(self, obj: Object) -> Object:
        return labelled(images.through(self.registry, obj), self.run, self.mesh.name)

    def _placed(self, obj: Object) -> Object:
        """Return an object with the namespace that `kubectl apply -n` would give it."""
        try:
            namespaced = self.cluster.kind(obj["apiVersion"], obj["kind"]).namespaced
        except NotFound as error:
            raise ProvisionError(f"{describe(obj)} cannot be applied: {error.found}") from error
        metadata = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
        if namespaced:
            metadata["namespace"] = obj["metadata"].get("namespace") or next(iter(self._homes()), "default")
        return obj | {"metadata": metadata}

    def _put(self, objects: Sequence[Object]) -> None:
        standing = [self._standing(obj) for obj in objects]
        for obj, there in zip(objects, standing, strict=True):
            if there is not None and not self._ours(there) and not self._shared(there):
                raise ProvisionError(f"{describe(obj)} exists, and mesh-conformance did not make it: nothing of "
                                     f"{self.mesh.title} can take its place. Remove it, or choose another cluster")
            if there is not None and not self.renews and self._ours(there):
                self._refuse_another_run(there)
        for obj, there in zip(objects, standing, strict=True):
            if there is None:
                self._create(obj)
            elif self._ours(there):
                self.cluster.apply(obj)
            elif mesh_of(there):
                sharing.need(self.cluster, there, self.mesh.name, self.run)
                self.tell(f"{describe(obj)} is there for {mesh_of(there)}: it is used as it is, and goes with the last")
            else:
                self.tell(f"{describe(obj)} was there before: it is used as it is, and will be left alone")

    def _own(self, objects: Sequence[Object]) -> None:
        for obj in objects:
            there = self._standing(obj)
            if there is not None and not self._ours(there):
                raise ProvisionError(f"{describe(obj)} exists, and mesh-conformance did not make it: what --smi and "
                                     "--mutant ask for cannot be served beside it. Choose another cluster")

    def _standing(self, obj: Object) -> Object | None:
        metadata = obj["metadata"]
        try:
            there = self.cluster.get(obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace"))
        except NotFound:
            return None
        if there["metadata"].get("deletionTimestamp"):
            raise ProvisionError(f"{describe(obj)} is still being deleted. Wait until it is gone, or look at what "
                                 "blocks it with `mesh-conformance cleanup`")
        return there

    def _create(self, obj: Object) -> None:
        """Create an object, waiting for an admission webhook of the mesh itself to answer."""
        def created() -> None:
            try:
                self.cluster.create(obj)
            except ClusterError as error:
                if error.code >= 500 and "webhook" in error.found:
                    raise NotYet(error.found) from error
                raise

        try:
            eventually(created, what=f"a webhook to take {describe(obj)}", within=SERVED_WITHIN, consecutive=1,
                       progress=self.progress)
        except NotConverged as error:
            raise ProvisionError(str(error)) from error

    def _established(self, definitions: Sequence[Object]) -> None:
        def established() -> None:
            for obj in definitions:
                found = self.cluster.get(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
                conditions = {entry["type"]: entry for entry in (found.get("status") or {}).get("conditions") or ()}
                if conditions.get("Established", {}).get("status") != "True":
                    raise NotYet(f"{obj['metadata']['name']} is not established: {conditions.get('NamesAccepted')}")

        try:
            eventually(established, what="the definitions to be served", within=ESTABLISHED_WITHIN, consecutive=1,
                       progress=self.progress)
        except NotConverged as error:
            raise ProvisionError(str(error)) from error

    def _aggregated(self) -> None:
        """Wait for the APIs that the mesh's own servers answer. One that does not come is for the run to judge."""
        selector = f"{MESH_LABEL}={value_of(self.mesh.name)}"

        def available() -> None:
            lines = blocked.unavailable_apis(self.cluster, selector)
            if lines:
                raise NotYet("; ".join(lines))

        try:
            eventually(available, what="its aggregated APIs to be available", within=SERVED_WITHIN, consecutive=1,
                       progress=self.progress)
        except NotConverged as error:
            self.tell(f"{error.reason}. Going on without")

    # --- whose ---

    def _ours(self, obj: Object) -> bool:
        return mesh_of(obj) == value_of(self.mesh.name)

    def _refuse_another_run(self, there: Object) -> None:
        # A definition stays after its run where others' objects are in it: that alone is no sign of a run.
        if run_of(there) != self.run and there["kind"] != "CustomResourceDefinition":
            raise ProvisionError(
                f"{describe(there)} is there for {self.mesh.title} by run {run_of(there)}, which may still go on. "
                f"Wait for its end; where it was killed: `mesh-conformance cleanup --run {run_of(there)}`")

    def _shared(self, there: Object) -> bool:
        """Whether an object may be used as it is: of a kind that others have too, or of another instance."""
        return there["kind"] in _SHARED or mesh_of(there).partition("_")[0] == self.mesh.base

    def _is_ours(self, namespace: str, workload: str) -> bool:
        kinds = dict.fromkeys(sign.kind for sign in self.mesh.detect)
        for kind in kinds:
            try:
                if self._ours(self.cluster.get("apps/v1", kind, workload, namespace)):
                    return True
            except NotFound:
                continue
        return self._ours(self.cluster.get("v1", "Namespace", namespace))


@contextmanager
def provisioned(installer: Installer, *, keep: bool = False) -> Iterator[None]:
    """Have a mesh on a cluster as long as the context lasts; what this run made of it is removed, also after errors.

    Raises what installing and removing it raise. `keep` leaves it.
    """
    installer.refuse()

    def take_away() -> None:
        remove(installer.cluster, installer.mesh, run=installer.run, tell=installer.tell, progress=installer.progress)

    with undone(take_away, keep=keep):
        installer.provision()
        yield


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
