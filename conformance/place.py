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
from conformance.lifecycle import availability
from conformance.lifecycle.setup import Setup
from conformance.mesh import Mesh
from conformance.options import DEFAULT_MESH, Settings, default_kubeconfig
from conformance.waiting import Progress

AVAILABLE_WITHIN: Final = 60.0
"""Seconds for a control plane in the sandbox, where nothing has to be pulled."""


@contextmanager
def open_place(settings: Settings, progress: Progress | None = None) -> Iterator[Cluster]:
    """Give the cluster of a run, and take down at the end what was started for it.

    Raises ClusterError when a named cluster cannot be reached, SandboxError when the sandbox cannot start,
    ProvisionError when its mesh does not come up.
    """
    if settings.sandbox:
        with _sandbox(settings, progress) as cluster:
            yield cluster
        return
    cluster = named_cluster(settings)
    try:
        yield cluster
    finally:
        cluster.close()


def named_cluster(settings: Settings) -> Cluster:
    """Open the cluster that was named; close it in the end. Raises ClusterError when its credentials cannot be read."""
    if settings.in_cluster:
        return Cluster.in_pod(settings.in_cluster)
    return Cluster.from_kubeconfig(settings.kubeconfig or default_kubeconfig(), settings.context)


@contextmanager
def _sandbox(settings: Settings, progress: Progress | None) -> Iterator[Cluster]:
    # Not at the top: a run on a named cluster needs none of the sandbox's machinery.
    from conformance.sandbox import Sandbox  # noqa: PLC0415

    check_sandbox(settings)
    wanted = setup(settings, settings.meshes[0])
    with Sandbox(crds=wanted.definitions) as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        try:
            for obj in wanted.first:
                cluster.apply(obj)
            install(cluster, wanted.mesh, settings.mutant, progress, dialect=dialects.load(settings.smi))
            availability.wait(cluster, wanted.also, "the conversion webhook", within=AVAILABLE_WITHIN,
                              progress=progress)
            yield cluster
            if settings.keep:
                _stay(cluster)
        finally:
            cluster.close()


def setup(settings: Settings, name: str) -> Setup:
    """Return what is put on a cluster for a mesh; of the reference mesh what `--smi` and `--mutant` ask for.

    Raises MeshError.
    """
    mesh = meshes.load(name)
    if name != DEFAULT_MESH:
        return Setup(mesh)
    from conformance.sandbox.conversion.install import WORKLOAD, Webhook  # noqa: PLC0415 - only this mesh needs them
    from conformance.sandbox.mutants import find  # noqa: PLC0415 - as above

    dialect = dialects.load(settings.smi)
    webhook = Webhook.create() if dialect.webhook else None
    definitions = webhook.called_by(dialect.definitions()) if webhook else dialect.definitions()
    if settings.mutant:
        definitions = find(settings.mutant).definitions(definitions)
    arguments = ["--mutant", settings.mutant] if settings.mutant else []
    return Setup(
        mesh, tuple(definitions), exactly=definitions != dialects.load(Settings.smi).definitions(),
        first=tuple(_told(obj, arguments) for obj in (webhook.objects() if webhook else ())),
        also=(WORKLOAD,) if webhook else (),
        change=lambda objects: _changed(objects, settings.mutant, dialect),
    )


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
    # Elsewhere the mesh's own description says it, unless the run itself installs what --smi asks for.
    asked = settings.sandbox or (settings.provision and name == DEFAULT_MESH and settings.smi != Settings.smi)
    return dialects.load(settings.smi).spoken_by(found) if asked else found


def _stay(cluster: Cluster) -> None:
    """Keep the sandbox until Ctrl-C. Past pytest's capture, because a person has to read it."""
    print(f"\nthe sandbox is kept until Ctrl-C: export KUBECONFIG={cluster.source}", file=sys.__stderr__, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def install(
    cluster: Cluster, mesh: Mesh, mutant: str = "", progress: Progress | None = None, *,
    dialect: Dialect | None = None,
) -> None:
    """Apply a mesh's manifests and wait until its control plane is available. Raises ProvisionError, ClusterError.

    `dialect` says which optional parts of the reference mesh are installed, and how it is set up. Nothing is labelled:
    this is for a cluster that goes with the run.
    """
    for obj in _changed(mesh.install_objects(), mutant, dialect):
        cluster.apply(obj)
    availability.wait(cluster, mesh.control_plane, f"the control plane of {mesh.title}", within=AVAILABLE_WITHIN,
                      progress=progress)


def _changed(objects: list[Object], mutant: str, dialect: Dialect | None) -> list[Object]:
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
