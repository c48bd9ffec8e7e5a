"""The workloads of a mesh as a snapshot has them: images with their digests, replicas, arguments and environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.cluster import ClusterError, Object
from conformance.mesh import Mesh
from conformance.snapshot.listing import Listing, Part, Reader
from conformance.snapshot.masking import OMITTED, secret_looking, secret_name, without_addresses, words

_PLURALS: Final = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}
_SHARED: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
"""Namespaces that are not a mesh's own: only what is known to be the mesh's is looked at there."""
_MAX_NAMESPACES: Final = 8
_MAX_VALUE: Final = 256


@dataclass(frozen=True)
class Workloads:
    """The workloads, and by namespace the names of the ConfigMaps that are the mesh's; `None` stands for all."""

    part: Part
    configuration: Mapping[str, frozenset[str] | None]


def workloads(reader: Reader, mesh: Mesh) -> Workloads:
    """Read the workloads in the namespaces of a mesh's control plane."""
    items: list[dict[str, Any]] = []
    listings: list[Listing] = []
    configuration: dict[str, frozenset[str] | None] = {}
    for namespace in _namespaces(reader, mesh):
        pods = reader.read("v1", "pods", namespace)
        digests = _digests(pods.objects)
        referred: set[str] = set()
        for kind, plural in _PLURALS.items():
            listed = reader.read("apps/v1", plural, namespace)
            listings.append(listed)
            for found in listed.objects:
                if namespace in _SHARED and not _is_part(mesh, kind, found):
                    continue
                items.append(_workload(kind, namespace, found, digests))
                referred |= set(_referred(found["spec"]["template"]["spec"]))
        configuration[namespace] = frozenset(referred) if namespace in _SHARED else None
    # A cluster that does not serve a kind has no workload of it.
    worst = next((listed for listed in listings if listed.status not in ("read", "not-served")), Listing([]))
    return Workloads(worst.part(items), configuration)


def _namespaces(reader: Reader, mesh: Mesh) -> list[str]:
    names = [workload.namespace for workload in mesh.control_plane]
    with contextlib.suppress(ClusterError):  # what may not be looked for is not found; a run that needs it says so
        names += [installation.namespace for installation in mesh.installations(reader.cluster)]
    return list(dict.fromkeys(names))[:_MAX_NAMESPACES]


def _is_part(mesh: Mesh, kind: str, found: Object) -> bool:
    name, labels = found["metadata"]["name"], found["metadata"].get("labels") or {}
    if any((part.kind, part.name) == (kind, name) for part in mesh.control_plane):
        return True
    return any(sign.kind == kind and sign.name in ("", name) and sign.labels.items() <= labels.items()
               for sign in mesh.detect)


def _workload(kind: str, namespace: str, found: Object, digests: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    spec, status = found["spec"], found.get("status") or {}
    pod = spec["template"]["spec"]
    return {
        "kind": kind, "namespace": namespace, "name": found["metadata"]["name"],
        "replicas": spec.get("replicas", status.get("desiredNumberScheduled", 1)),
        "ready": status.get("readyReplicas", status.get("numberReady", 0)),
        "containers": [
            _container(entry, digests, init=init)
            for init, field in ((True, "initContainers"), (False, "containers")) for entry in pod.get(field) or []
        ],
    }


def _container(entry: Object, digests: Mapping[tuple[str, str], str], *, init: bool) -> dict[str, Any]:
    digest = digests.get((entry["name"], entry["image"]), "")
    return {
        "name": entry["name"], "image": entry["image"],
        **({"digest": digest} if digest else {}),
        **({"init": True} if init else {}),
        **({"command": words(entry["command"])} if entry.get("command") else {}),
        **({"args": words(entry["args"])} if entry.get("args") else {}),
        **({"env": [_variable(variable) for variable in entry["env"]]} if entry.get("env") else {}),
    }


def _variable(variable: Object) -> dict[str, str]:
    name = str(variable["name"])
    source = variable.get("valueFrom")
    if source:
        return {"name": name, "from": next(iter(source), "")}
    value = str(variable.get("value") or "")
    if value and (secret_name(name) or secret_looking(value)):
        return {"name": name, "value": OMITTED}
    return {"name": name, "value": without_addresses(value)[:_MAX_VALUE]}


def _digests(pods: Iterable[Object]) -> dict[tuple[str, str], str]:
    """Return which digest runs by container and image. A tag can be moved, a digest cannot."""
    found: dict[tuple[str, str], str] = {}
    for pod in pods:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        images = {entry["name"]: entry["image"] for field in ("initContainers", "containers")
                  for entry in spec.get(field) or []}
        for field in ("initContainerStatuses", "containerStatuses"):
            for entry in status.get(field) or []:
                digest = str(entry.get("imageID") or "").rpartition("@")[2]
                if digest.startswith("sha256:") and entry["name"] in images:
                    found[entry["name"], images[entry["name"]]] = digest
    return found


def _referred(pod: Object) -> Iterator[str]:
    """Name the ConfigMaps that a pod refers to."""
    for volume in pod.get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        yield from (source["configMap"]["name"] for source in sources if source.get("configMap"))
    for field in ("initContainers", "containers"):
        for entry in pod.get(field) or []:
            yield from (source["configMapRef"]["name"] for source in entry.get("envFrom") or []
                        if source.get("configMapRef"))
            for variable in entry.get("env") or []:
                key = (variable.get("valueFrom") or {}).get("configMapKeyRef")
                if key:
                    yield key["name"]
