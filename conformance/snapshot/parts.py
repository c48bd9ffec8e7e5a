"""The parts of a snapshot, put together within a time and a size."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, Object
from conformance.mesh import Mesh
from conformance.snapshot.configuration import configuration
from conformance.snapshot.listing import Part, Reader
from conformance.snapshot.workloads import Workloads, workloads

TIME: Final = 20.0
"""Seconds that a snapshot may take; what is not read by then is left out."""
MAX_SIZE: Final = 96 * 1024
"""The most that it may take as JSON, in characters."""

_CAPACITY: Final = ("cpu", "memory", "pods", "ephemeral-storage")
_NODE: Final = ("kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "architecture",
                "operatingSystem")
_WEBHOOKS: Final = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def take(cluster: Cluster, meshes: Sequence[Mesh], *, within: float = TIME) -> dict[str, Any]:
    """Return what is in the cluster: the meshes with their configuration, the nodes, definitions and webhooks.

    Takes at most about `within` seconds and raises nothing: see the package.
    """
    reader = Reader(cluster, time.monotonic() + within)
    try:
        found = {
            "kubernetes": _kubernetes(cluster),
            "nodes": _nodes(reader),
            "meshes": {mesh.name: _mesh(reader, mesh) for mesh in meshes},
            "definitions": _definitions(reader),
            "webhooks": {plural: _webhooks(reader, plural) for plural in _WEBHOOKS},
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # An object that is not of the shape that the API promises. It costs the snapshot, not the run.
        return {"failed": f"an object in the cluster is not as the Kubernetes API says: {type(error).__name__}"}
    return _bounded(found)


def _kubernetes(cluster: Cluster) -> dict[str, str]:
    try:
        answer = cluster.json("GET", "/version", timeout=5.0, patience=0.0)
    except ClusterError:
        return {}
    return {key: str(answer[key]) for key in ("gitVersion", "platform") if answer.get(key)}


def _nodes(reader: Reader) -> Part:
    """Nodes without their names and addresses, those that are alike together."""
    listed = reader.read("v1", "nodes")
    alike = Counter(json.dumps(_node(node), sort_keys=True) for node in listed.objects)
    return listed.part([{"count": count, **json.loads(node)} for node, count in sorted(alike.items())])


def _node(node: Object) -> dict[str, Any]:
    status = node.get("status") or {}
    info, capacity = status.get("nodeInfo") or {}, status.get("capacity") or {}
    return {
        **{key: str(info[key]) for key in _NODE if key in info},
        "capacity": {key: str(capacity[key]) for key in _CAPACITY if key in capacity},
    }


def _mesh(reader: Reader, mesh: Mesh) -> dict[str, Any]:
    there = workloads(reader, mesh)
    return {"workloads": there.part, "configuration": _configuration(reader, there)}


def _configuration(reader: Reader, there: Workloads) -> dict[str, Part]:
    return {namespace: configuration(reader, namespace, names) for namespace, names in there.configuration.items()}


def _definitions(reader: Reader) -> Part:
    """CustomResourceDefinitions; each can be as large as a book, so few are asked for at once."""
    listed = reader.read("apiextensions.k8s.io/v1", "customresourcedefinitions", page=20)
    return listed.part(sorted(map(_definition, listed.objects), key=lambda item: item["name"]))


def _definition(definition: Object) -> dict[str, Any]:
    versions = definition["spec"].get("versions") or []
    return {
        "name": definition["metadata"]["name"],
        "served": [version["name"] for version in versions if version.get("served")],
        "storage": next((version["name"] for version in versions if version.get("storage")), ""),
    }


def _webhooks(reader: Reader, plural: str) -> Part:
    listed = reader.read("admissionregistration.k8s.io/v1", plural)
    return listed.part([
        {"name": found["metadata"]["name"], "webhooks": [hook["name"] for hook in found.get("webhooks") or []]}
        for found in listed.objects
    ])


# --- size ---


def _bounded(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what costs most and tells least, until it is small enough."""
    for shorten in (lambda: None, *_shorter(found)):
        shorten()
        if len(json.dumps(found)) <= MAX_SIZE:
            return found
    return {"kubernetes": found["kubernetes"], "failed": f"the snapshot is larger than {MAX_SIZE} characters"}


def _shorter(found: dict[str, Any]) -> Iterable[Callable[[], None]]:
    settings = [part for mesh in found["meshes"].values() for part in mesh["configuration"].values()]
    parts = [mesh["workloads"] for mesh in found["meshes"].values()]
    yield lambda: _without_values(settings)
    yield lambda: _cut(settings, 50)
    yield lambda: _cut([found["definitions"], *found["webhooks"].values()], 100)
    yield lambda: _cut([found["nodes"], *parts, *settings], 20)


def _without_values(parts: Iterable[Part]) -> None:
    for part in parts:
        for item in part["items"]:
            for kept in item["keys"].values():
                kept.pop("value", None)


def _cut(parts: Iterable[Part], most: int) -> None:
    for part in parts:
        if len(part["items"]) > most:
            part["items"], part["status"] = part["items"][:most], "cut"
            part["why"] = f"only the first {most}: all together are more than a report keeps"
