"""What is there before anything runs: versions, meshes, served APIs, and what of the selection applies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tabulate import tabulate

from conformance import smi
from conformance.cluster import Cluster, ClusterError
from conformance.mesh import Mesh
from conformance.options import Settings
from conformance.outcome import Outcome
from conformance.place import mesh_in, open_place
from conformance.report.model import Component, MeshUnderTest
from conformance.requirement import Requirement
from conformance.run import UNKNOWN, Surroundings
from conformance.smi import ACCESS, DEFINITIONS, GATEWAY, RESOURCES, SPECS, SPLIT, ServedApis
from conformance.topology import Topology

_SUBJECTS: Final[Mapping[str, str]] = {
    "SPLIT": "TrafficSplit", "TARGET": "TrafficTarget", "HRG": "HTTPRouteGroup", "TCP": "TCPRoute", "UDP": "UDPRoute",
    "ROUTE": "HTTPRoute",
    "CRD-006": "HTTPRouteGroup", "CRD-007": "HTTPRouteGroup", "CRD-008": "TCPRoute",
}
"""The kind that the requirements of an id's group, or one of them, are about."""

_MAKERS: Final[Mapping[str, tuple[str, str]]] = {
    "split": (SPLIT, "TrafficSplit"), "target": (ACCESS, "TrafficTarget"), "routes": (SPECS, "HTTPRouteGroup"),
    "rules": (SPECS, "HTTPRouteGroup"), "route": (GATEWAY, "HTTPRoute"),
}
"""The fixtures that make objects, with group and kind: what a check cannot do without."""


def look_around(
    cluster: Cluster, versions: Mapping[str, str | None], apis: ServedApis, topology: Topology | None = None,
    policy: str = "", snapshot: Mapping[str, Any] | None = None,
) -> Surroundings:
    """Return what a record's header names.

    `versions` has all meshes of the run, as far as they are known. The proxy of the mesh of `topology` is asked for its
    version as well; `policy` is what was found of that mesh's mode.
    """
    found = {name: MeshUnderTest(name, version or UNKNOWN) for name, version in versions.items()}
    if topology is not None:
        mesh = topology.mesh
        found[mesh.name] = MeshUnderTest(mesh.name, mesh.version(cluster) or UNKNOWN, _proxy(topology), policy)
    return Surroundings(cluster.version(), tuple(found.values()), apis, snapshot)


def preview(settings: Settings, rows: Mapping[Requirement, Iterable[str]]) -> str:
    """Say what would run and what not, and why. `rows` has the fixtures that the check of each requirement uses.

    Raises what opening the cluster raises.
    """
    with open_place(settings) as cluster:
        served = smi.served_apis(cluster)
        found = [mesh_in(settings, name) for name in settings.meshes]
        installed = {mesh.name: mesh.version(cluster) for mesh in found}
        apis = {mesh.name: smi.served_apis(cluster, mesh.claims) for mesh in found}
        table = [
            (row.id, row.level.value, mesh.name, _prospect(row, fixtures, mesh, installed[mesh.name], apis[mesh.name])
             if installed[mesh.name] or not settings.provision else "be known once the mesh is installed")
            for mesh in found for row, fixtures in rows.items()
        ]
        lines = [f"Kubernetes {cluster.version()}"]
        lines += [f"{group}: serves {', '.join(versions)}" for group, versions in served.served.items()]
        lines += [f"{name}: {version or 'not installed'}" for name, version in installed.items()]
    return "\n".join([*lines, "", tabulate(table, ("requirement", "level", "mesh", "would"), tablefmt="simple")])


def obstacle(
    row: Requirement, fixtures: Iterable[str], mesh: Mesh, apis: ServedApis,
) -> tuple[Outcome, str] | None:
    """Return why a mesh cannot be held to a requirement, or None. `fixtures` are those that the check uses."""
    version = apis.version(row.api)
    if unclaimed := _unclaimed(mesh, row.api, version):
        return Outcome.UNSUPPORTED, unclaimed
    if version is None:
        unknown = apis.unknown(row.api)
        strange = f"serves only {', '.join(unknown)}, which no release of {_project(row.api)} has"
        found = strange if unknown else "does not serve it"
        return Outcome.UNSUPPORTED, f"{row.api}: the cluster {found}"
    if not row.applies_to(version):
        return Outcome.NOT_APPLICABLE, f"{row.api}/{version} has no such requirement"
    for group, kind in _needs(row, fixtures):
        served = apis.version(group, kind)
        if served is None:
            released = f"that {_project(group)} has released"
            return Outcome.UNSUPPORTED, f"the cluster serves {kind} in no version of {group} {released}"
        if not mesh.claims(group, served):
            return Outcome.UNSUPPORTED, f"the check needs a {kind}, and {mesh.title} does not claim {group}/{served}"
    return None


def _unclaimed(mesh: Mesh, group: str, version: str | None) -> str:
    """Say that a mesh does not claim what the cluster serves of an API, or nothing of that API whatever is served."""
    if group == DEFINITIONS and not any(mesh.apis.get(resource) for resource in RESOURCES):
        return f"{mesh.title} claims none of SMI's kinds, so that their definitions are not its own"
    if group != DEFINITIONS and not mesh.apis.get(group):
        return f"{mesh.title} claims no version of {group}"
    return f"{mesh.title} does not claim {group}/{version}" if version and not mesh.claims(group, version) else ""


def _project(group: str) -> str:
    return "the Gateway API" if group == GATEWAY else "SMI"


def _needs(row: Requirement, fixtures: Iterable[str]) -> list[tuple[str, str]]:
    subject = _SUBJECTS.get(row.id, _SUBJECTS.get(row.group))
    needs = [(row.api, subject)] if subject else []
    # A rule on TCP or UDP needs that kind of route alone.
    used = [name for name in fixtures if name in _MAKERS and not (name == "rules" and row.group in ("TCP", "UDP"))]
    return needs + [_MAKERS[name] for name in used]


def _prospect(
    row: Requirement, fixtures: Iterable[str], mesh: Mesh, installed: str | None, apis: ServedApis,
) -> str:
    if installed is None:
        return "end in an error: the mesh is not installed"
    found = obstacle(row, fixtures, mesh, apis)
    if found is not None:
        return f"be {found[0]}: {found[1]}"
    return "be judged" if row.judged else "be observed"


def _proxy(topology: Topology) -> Component | None:
    """Ask a sidecar for its version, where the mesh says how; Envoy's admin interface answers `/server_info`."""
    mesh = topology.mesh
    if mesh.proxy is None or mesh.proxy.admin_port is None or not topology.deployed:
        return None
    pod = topology.pod("client")
    try:
        answer = topology.cluster.pod_proxy(pod.namespace, pod.name, mesh.proxy.admin_port, "GET", "/server_info")
        return Component("envoy", str(json.loads(answer)["version"]).split("/")[1])
    except (ClusterError, ValueError, KeyError, IndexError):
        return Component("envoy", "unknown")
