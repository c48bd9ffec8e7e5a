"""The columns in which kubectl shows the built-in kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from conformance.sandbox.apiserver import resources
from conformance.sandbox.apiserver.objects import JSON, dig, name_of, parse_time
from conformance.sandbox.apiserver.podstatus import pod_ready, pod_restarts, pod_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.sandbox.apiserver.resources import Key, Resource

    Definition: TypeAlias = tuple[str, str, int, Callable[[JSON], Any]]

_NONE = "<none>"


def duration(span: timedelta) -> str:
    """An age as kubectl writes it: 5s, 3m20s, 45m, 5h10m, 3d4h, 20d."""
    seconds = int(span.total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps = (
        (seconds < 120, f"{max(seconds, 0)}s"),
        (minutes < 10, _pair(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _pair(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (days < 8, _pair(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (True, _pair(days // 365, "y", days % 365, "d")),
    )
    return next(text for fits, text in steps if fits)


def _pair(high: int, unit: str, low: int, subunit: str) -> str:
    return f"{high}{unit}{low}{subunit}" if low else f"{high}{unit}"


def since(text: Any) -> str:
    moment = parse_time(text) if isinstance(text, str) else None
    return duration(datetime.now(UTC) - moment) if moment else "<unknown>"


def age(obj: JSON) -> str:
    return since(obj["metadata"].get("creationTimestamp"))


def plain(value: Any) -> Any:
    """A scalar as kubectl writes it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _at(path: str, default: Any = _NONE) -> Callable[[JSON], Any]:
    def cell(obj: JSON) -> Any:
        value = dig(obj, path)
        return default if value in (None, "") else value

    return cell


def _count(path: str) -> Callable[[JSON], Any]:
    return lambda obj: len(dig(obj, path) or ())


def _selector(path: str) -> Callable[[JSON], str]:
    return lambda obj: ",".join(f"{key}={value}" for key, value in (dig(obj, path) or {}).items()) or _NONE


def _containers(field: str) -> Callable[[JSON], str]:
    return lambda obj: ",".join(str(item.get(field)) for item in dig(obj, "spec.template.spec.containers") or [])


def _node_port(port: JSON) -> str:
    return f":{port['nodePort']}" if port.get("nodePort") else ""


def _service_ports(obj: JSON) -> str:
    shown = [f"{port['port']}{_node_port(port)}/{port.get('protocol', 'TCP')}" for port in dig(obj, "spec.ports") or []]
    return ",".join(shown) or _NONE


def _external(obj: JSON) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    if spec.get("type") == "LoadBalancer":
        ingress = dig(obj, "status.loadBalancer.ingress") or []
        return ",".join(str(item.get("ip") or item.get("hostname")) for item in ingress) or "<pending>"
    return ",".join(spec.get("externalIPs") or []) or _NONE


def _few(items: list[str], most: int = 3) -> str:
    more = f" + {len(items) - most} more..." if len(items) > most else ""
    return (",".join(items[:most]) + more) or _NONE


def _endpoints(obj: JSON) -> str:
    pairs = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or []
        for port in subset.get("ports") or []
        for address in subset.get("addresses") or []
    ]
    return _few(pairs)


def _slice_addresses(obj: JSON) -> str:
    return _few([address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses") or []])


def _slice_ports(obj: JSON) -> str:
    return _few([str(port.get("port")) for port in obj.get("ports") or []]).replace(_NONE, "<unset>")


def _node_status(obj: JSON) -> str:
    ready = [item for item in dig(obj, "status.conditions") or [] if item.get("type") == "Ready"]
    status = "Unknown" if not ready else "Ready" if ready[0].get("status") == "True" else "NotReady"
    return status + (",SchedulingDisabled" if dig(obj, "spec.unschedulable") else "")


def _node_roles(obj: JSON) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(label.removeprefix(prefix) for label in labels if label.startswith(prefix)) or _NONE


def _node_address(kind: str) -> Callable[[JSON], str]:
    return lambda obj: next(
        (str(item["address"]) for item in dig(obj, "status.addresses") or [] if item.get("type") == kind), _NONE
    )


def _event_object(obj: JSON) -> str:
    about = obj.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _event_last(obj: JSON) -> str:
    series = (obj.get("series") or {}).get("lastObservedTime")
    return since(series or obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"]["creationTimestamp"])


def _api_service(obj: JSON) -> str:
    service = dig(obj, "spec.service")
    return f"{service.get('namespace')}/{service.get('name')}" if service else "Local"


def _api_available(obj: JSON) -> str:
    for condition in dig(obj, "status.conditions") or []:
        if condition.get("type") == "Available":
            reason = "" if condition["status"] == "True" else f" ({condition.get('reason')})"
            return f"{condition['status']}{reason}"
    return "Unknown"


_NAME: Definition = ("Name", "string", 0, name_of)
_AGE: Definition = ("Age", "string", 0, age)
_CREATED: Definition = ("Created At", "date", 0, _at("metadata.creationTimestamp"))
_TEMPLATE: tuple[Definition, ...] = (
    ("Containers", "string", 1, _containers("name")),
    ("Images", "string", 1, _containers("image")),
    ("Selector", "string", 1, _selector("spec.selector.matchLabels")),
)

_COLUMNS: dict[Key, tuple[Definition, ...]] = {
    resources.PODS.key: (
        _NAME,
        ("Ready", "string", 0, pod_ready),
        ("Status", "string", 0, pod_status),
        ("Restarts", "string", 0, lambda obj: pod_restarts(obj, since)),
        _AGE,
        ("IP", "string", 1, _at("status.podIP")),
        ("Node", "string", 1, _at("spec.nodeName")),
        ("Nominated Node", "string", 1, _at("status.nominatedNodeName")),
        ("Readiness Gates", "string", 1, lambda _: _NONE),
    ),
    resources.DEPLOYMENTS.key: (
        _NAME,
        ("Ready", "string", 0, lambda obj: f"{dig(obj, 'status.readyReplicas') or 0}/{obj['spec']['replicas']}"),
        ("Up-to-date", "integer", 0, _at("status.updatedReplicas", 0)),
        ("Available", "integer", 0, _at("status.availableReplicas", 0)),
        _AGE,
        *_TEMPLATE,
    ),
    resources.REPLICA_SETS.key: (
        _NAME,
        ("Desired", "integer", 0, _at("spec.replicas", 0)),
        ("Current", "integer", 0, _at("status.replicas", 0)),
        ("Ready", "integer", 0, _at("status.readyReplicas", 0)),
        _AGE,
        *_TEMPLATE,
    ),
    resources.JOBS.key: (
        _NAME,
        ("Completions", "string", 0, lambda obj: f"{dig(obj, 'status.succeeded') or 0}/{obj['spec']['completions']}"),
        _AGE,
        *_TEMPLATE,
    ),
    resources.SERVICES.key: (
        _NAME,
        ("Type", "string", 0, _at("spec.type")),
        ("Cluster-IP", "string", 0, _at("spec.clusterIP")),
        ("External-IP", "string", 0, _external),
        ("Port(s)", "string", 0, _service_ports),
        _AGE,
        ("Selector", "string", 1, _selector("spec.selector")),
    ),
    resources.ENDPOINTS.key: (_NAME, ("Endpoints", "string", 0, _endpoints), _AGE),
    resources.ENDPOINT_SLICES.key: (
        _NAME,
        ("AddressType", "string", 0, _at("addressType")),
        ("Ports", "string", 0, _slice_ports),
        ("Endpoints", "string", 0, _slice_addresses),
        _AGE,
    ),
    resources.NAMESPACES.key: (_NAME, ("Status", "string", 0, _at("status.phase")), _AGE),
    resources.NODES.key: (
        _NAME,
        ("Status", "string", 0, _node_status),
        ("Roles", "string", 0, _node_roles),
        _AGE,
        ("Version", "string", 0, _at("status.nodeInfo.kubeletVersion", "")),
        ("Internal-IP", "string", 1, _node_address("InternalIP")),
        ("External-IP", "string", 1, _node_address("ExternalIP")),
        ("OS-Image", "string", 1, _at("status.nodeInfo.osImage", "<unknown>")),
        ("Kernel-Version", "string", 1, _at("status.nodeInfo.kernelVersion", "<unknown>")),
        ("Container-Runtime", "string", 1, _at("status.nodeInfo.containerRuntimeVersion", "<unknown>")),
    ),
    resources.CONFIG_MAPS.key: (
        _NAME,
        ("Data", "integer", 0, lambda obj: len(obj.get("data") or ()) + len(obj.get("binaryData") or ())),
        _AGE,
    ),
    resources.SECRETS.key: (
        _NAME,
        ("Type", "string", 0, _at("type")),
        ("Data", "integer", 0, _count("data")),
        _AGE,
    ),
    resources.SERVICE_ACCOUNTS.key: (_NAME, ("Secrets", "integer", 0, _count("secrets")), _AGE),
    resources.EVENTS.key: (
        ("Last Seen", "string", 0, _event_last),
        ("Type", "string", 0, _at("type")),
        ("Reason", "string", 0, _at("reason")),
        ("Object", "string", 0, _event_object),
        ("Subobject", "string", 1, _at("involvedObject.fieldPath", "")),
        ("Source", "string", 1, _at("source.component", "")),
        ("Message", "string", 0, lambda obj: str(obj.get("message") or "").strip()),
        ("First Seen", "string", 1, lambda obj: since(obj.get("firstTimestamp") or obj.get("eventTime"))),
        ("Count", "string", 1, _at("count", 1)),
        ("Name", "string", 1, name_of),
    ),
    resources.CRDS.key: (_NAME, _CREATED),
    resources.API_SERVICES.key: (
        _NAME,
        ("Service", "string", 0, _api_service),
        ("Available", "string", 0, _api_available),
        _AGE,
    ),
    ("coordination.k8s.io", "leases"): (_NAME, ("Holder", "string", 0, _at("spec.holderIdentity", "")), _AGE),
    ("rbac.authorization.k8s.io", "roles"): (_NAME, _CREATED),
    ("rbac.authorization.k8s.io", "clusterroles"): (_NAME, _CREATED),
    ("rbac.authorization.k8s.io", "rolebindings"): (
        _NAME,
        ("Role", "string", 0, lambda obj: f"{obj['roleRef'].get('kind')}/{obj['roleRef'].get('name')}"),
        _AGE,
    ),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): (
        _NAME,
        ("Role", "string", 0, lambda obj: f"{obj['roleRef'].get('kind')}/{obj['roleRef'].get('name')}"),
        _AGE,
    ),
}


def of(resource: Resource) -> tuple[Definition, ...]:
    """(name, type, priority, cell) of each column of a built-in kind."""
    return _COLUMNS.get(resource.key, (_NAME, _AGE))
