"""SMP's results and descriptions as data: written as Meshery reads them, read as protojson or Meshery wrote them.

Written are names in snake_case, numbers as numbers, enumerations by number and moments in UTC, because Meshery decodes
with plain Go structs, which know nothing of protojson. What was not measured is left out, never 0.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conformance.performance.smp import document, kinds, shape
from conformance.performance.smp.config import ServiceMesh
from conformance.performance.smp.document import DocumentError, Item
from conformance.performance.smp.fields import MESSAGES, VERSION, Field
from conformance.performance.smp.shape import Finding


class MessageError(Exception):
    """A file is not one of the messages, or a value cannot be written as one; names all that is wrong."""


@dataclass(frozen=True)
class Latency:
    """SMP's PerformanceTestResult.Latency, in milliseconds; None is not set."""

    min: float | None = None
    average: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class PerformanceTestResult:
    """SMP's PerformanceTestResult; moments are in UTC."""

    smp_version: str = VERSION
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None
    latencies_ms: Latency = field(default_factory=Latency)
    actual_qps: float | None = None
    details_uri: str = ""
    test_id: str = ""
    mesh_config_id: str = ""
    env_id: str = ""


@dataclass(frozen=True)
class ServiceMeshConfig:
    """SMP's ServiceMeshConfig. The parts of the mesh are whole numbers by the names that SMP gives them."""

    smp_version: str = VERSION
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ingress_gateway: Mapping[str, int] = field(default_factory=dict)
    sidecar: Mapping[str, int] = field(default_factory=dict)
    mesh_telemetry: Mapping[str, int] = field(default_factory=dict)
    mesh_policy: Mapping[str, int] = field(default_factory=dict)
    mesh_control_plane: Mapping[str, int] = field(default_factory=dict)
    mesh_policy_enabled: bool | None = None
    mesh_telemetry_enabled: bool | None = None
    mtls_enabled: bool | None = None
    proxy_concurrency: int | None = None
    mesh_build: str = ""
    proxy_build: str = ""
    exp_group_uuid: str = ""
    exp_uuid: str = ""
    profile: str = ""
    mesh_type: ServiceMesh = field(default_factory=ServiceMesh)
    application_metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnvironmentConfig:
    """SMP's EnvironmentConfig. Nodes, workloads and traffic are values by the names that SMP gives them."""

    smp_version: str = VERSION
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    kubernetes_version: str = ""
    nodes: tuple[Mapping[str, Any], ...] = ()
    individual_workloads: tuple[Mapping[str, Any], ...] = ()
    traffic_metadata: Mapping[str, str] = field(default_factory=dict)


Document = PerformanceTestResult | ServiceMeshConfig | EnvironmentConfig

_CLASSES: Final[Mapping[str, type[Document]]] = {
    kinds.RESULT: PerformanceTestResult, kinds.MESH: ServiceMeshConfig, kinds.ENVIRONMENT: EnvironmentConfig,
}


def to_json(message: Document) -> dict[str, Any]:
    """Return a message as JSON data. Raises MessageError when a value does not fit its field."""
    data = _encode(message, type(message).__name__)
    findings: list[Finding] = []
    shape.read(_tree(data, ""), type(message).__name__, findings)
    if findings:
        raise MessageError(f"cannot be written as {type(message).__name__}: " + "; ".join(map(str, findings)))
    return data


def _encode(value: Any, name: str) -> dict[str, Any]:
    data = {}
    for one in MESSAGES[name].fields.values():
        found = value.get(one.name) if isinstance(value, Mapping) else getattr(value, one.name)
        if one.repeated:
            found = [_encoded(element, one) for element in found or ()]
        elif found is not None:
            found = _encoded(found, one)
        if found is not None and found not in ("", {}, []):
            data[one.name] = found
    return data


def _encoded(value: Any, one: Field) -> Any:
    if one.kind == "message":
        return _encode(value, one.of)
    if one.kind == "timestamp":
        return moment(value)
    return dict(value) if one.kind == "map" else value


def _tree(data: Any, path: str) -> Item:
    if isinstance(data, Mapping):
        return Item({key: _tree(value, f"{path}.{key}" if path else key) for key, value in data.items()}, path)
    if isinstance(data, list):
        return Item(tuple(_tree(value, f"{path}[{place}]") for place, value in enumerate(data)), path)
    return Item(data, path)


def moment(when: dt.datetime) -> str:
    """Return a moment as RFC 3339 has it, in UTC with a `Z`, as protojson writes it. Raises MessageError."""
    if when.tzinfo is None:
        raise MessageError(f"the moment {when} has no time zone, so that it cannot be written in UTC")
    utc = when.astimezone(dt.UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds' if utc.microsecond else 'seconds')}Z"


def at(seconds: float) -> dt.datetime:
    """Return the moment that is so many seconds after 1970 began. Raises MessageError."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise MessageError(f"{seconds} seconds after 1970 is no moment that can be written") from None


def read(path: Path) -> Document:
    """Read a result, a mesh's or an environment's description. Raises MessageError with all that is wrong."""
    try:
        root = document.load(path)
    except DocumentError as error:
        raise MessageError(str(error)) from None
    name = kinds.kind(root)
    if name not in _CLASSES:
        found = f"a {name}" if name else "none of SMP's messages"
        raise MessageError(f"{path} is {found}; wanted is one of {', '.join(_CLASSES)}")
    findings: list[Finding] = []
    values = shape.read(root, name, findings)
    if findings:
        raise MessageError(f"{path} is no {name}:" + "".join(f"\n  {finding}" for finding in findings))
    if "latencies_ms" in values:
        values["latencies_ms"] = Latency(**values["latencies_ms"])
    if "mesh_type" in values:
        values["mesh_type"] = ServiceMesh(**values["mesh_type"])
    return _CLASSES[name](**{"smp_version": "", **values})
