"""What keeps an object that is being deleted from being gone, in words that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from conformance.cluster import Cluster, ClusterError, Object
from conformance.lifecycle import inventory
from conformance.lifecycle.inventory import Found

_SHOWN: Final = 8


def explain(cluster: Cluster, left: Sequence[Found]) -> list[str]:
    """Say of each object that is still there what it waits for."""
    lines = []
    for found in left[:_SHOWN]:
        try:
            now = cluster.json("GET", found.path)
        except ClusterError as error:
            lines.append(f"{found}: {error.found}")
            continue
        lines += _namespace(cluster, now) if found.kind.kind == "Namespace" else [f"{found}: {_waits_for(now)}"]
    if len(left) > _SHOWN:
        lines.append(f"and {len(left) - _SHOWN} more")
    return lines + unavailable_apis(cluster)


def unavailable_apis(cluster: Cluster, labels: str = "") -> list[str]:
    """Name the aggregated APIs whose servers do not answer: no namespace can be deleted while there is one."""
    try:
        services, _ = cluster.list("apiregistration.k8s.io/v1", "apiservices", labels=labels)
    except ClusterError:
        return []
    lines = []
    for service in services:
        condition: Object = next((entry for entry in (service.get("status") or {}).get("conditions") or ()
                                 if entry.get("type") == "Available"), {})
        if condition.get("status") != "True":
            why = f"{condition.get('reason')}: {condition.get('message')}" if condition else "not looked at yet"
            lines.append(f"APIService {service['metadata']['name']} is not available ({why}): repair or delete it")
    return lines


def _waits_for(obj: Object) -> str:
    finalizers = obj["metadata"].get("finalizers") or ()
    if not obj["metadata"].get("deletionTimestamp"):
        return "it is there again or still, and is not being deleted"
    if not finalizers:
        return "it is being deleted"
    return f"waits for {', '.join(finalizers)}; whose controller is gone cannot finish: remove that finalizer then"


def _namespace(cluster: Cluster, namespace: Object) -> list[str]:
    name = namespace["metadata"]["name"]
    told = [entry.get("message", "") for entry in (namespace.get("status") or {}).get("conditions") or ()
            if entry.get("status") == "True"]
    lines = [f"Namespace {name} is being deleted" + (f": {'; '.join(told)}" if told else "")]
    try:
        kinds, _ = inventory.resources(cluster)
    except ClusterError:
        return lines
    inside = inventory.objects(cluster, kinds, namespace=name)
    held = [found for found in inside.objects if found.obj["metadata"].get("finalizers")]
    lines += [f"  {found}: {_waits_for(found.obj)}" for found in held[:_SHOWN]]
    return lines + [f"  {unseen}: what cannot be listed keeps every namespace" for unseen in inside.unseen[:_SHOWN]]
