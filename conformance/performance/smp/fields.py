"""SMP's messages and their fields, as published: names, numbers and types.

Source: `protos/service_mesh_performance.proto`, `service_mesh.proto` and `metadata.proto` of SMP v0.6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["string", "bool", "int32", "int64", "double", "timestamp", "map", "enum", "message"]

_SCALARS: Final[Mapping[str, Kind]] = {
    "string": "string", "bool": "bool", "int32": "int32", "int64": "int64", "double": "double",
    "timestamp": "timestamp", "map": "map",
}


@dataclass(frozen=True)
class Field:
    """One field of a message. `of` names the message or enumeration that it holds; a `map` is of text to text."""

    name: str
    number: int
    kind: Kind
    of: str = ""
    repeated: bool = False

    @property
    def camel(self) -> str:
        """The name as protojson writes it."""
        first, *others = self.name.split("_")
        return first + "".join(word.capitalize() for word in others)


@dataclass(frozen=True)
class Message:
    """A message and its fields by name."""

    name: str
    fields: Mapping[str, Field]

    def field(self, key: str) -> Field | None:
        """Return the field of that name, in snake_case or as protojson writes it; None if there is none."""
        return self.fields.get(key) or next((one for one in self.fields.values() if one.camel == key), None)


ENUMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "Protocol": ("PROTOCOL_INVALID", "PROTOCOL_HTTP", "PROTOCOL_TCP", "PROTOCOL_UDP", "PROTOCOL_GRPC"),
    "ApplicationProtocol": ("PROTOCOL_INVALID", "PROTOCOL_HTTP", "PROTOCOL_HTTPS"),
    "MeshType": (
        "INVALID_MESH", "APP_MESH", "CONSUL", "ISTIO", "KUMA", "LINKERD", "TRAEFIK_MESH", "OCTARINE",
        "NETWORK_SERVICE_MESH", "TANZU", "OPEN_SERVICE_MESH", "NGINX_SERVICE_MESH", "CILIUM_SERVICE_MESH",
    ),
})
"""The names of each enumeration; a name's place is its number. `MeshType` is SMP's `ServiceMesh.Type`."""

_PROXIES: Final = ("count int32", "cpu_mcores int32", "mem_mb int32", "rps int32", "bps int32")

_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    # Every message of SMP numbers its fields from 1 without a gap: the place is the number.
    "PerformanceTestConfig": (
        "smp_version string", "id string", "name string", "labels map", "clients repeated Client", "duration string",
    ),
    "Client": (
        "internal bool", "load_generator string", "protocol Protocol", "connections int32", "rps int64",
        "headers map", "cookies map", "body string", "content_type string", "endpoint_urls repeated string",
        "ssl_certificate string", "additional_options string",
    ),
    "PerformanceTestResult": (
        "smp_version string", "id string", "labels map", "start_time timestamp", "end_time timestamp",
        "latencies_ms Latency", "actual_qps double", "details_uri string", "test_id string", "mesh_config_id string",
        "env_id string",
    ),
    "Latency": ("min double", "average double", "p50 double", "p90 double", "p99 double", "max double"),
    "CPU": (
        "cpu_mcores int32", "user double", "nice double", "system double", "idle double", "iowait double",
        "hardware_interrupt double", "software_interrupt double", "steal double",
    ),
    "Memory": ("mem_total_mb double", "mem_free_mb double", "mem_used_mb double"),
    "Swap": ("swap_total_mb double", "swap_free_mb double", "swap_used_mb double"),
    "ServiceMeshConfig": (
        "smp_version string", "id string", "labels map", "ingress_gateway IngressGateway", "sidecar Sidecar",
        "mesh_telemetry MeshTelemetry", "mesh_policy MeshPolicy", "mesh_control_plane MeshControlPlane",
        "mesh_policy_enabled bool", "mesh_telemetry_enabled bool", "mtls_enabled bool", "proxy_concurrency int32",
        "mesh_build string", "proxy_build string", "exp_group_uuid string", "exp_uuid string", "profile string",
        "mesh_type ServiceMesh", "application_metadata ApplicationMetadata",
    ),
    "IngressGateway": _PROXIES,
    "EgressGateway": _PROXIES,
    "Sidecar": _PROXIES,
    "MeshTelemetry": _PROXIES[:4],
    "MeshPolicy": (*_PROXIES[:4], "cache_hit_rate int32"),
    "MeshControlPlane": (
        *_PROXIES[:3], "endpoints int32", "services int32", "sidecars int32", "virtual_services int32",
        "destination_rules int32", "lds_latency_ms int32", "cds_latency_ms int32",
    ),
    "EnvironmentConfig": (
        "smp_version string", "id string", "labels map", "kubernetes_version string", "nodes repeated Node",
        "individual_workloads repeated IndividualWorkload", "traffic_metadata TrafficMetadata",
    ),
    "Node": ("type string", "cores int32", "mem_mb int64"),
    "IndividualWorkload": ("name string", "count int32", "cpu_mcores int32", "mem_mb int32"),
    "ServiceMesh": ("type MeshType", "version string", "labels map", "annotations map"),
    "ApplicationMetadata": (
        "application_name string", "application_version string", "helmchart_name string", "helmchart_version string",
        "cnabspec_version string", "compose_version string", "cluster_name string", "k8s_version_supported string",
        "application_protocol ApplicationProtocol",
    ),
    "TrafficMetadata": (
        "load_balance_name string", "load_balance_ip string", "host_endpoint string", "prometheus_url string",
        "http_headers string", "user_agent string", "ping_health_endpoint string",
    ),
}

LATEST: Final = (0, 6, 1)
"""The last release of SMP; nothing was published after it."""
VERSION: Final = "v0.0.1"
"""What SMP's own documents and Meshery write as `smp_version`."""

UNREFERENCED: Final = ("CPU", "Memory", "Swap", "EgressGateway")
"""Messages that SMP declares and no field holds: nothing of them can be written."""

DOCUMENTS: Final = ("PerformanceTestConfig", "PerformanceTestResult", "ServiceMeshConfig", "EnvironmentConfig")
"""The messages that stand in a file of their own."""


def _field(number: int, said: str) -> Field:
    name, *words = said.split()
    of = words[-1]
    repeated = len(words) > 1
    if of in _SCALARS:
        return Field(name, number, _SCALARS[of], repeated=repeated)
    return Field(name, number, "enum" if of in ENUMS else "message", of, repeated)


MESSAGES: Final[Mapping[str, Message]] = MappingProxyType({
    name: Message(name, MappingProxyType({
        one.name: one for one in (_field(number, said) for number, said in enumerate(said_fields, 1))
    }))
    for name, said_fields in _TABLE.items()
})
