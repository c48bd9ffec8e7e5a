"""What a run may have to do in a cluster, whether it may, and the RBAC rules that let it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from conformance.cluster import Cluster, ClusterError, NotFound, Object
from conformance.mesh import Mesh
from conformance.smi import ACCESS, DEFINITIONS, GATEWAY, METRICS, SPECS, SPLIT

_ALL: Final = ("get", "list", "create", "patch", "delete")
NOBODY: Final = "system:anonymous"
"""Whom an API server takes for the user of a connection without any credential."""
_WRITTEN: Final = ("get", "create", "patch", "delete")
_RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Right:
    """One verb on one resource (`pods`, `pods/proxy`) in the whole cluster."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def _rights(group: str, resources: str, verbs: Sequence[str]) -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb) for resource in resources.split() for verb in verbs)


RUN: Final = (
    *_rights("", "namespaces", ("list", "create", "patch", "delete")),
    *_rights("", "configmaps", ("create", "patch")),
    *_rights("", "serviceaccounts services", _WRITTEN),
    *_rights("", "serviceaccounts/token", ("create",)),
    *_rights("", "pods events", ("list",)),
    *_rights("", "pods/proxy", ("get", "create")),
    *_rights("", "pods/log", ("get",)),
    *_rights("apps", "deployments", ("get", "list", "create", "patch", "delete")),
    *_rights("apps", "daemonsets statefulsets", ("get", "list")),
    *_rights(_RBAC, "roles rolebindings", ("get", "create", "delete")),
    *_rights(SPLIT, "trafficsplits", _WRITTEN),
    *_rights(SPECS, "httproutegroups tcproutes udproutes", _WRITTEN),
    *_rights(ACCESS, "traffictargets", _WRITTEN),
    *_rights(GATEWAY, "httproutes", _WRITTEN),
    *_rights(DEFINITIONS, "customresourcedefinitions", ("get", "list")),
    *_rights("apiregistration.k8s.io", "apiservices", ("get", "list")),
    *_rights(METRICS, "*", ("*",)),  # the roles that checks of the metrics API make may grant no more than this
)
"""What judging a mesh takes: sample workloads in namespaces of its own, and SMI objects and HTTPRoutes there."""

MEASURE: Final = (*_rights("", "nodes", ("list",)), *_rights("", "nodes/proxy", ("get",)))
"""What `perf run` reads besides: the kubelets' own accounts. Without it they are left out."""

LOAD_PODS: Final = _rights("batch", "jobs", ("create", "patch"))
"""What `perf run --load-pods` does besides: Jobs, which go with their namespaces."""


def to_provision(cluster: Cluster, mesh: Mesh, objects: Iterable[Object]) -> tuple[Right, ...]:
    """Return what installing and removing a mesh by these objects takes. Raises ClusterError.

    Who makes a role needs every right that it grants, or the right to escalate.
    """
    found = [*_rights("", "namespaces", _ALL), *_rights("apps", "deployments daemonsets statefulsets", ("get", "list"))]
    for obj in objects:
        group = obj["apiVersion"].rpartition("/")[0]
        try:
            plural = cluster.kind(obj["apiVersion"], obj["kind"]).plural
        except NotFound:
            continue  # defined by the mesh itself
        found += _rights(group, plural, _ALL)
        if group == _RBAC and obj["kind"] in ("Role", "ClusterRole"):
            found += [Right(group, plural, "escalate")]
        if group == _RBAC and obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            found += [Right(group, f"{obj['roleRef']['kind'].lower()}s", "bind")]
    for leftover in mesh.leftovers:
        group, _, version = leftover.api_version.rpartition("/")
        kinds = [kind for kind in (leftover.kind,) if kind in cluster.kinds(group, version)]
        found += [right for kind in kinds
                  for right in _rights(group, cluster.kind(leftover.api_version, kind).plural, ("list", "delete"))]
    return tuple(dict.fromkeys(found))


def missing(cluster: Cluster, rights: Iterable[Right]) -> list[Right]:
    """Return the rights that the user of this connection does not have. Raises ClusterError."""
    return [right for right in dict.fromkeys(rights) if not allowed(cluster, right)]


def allowed(cluster: Cluster, right: Right, namespace: str = "") -> bool:
    """Ask the API server whether the user has a right. Raises ClusterError."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {"group": right.group, "resource": resource, "verb": right.verb}
    attributes |= {"subresource": subresource} if subresource else {}
    attributes |= {"namespace": namespace} if namespace else {}
    review = cluster.json(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", doing=f"asking whether it may {right}",
        body={"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
              "spec": {"resourceAttributes": attributes}})
    return bool((review.get("status") or {}).get("allowed"))


def user(cluster: Cluster) -> str:
    """Return the name of the user of this connection; empty where the cluster does not say (before 1.28)."""
    try:
        review = cluster.json(
            "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", doing="asking who it is",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    except ClusterError as error:
        return NOBODY if NOBODY in error.found else ""
    return str(((review.get("status") or {}).get("userInfo") or {}).get("username", ""))


def rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """Return the RBAC rules that grant rights, resources with the same verbs together."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in dict.fromkeys(rights):
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), found in verbs.items():
        together.setdefault((group, tuple(found)), []).append(resource)
    return [{"apiGroups": [group], "resources": resources, "verbs": list(found)}
            for (group, found), resources in together.items()]
