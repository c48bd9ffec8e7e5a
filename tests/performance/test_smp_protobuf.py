"""What is written and read is what SMP's protocol buffers mean by it: held to messages compiled from their fields.

The table below is written down from the protos of SMP v0.6.1 independently of the harness's own; protobuf's strict JSON
reader is the judge.
"""

from __future__ import annotations

import dataclasses
import json

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, timestamp_pb2
from smp_samples import run

from conformance.performance.smp import config, messages, result, shape
from conformance.performance.smp.document import parse
from conformance.performance.smp.fields import ENUMS, MESSAGES

SCALARS = {"string": 9, "bool": 8, "int32": 5, "int64": 3, "double": 1}  # FieldDescriptorProto.Type
TYPES = {
    "PerformanceTestConfig.Client.Protocol":
        "PROTOCOL_INVALID=0 PROTOCOL_HTTP=1 PROTOCOL_TCP=2 PROTOCOL_UDP=3 PROTOCOL_GRPC=4",
    "ServiceMesh.Type":
        "INVALID_MESH=0 APP_MESH=1 CONSUL=2 ISTIO=3 KUMA=4 LINKERD=5 TRAEFIK_MESH=6 OCTARINE=7 NETWORK_SERVICE_MESH=8 "
        "TANZU=9 OPEN_SERVICE_MESH=10 NGINX_SERVICE_MESH=11 CILIUM_SERVICE_MESH=12",
    "ApplicationMetadata.ApplicationProtocol": "PROTOCOL_INVALID=0 PROTOCOL_HTTP=1 PROTOCOL_HTTPS=2",
}
PROXY = "1 count int32, 2 cpu_mcores int32, 3 mem_mb int32, 4 rps int32, 5 bps int32"
PUBLISHED = {
    "PerformanceTestConfig":
        "1 smp_version string, 2 id string, 3 name string, 4 labels map, 5 clients PerformanceTestConfig.Client*, "
        "6 duration string",
    "PerformanceTestConfig.Client":
        "1 internal bool, 2 load_generator string, 3 protocol PerformanceTestConfig.Client.Protocol, "
        "4 connections int32, 5 rps int64, 6 headers map, 7 cookies map, 8 body string, 9 content_type string, "
        "10 endpoint_urls string*, 11 ssl_certificate string, 12 additional_options string",
    "PerformanceTestResult":
        "1 smp_version string, 2 id string, 3 labels map, 4 start_time timestamp, 5 end_time timestamp, "
        "6 latencies_ms PerformanceTestResult.Latency, 7 actual_qps double, 8 details_uri string, 9 test_id string, "
        "10 mesh_config_id string, 11 env_id string",
    "PerformanceTestResult.Latency":
        "1 min double, 2 average double, 3 p50 double, 4 p90 double, 5 p99 double, 6 max double",
    "PerformanceTestResult.CPU":
        "1 cpu_mcores int32, 2 user double, 3 nice double, 4 system double, 5 idle double, 6 iowait double, "
        "7 hardware_interrupt double, 8 software_interrupt double, 9 steal double",
    "PerformanceTestResult.Memory": "1 mem_total_mb double, 2 mem_free_mb double, 3 mem_used_mb double",
    "PerformanceTestResult.Swap": "1 swap_total_mb double, 2 swap_free_mb double, 3 swap_used_mb double",
    "ServiceMeshConfig":
        "1 smp_version string, 2 id string, 3 labels map, 4 ingress_gateway ServiceMeshConfig.IngressGateway, "
        "5 sidecar ServiceMeshConfig.Sidecar, 6 mesh_telemetry ServiceMeshConfig.MeshTelemetry, "
        "7 mesh_policy ServiceMeshConfig.MeshPolicy, 8 mesh_control_plane ServiceMeshConfig.MeshControlPlane, "
        "9 mesh_policy_enabled bool, 10 mesh_telemetry_enabled bool, 11 mtls_enabled bool, "
        "12 proxy_concurrency int32, 13 mesh_build string, 14 proxy_build string, 15 exp_group_uuid string, "
        "16 exp_uuid string, 17 profile string, 18 mesh_type ServiceMesh, "
        "19 application_metadata ApplicationMetadata",
    "ServiceMeshConfig.IngressGateway": PROXY,
    "ServiceMeshConfig.EgressGateway": PROXY,
    "ServiceMeshConfig.Sidecar": PROXY,
    "ServiceMeshConfig.MeshTelemetry": "1 count int32, 2 cpu_mcores int32, 3 mem_mb int32, 4 rps int32",
    "ServiceMeshConfig.MeshPolicy":
        "1 count int32, 2 cpu_mcores int32, 3 mem_mb int32, 4 rps int32, 5 cache_hit_rate int32",
    "ServiceMeshConfig.MeshControlPlane":
        "1 count int32, 2 cpu_mcores int32, 3 mem_mb int32, 4 endpoints int32, 5 services int32, 6 sidecars int32, "
        "7 virtual_services int32, 8 destination_rules int32, 9 lds_latency_ms int32, 10 cds_latency_ms int32",
    "EnvironmentConfig":
        "1 smp_version string, 2 id string, 3 labels map, 4 kubernetes_version string, "
        "5 nodes EnvironmentConfig.Node*, 6 individual_workloads EnvironmentConfig.IndividualWorkload*, "
        "7 traffic_metadata TrafficMetadata",
    "EnvironmentConfig.Node": "1 type string, 2 cores int32, 3 mem_mb int64",
    "EnvironmentConfig.IndividualWorkload": "1 name string, 2 count int32, 3 cpu_mcores int32, 4 mem_mb int32",
    "ServiceMesh": "1 type ServiceMesh.Type, 2 version string, 3 labels map, 4 annotations map",
    "ApplicationMetadata":
        "1 application_name string, 2 application_version string, 3 helmchart_name string, "
        "4 helmchart_version string, 5 cnabspec_version string, 6 compose_version string, 7 cluster_name string, "
        "8 k8s_version_supported string, 9 application_protocol ApplicationMetadata.ApplicationProtocol",
    "TrafficMetadata":
        "1 load_balance_name string, 2 load_balance_ip string, 3 host_endpoint string, 4 prometheus_url string, "
        "5 http_headers string, 6 user_agent string, 7 ping_health_endpoint string",
}


def fields(said):
    for one in said.split(", "):
        number, name, kind = one.split()
        yield int(number), name, kind.rstrip("*"), kind.endswith("*")


def describe(message, name, said):
    """Fill a DescriptorProto with the fields of a message, and of those that stand in it."""
    message.name = name.rpartition(".")[2]
    for number, field, kind, repeated in fields(said):
        one = message.field.add(name=field, number=number, label=3 if repeated or kind == "map" else 1)
        if kind in SCALARS:
            one.type = SCALARS[kind]
        elif kind == "map":
            entry = message.nested_type.add(name="".join(part.capitalize() for part in field.split("_")) + "Entry")
            entry.options.map_entry = True
            for place, key in ((1, "key"), (2, "value")):
                entry.field.add(name=key, number=place, label=1, type=9)
            one.type, one.type_name = 11, f".smp.{name}.{entry.name}"
        else:
            one.type = 14 if kind in TYPES else 11
            one.type_name = ".google.protobuf.Timestamp" if kind == "timestamp" else f".smp.{kind}"
    for nested, inner in PUBLISHED.items():
        if nested.rpartition(".")[0] == name:
            describe(message.nested_type.add(), nested, inner)
    for enum, values in TYPES.items():
        if enum.rpartition(".")[0] == name:
            found = message.enum_type.add(name=enum.rpartition(".")[2])
            for value in values.split():
                label, _, number = value.partition("=")
                found.value.add(name=label, number=int(number))


@pytest.fixture(scope="module")
def compiled():
    """SMP's messages as protobuf classes, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="smp.proto", package="smp", syntax="proto3",
                                              dependency=["google/protobuf/timestamp.proto"])
    for name, said in PUBLISHED.items():
        if "." not in name:
            describe(file.message_type.add(), name, said)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"smp.{name}")) for name in PUBLISHED}


def test_the_harness_has_every_field_number_and_type():
    assert {name.rpartition(".")[2] for name in PUBLISHED} == set(MESSAGES)
    for name, said in PUBLISHED.items():
        ours = MESSAGES[name.rpartition(".")[2]]
        theirs = {field: (number, kind, repeated) for number, field, kind, repeated in fields(said)}
        assert set(ours.fields) == set(theirs)
        for field in ours.fields.values():
            number, kind, repeated = theirs[field.name]
            of = {"ServiceMesh.Type": "MeshType"}.get(kind, kind.rpartition(".")[2])
            assert (field.number, field.of or field.kind, field.repeated) == (number, of, repeated)


def test_the_harness_has_every_value_of_the_enumerations():
    for name, said in TYPES.items():
        ours = ENUMS[{"ServiceMesh.Type": "MeshType"}.get(name, name.rpartition(".")[2])]
        assert said.split() == [f"{label}={number}" for number, label in enumerate(ours)]


def test_names_in_camel_case_are_protobuf_s(compiled):
    for name, cls in compiled.items():
        ours = MESSAGES[name.rpartition(".")[2]]
        assert {one.name: one.json_name for one in cls.DESCRIPTOR.fields} == {
            one.name: one.camel for one in ours.fields.values()}


def written():
    found = result.documents(run(mesh="linkerd"), test_id="t1", details_uri="performance.json", mtls=True)
    full = messages.EnvironmentConfig(
        id="e", labels={"a": "b"}, kubernetes_version="v1", nodes=({"type": "x", "cores": 2, "mem_mb": 1 << 40},),
        individual_workloads=({"name": "w", "count": 1, "cpu_mcores": 2, "mem_mb": 3},),
        traffic_metadata=dict.fromkeys(MESSAGES["TrafficMetadata"].fields, "x"))
    mesh = messages.ServiceMeshConfig(
        id="m", ingress_gateway={"count": 1, "bps": 2}, mesh_telemetry={"rps": 1}, mesh_policy={"cache_hit_rate": 9},
        mesh_control_plane=dict.fromkeys(MESSAGES["MeshControlPlane"].fields, 1), mesh_policy_enabled=False,
        mesh_telemetry_enabled=True, mtls_enabled=True, proxy_concurrency=2, mesh_build="1", proxy_build="2",
        exp_group_uuid="3", exp_uuid="4", profile="5", application_metadata={"application_protocol": 1})
    return [*found.results, *found.meshes, found.environment, full, mesh]


def as_proto3_has_it(message):
    """Without what is false: proto3 does not tell that from what was never set."""
    unset = [one.name for one in dataclasses.fields(message) if getattr(message, one.name) is False]
    return dataclasses.replace(message, **dict.fromkeys(unset))


@pytest.mark.parametrize("message", written(), ids=lambda message: f"{type(message).__name__}-{message.id[:8]}")
def test_what_is_written_protobuf_reads_and_writes_back(tmp_path, compiled, message):
    data = json.loads(json.dumps(messages.to_json(message)))
    found = json_format.ParseDict(data, compiled[type(message).__name__](), ignore_unknown_fields=False)
    file = tmp_path / "document.json"
    for camel in (True, False):
        for numbers in (True, False):
            file.write_text(json_format.MessageToJson(
                found, preserving_proto_field_name=not camel, use_integers_for_enums=numbers))
            read = messages.read(file)
            assert read == as_proto3_has_it(message)
            assert json_format.ParseDict(messages.to_json(read), compiled[type(message).__name__]()) == found
    again = compiled[type(message).__name__].FromString(found.SerializeToString())
    assert again == found


CONFIG = {
    "smp_version": "v0.0.1", "id": "t", "name": "n", "labels": {"a": "b"}, "duration": "1m30s",
    "clients": [{
        "internal": True, "load_generator": "fortio", "protocol": 1, "connections": 4, "rps": 1 << 16,
        "headers": {"X-A": "b"}, "cookies": {"c": "d"}, "body": "hello", "content_type": "text/plain",
        "endpoint_urls": ["https://echo/", "https://echo/2"], "ssl_certificate": "PEM",
        "additional_options": '{"QPS": 65536}',
    }],
}


def test_a_configuration_of_every_field_survives_protobuf(tmp_path, compiled):
    assert set(CONFIG) == set(MESSAGES["PerformanceTestConfig"].fields)
    assert set(CONFIG["clients"][0]) == set(MESSAGES["Client"].fields)
    found = json_format.ParseDict(CONFIG, compiled["PerformanceTestConfig"]())
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    wanted = config.read(file)
    for camel in (True, False):
        file.write_text(json_format.MessageToJson(found, preserving_proto_field_name=not camel))
        assert config.read(file) == wanted


@pytest.mark.parametrize(("name", "data"), [
    ("PerformanceTestResult", {"latencies_ms": {"p95": 1.0}}), ("PerformanceTestResult", {"cpu": {"user": 1.0}}),
    ("PerformanceTestResult", {"actual_qps": "fast"}), ("PerformanceTestResult", {"start_time": "today"}),
    ("PerformanceTestResult", {"latencies_ms": [1]}), ("PerformanceTestResult", {"id": 5}),
    ("ServiceMeshConfig", {"mesh_type": {"type": "NO_MESH"}}), ("ServiceMeshConfig", {"sidecar": {"count": 1.5}}),
    ("ServiceMeshConfig", {"sidecar": {"count": 1 << 31}}), ("ServiceMeshConfig", {"mtls_enabled": 1}),
    ("ServiceMeshConfig", {"egress_gateway": {"count": 1}}), ("EnvironmentConfig", {"nodes": {"cores": 1}}),
    ("EnvironmentConfig", {"nodes": [{"mem_mb": 1 << 63}]}), ("EnvironmentConfig", {"labels": ["a"]}),
    ("EnvironmentConfig", {"labels": {"a": 1}}),
], ids=range(15))
def test_what_protobuf_refuses_the_harness_refuses(compiled, name, data):
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(data, compiled[name]())
    findings = []
    shape.read(parse(json.dumps(data)), name, findings)
    assert findings
