"""Defaults of the built-in kinds: what the API server fills in and controllers, kubelet and kubectl rely on.

Every function changes its object in place and does nothing to a field that is set.
"""

from __future__ import annotations

import base64
from typing import Any

from conformance.sandbox.apiserver.objects import JSON


def fill(obj: JSON, **defaults: Any) -> None:
    """Set each field that is missing or null."""
    for field, value in defaults.items():
        if obj.get(field) is None:
            obj[field] = value


def pod(obj: JSON, old: JSON | None) -> None:
    spec = obj.setdefault("spec", {})
    pod_spec(spec)
    fill(spec, serviceAccountName=spec.get("serviceAccount") or "default")
    fill(spec, serviceAccount=spec["serviceAccountName"])
    if old is None:
        obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def pod_spec(spec: JSON) -> None:
    """Defaults of a pod, in a pod and in a template alike."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        fill(spec, serviceAccount=spec["serviceAccountName"])
    for container in (*(spec.get("initContainers") or []), *(spec.get("containers") or [])):
        _container(container)
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _container(container: JSON) -> None:
    image = str(container.get("image") or "")
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    fill(
        container,
        resources={},
        imagePullPolicy="Always" if latest and "@" not in image else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports") or []:
        fill(port, protocol="TCP")
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            fill(reference, apiVersion="v1")
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = container.get(name)
        if probe:
            fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if probe.get("httpGet") is not None:
                fill(probe["httpGet"], path="/", scheme="HTTP")


def _volume(volume: JSON) -> None:
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(kind) is not None:
            fill(volume[kind], defaultMode=420)
    if volume.get("hostPath") is not None:
        fill(volume["hostPath"], type="")
    for source in (volume.get("projected") or {}).get("sources") or []:
        if source.get("serviceAccountToken") is not None:
            fill(source["serviceAccountToken"], expirationSeconds=3600)
    if len(volume) == 1:
        volume["emptyDir"] = {}


def _quality(spec: JSON) -> str:
    containers = spec.get("containers") or []
    resources = [container.get("resources") or {} for container in containers]
    return "Burstable" if any(found.get("requests") or found.get("limits") for found in resources) else "BestEffort"


def deployment(obj: JSON, old: JSON | None) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    fill(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        fill(spec["strategy"], rollingUpdate={})
        fill(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    _template(spec)
    if old is None:
        obj["status"] = {}


def replica_set(obj: JSON, old: JSON | None) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, replicas=1)
    _template(spec)
    if old is None:
        obj["status"] = {"replicas": 0}


def _template(spec: JSON) -> None:
    template = spec.get("template")
    if template:
        pod_spec(template.setdefault("spec", {}))


def service(obj: JSON, old: JSON | None) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["type"] == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(field, None)
    else:
        if spec.get("clusterIP") == "None" and not spec.get("selector"):  # whose addresses may be of any family
            fill(spec, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
        fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
        if old is not None and old["spec"].get("clusterIP"):
            fill(spec, clusterIP=old["spec"]["clusterIP"])
        if spec.get("clusterIP"):
            fill(spec, clusterIPs=[spec["clusterIP"]])
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, externalTrafficPolicy="Cluster")
    for port in spec.get("ports") or []:
        fill(port, protocol="TCP", targetPort=port.get("port"))
    if old is None:
        obj["status"] = {"loadBalancer": {}}


def namespace(obj: JSON, old: JSON | None) -> None:
    labels = obj["metadata"].get("labels") or {}
    obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": obj["metadata"]["name"]}
    if old is None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif "finalizers" not in (obj.get("spec") or {}):
        obj["spec"] = {**(obj.get("spec") or {}), "finalizers": old["spec"].get("finalizers", [])}


def secret(obj: JSON, old: JSON | None) -> None:
    del old
    fill(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain and isinstance(obj.get("data") or {}, dict):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def endpoints(obj: JSON, old: JSON | None) -> None:
    del old
    if not obj.get("subsets"):
        obj.pop("subsets", None)
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            fill(port, protocol="TCP")


def endpoint_slice(obj: JSON, old: JSON | None) -> None:
    del old
    fill(obj, endpoints=[], ports=[])
    for port in obj["ports"]:
        fill(port, name="", protocol="TCP")


def binding(obj: JSON, old: JSON | None) -> None:
    del old
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup="rbac.authorization.k8s.io")
    if obj.get("roleRef"):
        fill(obj["roleRef"], apiGroup="rbac.authorization.k8s.io")


def api_service(obj: JSON, old: JSON | None) -> None:
    del old
    service = (obj.get("spec") or {}).get("service")
    if service:
        fill(service, port=443)
