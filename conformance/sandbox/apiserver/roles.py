"""The roles and bindings that every cluster has from its start, and the roles that are made up of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conformance.sandbox.apiserver.access import AUTHENTICATED, MASTERS
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, labels_of, name_of
from conformance.sandbox.apiserver.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Resource
from conformance.sandbox.apiserver.rules import GROUP
from conformance.sandbox.apiserver.selectors import label_matcher, selector_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")
_AUTHORIZATION: Final = "authorization.k8s.io"
_AUTHENTICATION: Final = "authentication.k8s.io"
_HEALTH: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> JSON:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _paths(paths: Iterable[str]) -> JSON:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


_VIEW: Final = (
    _rule("", ("configmaps", "endpoints", "pods", "serviceaccounts", "services", "bindings", "events", "namespaces",
               "namespaces/status", "pods/log", "pods/status", "services/status"), _READ),
    _rule("apps", ("deployments", "deployments/scale", "deployments/status", "replicasets", "replicasets/scale",
                   "replicasets/status"), _READ),
    _rule("batch", ("jobs", "jobs/status"), _READ),
    _rule("discovery.k8s.io", ("endpointslices",), _READ),
)  # fmt: skip
_EDIT: Final = (
    _rule("", ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"), _READ),
    _rule("", ("serviceaccounts",), ("impersonate",)),
    _rule("", ("pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "configmaps", "endpoints",
               "events", "secrets", "serviceaccounts", "services", "services/proxy"), _WRITE),
    _rule("", ("pods/eviction", "serviceaccounts/token"), ("create",)),
    _rule("apps", ("deployments", "deployments/scale", "replicasets", "replicasets/scale"), _WRITE),
    _rule("batch", ("jobs",), _WRITE),
    _rule("coordination.k8s.io", ("leases",), (*_READ, *_WRITE)),
)  # fmt: skip
_ADMIN: Final = (
    _rule(_AUTHORIZATION, ("localsubjectaccessreviews",), ("create",)),
    _rule(GROUP, ("roles", "rolebindings"), (*_READ, *_WRITE)),
)
_ROLES: Final[dict[str, tuple[JSON, ...]]] = {
    "cluster-admin": (_rule("*", ("*",), ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}),
    "system:aggregate-to-view": _VIEW,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-admin": _ADMIN,
    "system:discovery": (_paths((*_DISCOVERY, *_HEALTH)),),
    "system:public-info-viewer": (_paths(_HEALTH),),
    "system:basic-user": (
        _rule(_AUTHORIZATION, ("selfsubjectaccessreviews", "selfsubjectrulesreviews"), ("create",)),
        _rule(_AUTHENTICATION, ("selfsubjectreviews",), ("create",)),
    ),
    "system:kubelet-api-admin": (
        _rule("", ("nodes",), _READ),
        _rule("", ("nodes",), ("proxy",)),
        _rule("", ("nodes/log", "nodes/metrics", "nodes/proxy", "nodes/stats"), ("*",)),
    ),
    "system:auth-delegator": (
        _rule(_AUTHENTICATION, ("tokenreviews",), ("create",)),
        _rule(_AUTHORIZATION, ("subjectaccessreviews",), ("create",)),
    ),
}
_AGGREGATED: Final = {"view": ("view",), "edit": ("edit", "view"), "admin": ("admin", "edit", "view")}
"""Which of the roles `system:aggregate-to-…` each role is made of; others join by the same labels."""

_BINDINGS: Final = {
    "cluster-admin": (MASTERS,),
    "system:discovery": (AUTHENTICATED,),
    "system:basic-user": (AUTHENTICATED,),
    "system:public-info-viewer": (AUTHENTICATED, "system:unauthenticated"),
}
"""Role → the groups that have it in the whole cluster, by a binding of the role's name."""


def install(store: Store) -> None:
    """Make the roles and bindings that are missing."""
    for name, rules in _ROLES.items():
        kind = name.removeprefix("system:aggregate-to-")
        labels = {f"{_AGGREGATE}{kind}": "true"} if kind != name else {}
        _ensure(store, CLUSTER_ROLES, name, labels, rules=list(rules))
    for name, parts in _AGGREGATED.items():
        selectors = [{"matchLabels": {f"{_AGGREGATE}{part}": "true"}} for part in parts]
        _ensure(store, CLUSTER_ROLES, name, {}, aggregationRule={"clusterRoleSelectors": selectors}, rules=[])
    for name, groups in _BINDINGS.items():
        subjects = [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups]
        reference = {"kind": "ClusterRole", "apiGroup": GROUP, "name": name}
        _ensure(store, CLUSTER_ROLE_BINDINGS, name, {}, roleRef=reference, subjects=subjects)


def _ensure(store: Store, resource: Resource, name: str, labels: dict[str, str], **content: Any) -> None:
    try:
        store.read(resource, name)
    except ApiError:
        meta = {"name": name, "labels": {**_LABELS, **labels}, "annotations": dict(_ANNOTATIONS)}
        store.create(resource, {"metadata": meta, **content})


class RoleAggregation:
    """Fills the rules of ClusterRoles that have an `aggregationRule`; an observer of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        if change.resource.key != CLUSTER_ROLES.key:
            return
        roles = self._store.select(CLUSTER_ROLES)
        for role in roles:
            if role.get("aggregationRule"):
                self._fill(role, roles)

    def _fill(self, role: JSON, roles: list[JSON]) -> None:
        rules: list[JSON] = []
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            matches = label_matcher(selector_text(selector))
            for other in roles:
                if name_of(other) != name_of(role) and matches(labels_of(other)):
                    rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            self._store.modify(CLUSTER_ROLES, name_of(role), "", lambda found: found.update(rules=rules))
