"""CoreDNS as the cluster runs it: its rights, its configuration, its Deployment and its Service."""

from __future__ import annotations

from typing import Any, Final

from testbed.layout import Layout

NAME: Final = "coredns"
NAMESPACE: Final = "kube-system"
_SERVICE: Final = "kube-dns"  # the name by which all clusters know it
_ROLE: Final = "system:coredns"
_LABELS: Final = {"k8s-app": "kube-dns"}
# No upstream: the node has no way out, and a name that is not the cluster's is refused at once.
_COREFILE: Final = """\
.:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    loadbalance
}
"""

Object = dict[str, Any]


def objects(layout: Layout, image: str) -> tuple[Object, ...]:
    """Return what has to be applied, in this order."""
    group = "rbac.authorization.k8s.io"
    return (
        _object("v1", "ServiceAccount", NAME, {}),
        _object(f"{group}/v1", "ClusterRole", _ROLE, {"rules": [
            _rule("", "endpoints", "services", "pods", "namespaces"),
            _rule("discovery.k8s.io", "endpointslices"),
        ]}, namespace=None),
        _object(f"{group}/v1", "ClusterRoleBinding", _ROLE, {
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        }, namespace=None),
        _object("v1", "ConfigMap", NAME, {"data": {"Corefile": _COREFILE}}),
        _object("apps/v1", "Deployment", NAME, {"spec": {
            "replicas": 1,
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": _pod(image)},
        }}),
        _object("v1", "Service", _SERVICE, {"spec": {
            "clusterIP": str(layout.dns),
            "selector": _LABELS,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        }}),
    )


def _rule(group: str, *resources: str) -> Object:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["list", "watch"]}


def _pod(image: str) -> Object:
    return {
        "serviceAccountName": NAME,
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": NAME,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "ports": [
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            ],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        }],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }


def _object(api_version: str, kind: str, name: str, parts: Object, namespace: str | None = NAMESPACE) -> Object:
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    if kind in ("Deployment", "Service"):
        metadata["labels"] = dict(_LABELS)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
