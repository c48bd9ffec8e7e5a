"""What makes an object of a built-in kind invalid.

Not every rule of Kubernetes stands here: only those that a mistake in a manifest of a test would meet, so that what
the sandbox accepts a cluster does not refuse. Fields that Kubernetes does not know are kept.
"""

from __future__ import annotations

import re
from typing import Any

from conformance.sandbox.apiserver.errors import (
    Cause,
    forbidden_value,
    invalid_value,
    required,
    unsupported_value,
)
from conformance.sandbox.apiserver.objects import JSON, clone

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](-?[a-z0-9]){0,14}")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def pod(obj: JSON, old: JSON | None) -> list[Cause]:
    found = pod_spec(obj["spec"], "spec")
    if old is not None and not found:
        found += _pod_update(obj, old)
    return found


def _pod_update(obj: JSON, old: JSON) -> list[Cause]:
    now, before = clone(obj["spec"]), clone(old["spec"])
    for spec in (now, before):
        for field in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"):
            spec.pop(field, None)
        for container in (*(spec.get("initContainers") or []), *spec["containers"]):
            container.pop("image", None)
    if not before.get("nodeName"):  # the binding
        before.pop("nodeName", None)
        now.pop("nodeName", None)
    if now == before:
        return []
    why = (
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds`"
    )
    return [forbidden_value("spec", why)]


def pod_spec(spec: JSON, at: str) -> list[Cause]:
    found: list[Cause] = []
    containers = spec.get("containers")
    if not containers:
        found.append(required(f"{at}.containers"))
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for index, volume in enumerate(spec.get("volumes") or []):
        found += _label(f"{at}.volumes[{index}].name", volume.get("name"))
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            found += _container(container, f"{at}.{field}[{index}]", volumes, seen)
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        policies = ("Always", "OnFailure", "Never")
        found.append(unsupported_value(f"{at}.restartPolicy", spec.get("restartPolicy"), policies))
    return found


def _container(container: JSON, at: str, volumes: set[Any], seen: set[str]) -> list[Cause]:
    found = _label(f"{at}.name", container.get("name"))
    name = str(container.get("name"))
    if name in seen:
        found.append(Cause("FieldValueDuplicate", f"{at}.name", f'Duplicate value: "{name}"'))
    seen.add(name)
    if not container.get("image"):
        found.append(required(f"{at}.image"))
    for index, port in enumerate(container.get("ports") or []):
        found += _container_port(port, f"{at}.ports[{index}]")
    found += _environment(container, f"{at}.env")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if not mount.get("mountPath"):
            found.append(required(f"{at}.volumeMounts[{index}].mountPath"))
        if mount.get("name") not in volumes:
            missing = f'Not found: "{mount.get("name")}"'
            found.append(Cause("FieldValueNotFound", f"{at}.volumeMounts[{index}].name", missing))
    return found


def _container_port(port: JSON, at: str) -> list[Cause]:
    found = _port_number(f"{at}.containerPort", port.get("containerPort"))
    found += _protocol(f"{at}.protocol", port.get("protocol"))
    if port.get("name") and not _PORT_NAME.fullmatch(port["name"]):
        why = "must be no more than 15 characters of a-z, 0-9 and '-', with at least one letter"
        found.append(invalid_value(f"{at}.name", port["name"], why))
    return found


def _environment(container: JSON, at: str) -> list[Cause]:
    found: list[Cause] = []
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            found.append(required(f"{at}[{index}].name"))
        if variable.get("value") is not None and not isinstance(variable["value"], str):
            raise TypeError(f"{at}[{index}].value must be a string: quote it")
        if variable.get("value") and variable.get("valueFrom"):
            why = "may not be specified when `value` is not empty"
            found.append(invalid_value(f"{at}[{index}].valueFrom", "", why))
    return found


def _label(field: str, value: Any) -> list[Cause]:
    if not value:
        return [required(field)]
    return [] if _LABEL.fullmatch(value) else [invalid_value(field, value, _LABEL_RULE)]


def _port_number(field: str, value: Any) -> list[Cause]:
    if value is None:
        return [required(field)]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field} must be an integer, found {value!r}")
    return [] if 1 <= value <= 65535 else [invalid_value(field, value, "must be between 1 and 65535, inclusive")]


def _protocol(field: str, value: Any) -> list[Cause]:
    return [] if value in _PROTOCOLS else [unsupported_value(field, value, _PROTOCOLS)]


def workload(obj: JSON, old: JSON | None) -> list[Cause]:
    """A Deployment or ReplicaSet."""
    spec = obj["spec"]
    replicas = spec["replicas"]
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise TypeError(f"spec.replicas must be an integer, found {replicas!r}")
    found: list[Cause] = []
    if replicas < 0:
        found.append(invalid_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    selector = spec.get("selector") or {}
    wanted = selector.get("matchLabels") or {}
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if spec.get("selector") is None:
        found.append(required("spec.selector"))
    elif not wanted and not selector.get("matchExpressions"):
        found.append(invalid_value("spec.selector", selector, "empty selector is invalid for deployment"))
    elif any(labels.get(key) != value for key, value in wanted.items()):
        why = "`selector` does not match template `labels`"
        found.append(invalid_value("spec.template.metadata.labels", labels, why))
    if old is not None and old["spec"].get("selector") != spec.get("selector"):
        found.append(invalid_value("spec.selector", selector, "field is immutable"))
    found += pod_spec(template.get("spec") or {"restartPolicy": "Always"}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy in ("OnFailure", "Never"):
        found.append(unsupported_value("spec.template.spec.restartPolicy", policy, ("Always",)))
    return found


def service(obj: JSON, old: JSON | None) -> list[Cause]:
    spec = obj["spec"]
    types = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec["type"] not in types:
        return [unsupported_value("spec.type", spec["type"], types)]
    if spec["type"] == "ExternalName":
        return [] if spec.get("externalName") else [required("spec.externalName")]
    found: list[Cause] = []
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None":
        found.append(required("spec.ports"))
    names: set[str] = set()
    numbers: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        found += _service_port(port, f"spec.ports[{index}]", names, numbers, many=len(ports) > 1)
    before = old["spec"].get("clusterIP") if old is not None and old["spec"]["type"] != "ExternalName" else None
    if before and spec.get("clusterIP") != before:
        found.append(invalid_value("spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set"))
    return found


def _service_port(port: JSON, at: str, names: set[str], numbers: set[tuple[Any, Any]], *, many: bool) -> list[Cause]:
    found = _port_number(f"{at}.port", port.get("port")) + _protocol(f"{at}.protocol", port.get("protocol"))
    name = port.get("name")
    if name:
        found += _label(f"{at}.name", name)
        if name in names:
            found.append(Cause("FieldValueDuplicate", f"{at}.name", f'Duplicate value: "{name}"'))
        names.add(name)
    elif many:
        found.append(required(f"{at}.name"))
    target = port.get("targetPort")
    if isinstance(target, int):
        found += _port_number(f"{at}.targetPort", target)
    elif isinstance(target, str) and not _PORT_NAME.fullmatch(target):
        why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        found.append(invalid_value(f"{at}.targetPort", target, why))
    pair = (port.get("port"), port.get("protocol"))
    if pair in numbers:
        shown = f'{{"port":{pair[0]},"protocol":"{pair[1]}"}}'
        found.append(Cause("FieldValueDuplicate", at, f"Duplicate value: {shown}"))
    numbers.add(pair)
    return found


def endpoint_slice(obj: JSON, old: JSON | None) -> list[Cause]:
    types = ("FQDN", "IPv4", "IPv6")
    if not obj.get("addressType"):
        return [required("addressType")]
    if obj["addressType"] not in types:
        return [unsupported_value("addressType", obj["addressType"], types)]
    if old is not None and old.get("addressType") != obj["addressType"]:
        return [invalid_value("addressType", obj["addressType"], "field is immutable")]
    return []


def event(obj: JSON, old: JSON | None) -> list[Cause]:
    del old
    about = (obj.get("involvedObject") or {}).get("namespace") or "default"
    if about != obj["metadata"]["namespace"] and (obj.get("involvedObject") or {}).get("namespace"):
        return [invalid_value("involvedObject.namespace", about, "does not match event.namespace")]
    return []


def api_service(obj: JSON, old: JSON | None) -> list[Cause]:
    del old
    spec, name = obj.get("spec") or {}, obj["metadata"]["name"]
    found: list[Cause] = []
    wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != wanted:
        found.append(invalid_value("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not isinstance(value, int) or not 1 <= value <= most:
            found.append(invalid_value(f"spec.{field}", value, f"must be positive and less than {most}"))
    service = spec.get("service")
    if service is None and (spec.get("caBundle") or spec.get("insecureSkipTLSVerify")):
        found.append(invalid_value("spec", "", "local APIServices may not have a caBundle or insecureSkipTLSVerify"))
    if service is not None:
        found += [required(f"spec.service.{field}") for field in ("namespace", "name") if not service.get(field)]
        found += _port_number("spec.service.port", service.get("port"))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        why = "may not be true if caBundle is present"
        found.append(invalid_value("spec.insecureSkipTLSVerify", True, why))
    return found
