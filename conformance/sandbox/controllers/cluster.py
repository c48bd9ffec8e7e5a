"""What a cluster has before anybody uses it: namespaces, the node, and the API server's own service."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, name_of, namespace_of, now
from conformance.sandbox.apiserver.resources import ENDPOINT_SLICES, NAMESPACES, NODES, SERVICES, Resource
from conformance.sandbox.controllers.endpoints import SERVICE_LABEL

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.store import Store

NODE: Final = "sandbox"
_PODS: Final = "500"


def populate(store: Store, *, host: str, port: int, version: str) -> None:
    """Make the objects that are missing; `host` and `port` are where the API server listens."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        _ensure(store, NAMESPACES, {"metadata": {"name": name}})
    _ensure(store, NODES, {"metadata": {"name": NODE, "labels": _labels()}, "spec": {}})
    set_node_status(store, ready=True, version=version)
    own = {"name": "kubernetes", "namespace": "default"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    _ensure(store, SERVICES, {"metadata": own, "spec": {"type": "ClusterIP", "ports": ports}})
    slice_ = {
        "metadata": {**own, "labels": {SERVICE_LABEL: "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    _ensure(store, ENDPOINT_SLICES, slice_)


def set_node_status(store: Store, *, ready: bool, version: str, message: str = "") -> None:
    """Write the node's status; a node that is not ready says why."""
    system = platform.uname()
    amounts = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki",
        "pods": _PODS,
    }
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "KubeletReady" if ready else "KubeletNotReady",
        "message": message or "the sandbox runs pods as processes",
        "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }
    status = {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [condition],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
        "nodeInfo": {
            "architecture": _architecture(),
            "bootID": "",
            "containerRuntimeVersion": f"process://{version.removeprefix('v')}",
            # Its numbers say what it can do; what a vendor adds says whose machine this is, and reports are published.
            "kernelVersion": re.match(r"[0-9.]*", system.release)[0].rstrip("."),  # type: ignore[index]
            "kubeProxyVersion": "",
            "kubeletVersion": version,
            "machineID": "",
            "operatingSystem": system.system.lower(),
            "osImage": "mesh-conformance sandbox",
            "systemUUID": "",
        },
    }

    def write(node: JSON) -> None:
        node["status"] = status

    store.modify(NODES, NODE, "", write, subresource="status")


def _labels() -> dict[str, str]:
    return {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": _architecture()}


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _ensure(store: Store, resource: Resource, obj: JSON) -> None:
    try:
        store.read(resource, name_of(obj), namespace_of(obj))
    except ApiError:
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        store.create(resource, full, namespace_of(obj))
