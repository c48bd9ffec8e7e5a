"""Where a run takes place: the embedded sandbox, or a cluster that was named. Nothing else knows which."""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conformance import dialect as dialects
from conformance import mesh as meshes
from conformance.cluster import Cluster, Object
from conformance.dialect import Dialect
from conformance.mesh import ControlPlane, Mesh
from conformance.options import Settings, default_kubeconfig
from conformance.waiting import NotConverged, NotYet, Progress, eventually

AVAILABLE_WITHIN: Final = 60.0


@contextmanager
def open_place(settings: Settings, progress: Progress | None = None) -> Iterator[Cluster]:
    """Give the cluster of a run, and take down at the end what was started for it.

    Raises ClusterError when a named cluster cannot be reached, SandboxError when the sandbox cannot start,
    MeshError when its mesh does not come up.
    """
    if settings.sandbox:
        with _sandbox(settings, progress) as cluster:
            yield cluster
        return
    cluster = Cluster.from_kubeconfig(settings.kubeconfig or default_kubeconfig(), settings.context)
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def _sandbox(settings: Settings, progress: Progress | None) -> Iterator[Cluster]:
    # Not at the top: a run on a named cluster needs none of the sandbox's machinery.
    from conformance.sandbox import Sandbox  # noqa: PLC0415
    from conformance.sandbox.conversion.install import WORKLOAD, Webhook  # noqa: PLC0415
    from conformance.sandbox.mutants import find  # noqa: PLC0415

    check_sandbox(settings)
    dialect = dialects.load(settings.smi)
    webhook = Webhook.create() if dialect.webhook else None
    definitions = webhook.called_by(dialect.definitions()) if webhook else dialect.definitions()
    if settings.mutant:
        definitions = find(settings.mutant).definitions(definitions)
    with Sandbox(crds=definitions) as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        try:
            for obj in webhook.objects() if webhook else ():
                cluster.apply(_told(obj, ["--mutant", settings.mutant] if settings.mutant else []))
            install(cluster, meshes.load(settings.meshes[0]), settings.mutant, progress, dialect=dialect)
            if webhook:
                _await(cluster, (WORKLOAD,), "the conversion webhook", progress)
            yield cluster
            if settings.keep:
                _stay(cluster)
        finally:
            cluster.close()


def check_sandbox(settings: Settings) -> None:
    """Make sure that the sandbox can do what is asked. Raises SandboxError without a working Envoy, MeshError."""
    from conformance.sandbox.kubelet.programs import envoy_binary  # noqa: PLC0415 - as above
    from conformance.sandbox.mutants import find  # noqa: PLC0415

    envoy_binary()
    if settings.mutant:
        find(settings.mutant)


def mesh_in(settings: Settings, name: str) -> Mesh:
    """Return a mesh as it is in that place: the sandbox's claims what is served there. Raises MeshError."""
    found = meshes.load(name)
    return dialects.load(settings.smi).spoken_by(found) if settings.sandbox else found


def _stay(cluster: Cluster) -> None:
    """Keep the sandbox until Ctrl-C. Past pytest's capture, because a person has to read it."""
    print(f"\nthe sandbox is kept until Ctrl-C: export KUBECONFIG={cluster.source}", file=sys.__stderr__, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def install(
    cluster: Cluster, mesh: Mesh, mutant: str = "", progress: Progress | None = None, *,
    dialect: Dialect | None = None,
) -> None:
    """Apply a mesh's manifests and wait until its control plane is available. Raises MeshError, ClusterError.

    `dialect` says which optional parts of the reference mesh are installed, and how it is set up.
    """
    for obj in _objects(mesh, mutant, dialect):
        cluster.apply(obj)
    _await(cluster, mesh.control_plane, f"the control plane of {mesh.title}", progress)


def _await(
    cluster: Cluster, workloads: tuple[ControlPlane, ...], what: str, progress: Progress | None,
) -> None:
    """Wait until workloads are available. Raises MeshError, ClusterError."""
    def available() -> None:
        for workload in workloads:
            found = cluster.get("apps/v1", workload.kind, workload.name, workload.namespace)
            status = found.get("status", {})
            if status.get("observedGeneration") != found["metadata"].get("generation"):
                raise NotYet(f"{workload.name} was not looked at yet")
            wanted = found["spec"].get("replicas", 1)
            if status.get("updatedReplicas", 0) < wanted or status.get("availableReplicas", 0) < wanted:
                raise NotYet(f"{workload.name}: {status.get('availableReplicas', 0)} of {wanted} pods are available")
            if status.get("replicas", 0) > wanted:
                raise NotYet(f"{workload.name}: the pods of an earlier version are still there")

    try:
        eventually(available, what=what, within=AVAILABLE_WITHIN, consecutive=1, longest=0.1, progress=progress)
    except NotConverged as error:
        raise meshes.MeshError(str(error)) from error


def _objects(mesh: Mesh, mutant: str, dialect: Dialect | None) -> list[Object]:
    objects = mesh.install_objects()
    arguments: list[str] = []
    if mutant:
        from conformance.sandbox.mutants import find  # noqa: PLC0415 - only a mutant needs them

        objects = find(mutant).manifests(objects)
        arguments += ["--mutant", mutant]
    if dialect is not None:
        objects = [obj for obj in objects if dialect.metrics or obj["kind"] != "APIService"]
        arguments += ["--access", dialect.access] if dialect.access != "deny" else []
    return [_told(obj, arguments) for obj in objects]


def _told(obj: Object, arguments: list[str]) -> Object:
    """Return an object with further arguments for its program, where it is a control plane's."""
    if obj["kind"] != "Deployment" or not arguments:
        return obj
    changed = copy.deepcopy(obj)
    container = changed["spec"]["template"]["spec"]["containers"][0]
    container["args"] = [*container.get("args", []), *arguments]
    return changed
