"""Where a run takes place: the embedded sandbox, or a cluster that was named. Nothing else knows which."""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conformance import mesh as meshes
from conformance import smi
from conformance.cluster import Cluster, Object
from conformance.mesh import Mesh
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

    check_sandbox(settings)
    with Sandbox(crds=smi.custom_resource_definitions(settings.smi)) as sandbox:
        cluster = Cluster.from_kubeconfig(sandbox.kubeconfig)
        try:
            install(cluster, meshes.load(settings.meshes[0]), settings.mutant, progress)
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


def _stay(cluster: Cluster) -> None:
    """Keep the sandbox until Ctrl-C. Past pytest's capture, because a person has to read it."""
    print(f"\nthe sandbox is kept until Ctrl-C: export KUBECONFIG={cluster.source}", file=sys.__stderr__, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def install(cluster: Cluster, mesh: Mesh, mutant: str = "", progress: Progress | None = None) -> None:
    """Apply a mesh's manifests and wait until its control plane is available. Raises MeshError, ClusterError."""
    for obj in mesh.install_objects():
        cluster.apply(_mutated(obj, mutant) if mutant else obj)

    def available() -> None:
        for workload in mesh.control_plane:
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
        eventually(available, what=f"the control plane of {mesh.title}", within=AVAILABLE_WITHIN, consecutive=1,
                   longest=0.1, progress=progress)
    except NotConverged as error:
        raise meshes.MeshError(str(error)) from error


def _mutated(obj: Object, mutant: str) -> Object:
    if obj["kind"] != "Deployment":
        return obj
    changed = copy.deepcopy(obj)
    container = changed["spec"]["template"]["spec"]["containers"][0]
    container["args"] = [*container.get("args", []), "--mutant", mutant]
    return changed
