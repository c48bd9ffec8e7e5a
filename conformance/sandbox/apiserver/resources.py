"""The resources that the API server serves from its start.

Admission webhook configurations and leases are stored and served like any other, but nothing acts on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Key: TypeAlias = tuple[str, str]
"""(group, plural): what all versions of a resource share, and what objects are stored under."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, as discovery names it.

    `selectable` lists the fields, besides name and namespace, that a field selector may use.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    selectable: tuple[str, ...] = ()
    custom: bool = False

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """As in messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def key(self) -> Key:
        return (self.group, self.plural)


def _core(
    kind: str,
    plural: str,
    *short_names: str,
    namespaced: bool = True,
    sub: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    selectable: tuple[str, ...] = (),
) -> Resource:
    return _of(
        "v1", kind, plural, *short_names, namespaced=namespaced, sub=sub, categories=categories, selectable=selectable
    )


def _of(
    api_version: str,
    kind: str,
    plural: str,
    *short_names: str,
    namespaced: bool = True,
    sub: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    selectable: tuple[str, ...] = (),
) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, kind, plural, kind.lower(), short_names, namespaced, sub, categories, selectable)


_ALL = ("all",)
_RBAC = "rbac.authorization.k8s.io/v1"
_WEBHOOKS = "admissionregistration.k8s.io/v1"
_CLUSTER = False

_EVENT_FIELDS = (
    "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
    "reason", "reportingComponent", "source", "type",
)  # fmt: skip

PODS = _core(
    "Pod", "pods", "po", categories=_ALL,
    sub=("status", "log", "proxy", "binding", "eviction", "ephemeralcontainers"),
    selectable=("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"),
)  # fmt: skip
SERVICES = _core(
    "Service", "services", "svc", categories=_ALL, sub=("status", "proxy"),
    selectable=("spec.clusterIP", "spec.type"),
)  # fmt: skip
NAMESPACES = _core(
    "Namespace", "namespaces", "ns", namespaced=_CLUSTER, sub=("status", "finalize"), selectable=("status.phase",)
)
NODES = _core("Node", "nodes", "no", namespaced=_CLUSTER, sub=("status", "proxy"), selectable=("spec.unschedulable",))
CONFIG_MAPS = _core("ConfigMap", "configmaps", "cm")
SECRETS = _core("Secret", "secrets", selectable=("type",))
SERVICE_ACCOUNTS = _core("ServiceAccount", "serviceaccounts", "sa", sub=("token",))
ENDPOINTS = _core("Endpoints", "endpoints", "ep")
EVENTS = _core("Event", "events", "ev", selectable=_EVENT_FIELDS)
DEPLOYMENTS = _of("apps/v1", "Deployment", "deployments", "deploy", sub=("status", "scale"), categories=_ALL)
REPLICA_SETS = _of(
    "apps/v1", "ReplicaSet", "replicasets", "rs", sub=("status", "scale"), categories=_ALL,
    selectable=("status.replicas",),
)  # fmt: skip
JOBS = _of("batch/v1", "Job", "jobs", sub=("status",), categories=_ALL, selectable=("status.successful",))
ENDPOINT_SLICES = _of("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
CRDS = _of(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "crd", "crds",
    namespaced=_CLUSTER, sub=("status",), categories=("api-extensions",),
)  # fmt: skip
API_SERVICES = _of(
    "apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=_CLUSTER, sub=("status",),
    categories=("api-extensions",),
)  # fmt: skip
ROLES = _of(_RBAC, "Role", "roles")
ROLE_BINDINGS = _of(_RBAC, "RoleBinding", "rolebindings")
CLUSTER_ROLES = _of(_RBAC, "ClusterRole", "clusterroles", namespaced=_CLUSTER)
CLUSTER_ROLE_BINDINGS = _of(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=_CLUSTER)

BUILTIN: tuple[Resource, ...] = (
    PODS,
    SERVICES,
    NAMESPACES,
    NODES,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    ENDPOINTS,
    EVENTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    JOBS,
    ENDPOINT_SLICES,
    CRDS,
    API_SERVICES,
    _of("coordination.k8s.io/v1", "Lease", "leases"),
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    _of(_WEBHOOKS, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=_CLUSTER,
        categories=("api-extensions",)),
    _of(_WEBHOOKS, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=_CLUSTER,
        categories=("api-extensions",)),
)  # fmt: skip
"""Every resource that is served without a CustomResourceDefinition, in the order in which kubectl resolves names."""
