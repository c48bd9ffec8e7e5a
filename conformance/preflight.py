"""What is there before anything runs: versions, meshes, served APIs, and what of the selection applies."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tabulate import tabulate

from conformance import mesh as meshes
from conformance import smi
from conformance.cluster import Cluster, ClusterError
from conformance.options import Settings
from conformance.place import open_place
from conformance.report.model import Component, MeshUnderTest
from conformance.requirement import Requirement
from conformance.run import Surroundings
from conformance.smi import ServedApis
from conformance.topology import Topology


def look_around(cluster: Cluster, topology: Topology, apis: ServedApis) -> Surroundings:
    """Read the versions of everything that a record's header names."""
    mesh = topology.mesh
    version = mesh.version(cluster) or "unknown"
    return Surroundings(cluster.version(), (MeshUnderTest(mesh.name, version, _proxy(topology)),), apis)


def preview(settings: Settings, rows: Sequence[Requirement]) -> str:
    """Say what would run and what not, and why. Raises what opening the cluster raises."""
    with open_place(settings) as cluster:
        apis = smi.served_apis(cluster)
        found = [meshes.load(name) for name in settings.meshes]
        installed = {mesh.name: mesh.version(cluster) for mesh in found}
        table = [
            (row.id, row.level.value, mesh.name, _prospect(row, mesh, installed[mesh.name], apis))
            for mesh in found for row in rows
        ]
        lines = [f"Kubernetes {cluster.version()}"]
        lines += [f"{group}: serves {', '.join(versions)}" for group, versions in apis.served.items()]
        lines += [f"{name}: {version or 'not installed'}" for name, version in installed.items()]
    return "\n".join([*lines, "", tabulate(table, ("requirement", "level", "mesh", "would"), tablefmt="simple")])


def _prospect(row: Requirement, mesh: meshes.Mesh, installed: str | None, apis: ServedApis) -> str:
    version = apis.version(row.api)
    if installed is None:
        return "end in an error: the mesh is not installed"
    if version is None:
        return f"be unsupported: {row.api} is not served"
    if not mesh.claims(row.api, version):
        return f"be unsupported: the mesh does not claim {row.api}/{version}"
    if not row.applies_to(version):
        return f"be not-applicable: {version} has no such requirement"
    return "be judged" if row.judged else "be observed"


def _proxy(topology: Topology) -> Component | None:
    """Ask a sidecar for its version, where the mesh says how; Envoy's admin interface answers `/server_info`."""
    mesh = topology.mesh
    if mesh.proxy is None or mesh.proxy.admin_port is None:
        return None
    pod = topology.pod("client")
    try:
        answer = topology.cluster.pod_proxy(pod.namespace, pod.name, mesh.proxy.admin_port, "GET", "/server_info")
        return Component("envoy", str(json.loads(answer)["version"]).split("/")[1])
    except (ClusterError, ValueError, KeyError, IndexError):
        return Component("envoy", "unknown")
