"""Protobuf bodies, decoded as far as kubectl sends them.

`kubectl create namespace` and its like speak protobuf only, unlike `apply` and `create -f`. The field numbers below
are those of the Kubernetes API; a field that is set and not listed is refused, never dropped. Answers are JSON, which
those clients take as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from conformance.sandbox.apiserver.errors import bad_request
from conformance.sandbox.apiserver.objects import JSON

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# NUMBER NAME TYPE; no type means string; [] a list; ! a value that counts even when it is zero
_MESSAGES = {
    "Envelope": "1 type TypeMeta; 2 raw bytes; 3 contentEncoding; 4 contentType",
    "TypeMeta": "1 apiVersion; 2 kind",
    "ObjectMeta": """1 name; 2 generateName; 3 namespace; 4 selfLink; 5 uid; 6 resourceVersion; 7 generation int;
        8 creationTimestamp time; 9 deletionTimestamp time; 10 deletionGracePeriodSeconds int!; 11 labels map;
        12 annotations map; 13 ownerReferences []OwnerReference; 14 finalizers []string""",
    "OwnerReference": "1 kind; 3 name; 4 uid; 5 apiVersion; 6 controller bool!; 7 blockOwnerDeletion bool!",
    "LabelSelector": "1 matchLabels map; 2 matchExpressions []LabelSelectorRequirement",
    "LabelSelectorRequirement": "1 key; 2 operator; 3 values []string",
    "ObjectReference": "1 kind; 2 namespace; 3 name; 4 uid; 5 apiVersion; 6 resourceVersion; 7 fieldPath",
    "LocalObjectReference": "1 name",
    "DeleteOptions": """1 gracePeriodSeconds int!; 2 preconditions Preconditions; 3 orphanDependents bool!;
        4 propagationPolicy; 5 dryRun []string""",
    "Preconditions": "1 uid; 2 resourceVersion",
    "v1/Namespace": "1 metadata ObjectMeta; 2 spec NamespaceSpec; 3 status NamespaceStatus",
    "NamespaceSpec": "1 finalizers []string",
    "NamespaceStatus": "1 phase",
    "v1/ConfigMap": "1 metadata ObjectMeta; 2 data map; 3 binaryData bytesmap; 4 immutable bool!",
    "v1/Secret": "1 metadata ObjectMeta; 2 data bytesmap; 3 type; 4 stringData map; 5 immutable bool!",
    "v1/ServiceAccount": """1 metadata ObjectMeta; 2 secrets []ObjectReference;
        3 imagePullSecrets []LocalObjectReference; 4 automountServiceAccountToken bool!""",
    "v1/Service": "1 metadata ObjectMeta; 2 spec ServiceSpec; 3 status ServiceStatus",
    "ServiceSpec": """1 ports []ServicePort; 2 selector map; 3 clusterIP; 4 type; 5 externalIPs []string;
        7 sessionAffinity; 8 loadBalancerIP; 9 loadBalancerSourceRanges []string; 10 externalName;
        11 externalTrafficPolicy; 12 healthCheckNodePort int; 13 publishNotReadyAddresses bool; 17 ipFamilyPolicy;
        18 clusterIPs []string; 19 ipFamilies []string; 20 allocateLoadBalancerNodePorts bool!;
        22 internalTrafficPolicy""",
    "ServicePort": "1 name; 2 protocol; 3 port int; 4 targetPort intorstring; 5 nodePort int; 6 appProtocol",
    "ServiceStatus": "1 loadBalancer Empty",
    "Empty": "",
    "apps/v1/Deployment": "1 metadata ObjectMeta; 2 spec DeploymentSpec; 3 status Empty",
    "DeploymentSpec": """1 replicas int!; 2 selector LabelSelector; 3 template PodTemplateSpec;
        4 strategy DeploymentStrategy; 5 minReadySeconds int; 6 revisionHistoryLimit int!; 7 paused bool;
        9 progressDeadlineSeconds int!""",
    "DeploymentStrategy": "1 type; 2 rollingUpdate RollingUpdate",
    "RollingUpdate": "1 maxUnavailable intorstring; 2 maxSurge intorstring",
    "PodTemplateSpec": "1 metadata ObjectMeta; 2 spec PodSpec",
    "PodSpec": """2 containers []Container; 3 restartPolicy; 4 terminationGracePeriodSeconds int!; 6 dnsPolicy;
        7 nodeSelector map; 8 serviceAccountName; 9 serviceAccount; 10 nodeName; 19 schedulerName""",
    "Container": """1 name; 2 image; 3 command []string; 4 args []string; 5 workingDir; 6 ports []ContainerPort;
        7 env []EnvVar; 8 resources Empty; 13 terminationMessagePath; 14 imagePullPolicy;
        20 terminationMessagePolicy""",
    "ContainerPort": "1 name; 2 hostPort int; 3 containerPort int; 4 protocol; 5 hostIP",
    "EnvVar": "1 name; 2 value",
    "rbac.authorization.k8s.io/v1/Role": "1 metadata ObjectMeta; 2 rules []PolicyRule",
    "rbac.authorization.k8s.io/v1/ClusterRole": """1 metadata ObjectMeta; 2 rules []PolicyRule;
        3 aggregationRule AggregationRule""",
    "AggregationRule": "1 clusterRoleSelectors []LabelSelector",
    "PolicyRule": """1 verbs []string; 2 apiGroups []string; 3 resources []string; 4 resourceNames []string;
        5 nonResourceURLs []string""",
    "rbac.authorization.k8s.io/v1/RoleBinding": """1 metadata ObjectMeta; 2 subjects []Subject; 3 roleRef RoleRef""",
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": "1 metadata ObjectMeta; 2 subjects []Subject; 3 roleRef RoleRef",
    "Subject": "1 kind; 2 apiGroup; 3 name; 4 namespace",
    "RoleRef": "1 apiGroup; 2 kind; 3 name",
    "policy/v1/Eviction": "1 metadata ObjectMeta; 2 deleteOptions DeleteOptions",
    "authentication.k8s.io/v1/SelfSubjectReview": "1 metadata ObjectMeta; 2 status Empty",
    "authentication.k8s.io/v1/TokenRequest": "1 metadata ObjectMeta; 2 spec TokenRequestSpec; 3 status Empty",
    "TokenRequestSpec": "1 audiences []string; 3 boundObjectRef ObjectReference; 4 expirationSeconds int!",
    "authorization.k8s.io/v1/SelfSubjectAccessReview": "1 metadata ObjectMeta; 2 spec AccessSpec; 3 status Empty",
    "authorization.k8s.io/v1/SelfSubjectRulesReview": "1 metadata ObjectMeta; 2 spec RulesSpec; 3 status Empty",
    "RulesSpec": "1 namespace",
    "AccessSpec": "1 resourceAttributes ResourceAttributes; 2 nonResourceAttributes NonResourceAttributes",
    "ResourceAttributes": "1 namespace; 2 verb; 3 group; 4 version; 5 resource; 6 subresource; 7 name",
    "NonResourceAttributes": "1 path; 2 verb",
}


def decode(data: bytes) -> JSON:
    """The object in a Kubernetes protobuf body. Raises ApiError 400 for what is damaged or not known here."""
    if not data.startswith(_MAGIC):
        raise bad_request("a protobuf body must begin with the k8s envelope")
    try:
        envelope = _message("Envelope", data[len(_MAGIC) :])
        head = envelope.get("type") or {}
        kind = f"{head.get('apiVersion')}/{head.get('kind')}"
        name = "DeleteOptions" if kind.endswith("/DeleteOptions") else kind
        if name not in _MESSAGES:
            raise bad_request(f"the sandbox cannot read {kind} as protobuf: send JSON (kubectl apply -f, create -f)")
        return {**head, **_message(name, base64.b64decode(envelope.get("raw", "")))}
    except (IndexError, ValueError) as error:
        raise bad_request(f"the protobuf body is damaged: {error}") from error


def _fields(name: str) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for entry in filter(None, map(str.split, _MESSAGES[name].split(";"))):
        found[int(entry[0])] = (entry[1], entry[2] if len(entry) > 2 else "string")
    return found


def _message(name: str, data: bytes) -> JSON:
    known, result = _fields(name), JSON()
    for number, value in _wire(data):
        if number not in known:
            if value and name != "Empty":
                raise bad_request(f"the sandbox does not know protobuf field {number} of {name}: send JSON")
            continue
        field, kind = known[number]
        if kind.startswith("[]"):
            result.setdefault(field, []).append(_value(kind[2:], value))
        elif kind in ("map", "bytesmap"):
            entry = dict(_wire(_bytes(value)))
            text = _bytes(entry.get(2, b""))
            shown = base64.b64encode(text).decode() if kind == "bytesmap" else text.decode()
            result.setdefault(field, {})[_bytes(entry.get(1, b"")).decode()] = shown
        else:
            found = _value(kind.rstrip("!"), value)
            if kind.endswith("!") or found not in ("", 0, False, None, {}):
                result[field] = found
    return result


def _value(kind: str, value: int | bytes) -> Any:
    if isinstance(value, int):
        return bool(value) if kind == "bool" else value
    match kind:
        case "string":
            return value.decode()
        case "bytes":
            return base64.b64encode(value).decode()
        case "time":
            seconds = dict(_wire(value)).get(1, 0)
            moment = datetime.fromtimestamp(int(seconds), UTC) if seconds else None
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
        case "intorstring":
            parts = dict(_wire(value))
            return _bytes(parts.get(3, b"")).decode() if parts.get(1) else parts.get(2, 0)
        case _:
            return _message(kind, value)


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"expected bytes, found the number {value}")  # noqa: TRY004 - damaged data, not a wrong call
    return value


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of each field of a message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        match tag & 7:
            case 0:
                number, position = _varint(data, position)
                yield tag >> 3, number - (1 << 64) if number >> 63 else number
            case 2:
                size, position = _varint(data, position)
                if position + size > len(data):
                    raise ValueError("a field is longer than the body")
                yield tag >> 3, data[position : position + size]
                position += size
            case wire_type:
                raise ValueError(f"unexpected wire type {wire_type}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
