"""A run as SMP's messages: a result per load, the mesh that it went through, and where it was measured.

SMP has room for six latencies and for whole millicores and megabytes. What is finer stands in `labels`, all the rest
behind `details_uri`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from conformance.performance.histogram import Histogram
from conformance.performance.model import Environment, LoadSummary, ProbeResult, Run, RunHeader
from conformance.performance.paths import AGAIN, BOTH, DIRECT
from conformance.performance.smp.config import ServiceMesh
from conformance.performance.smp.consumed import Consumed, consumed, place, valid
from conformance.performance.smp.fields import ENUMS
from conformance.performance.smp.messages import (
    Document,
    EnvironmentConfig,
    Latency,
    MessageError,
    PerformanceTestResult,
    ServiceMeshConfig,
    at,
    to_json,
)

TEST_ID: Final = "smp_test_id"
"""The label of a run that holds the id of the configuration that it ran."""
MEGABYTE: Final = 10**6
"""SMP says MB."""
_DIRECT: Final = frozenset({DIRECT, AGAIN})
_MESHES: Final[Mapping[str, str]] = {
    "app-mesh": "APP_MESH", "appmesh": "APP_MESH", "aws-app-mesh": "APP_MESH", "consul": "CONSUL", "istio": "ISTIO",
    "kuma": "KUMA", "linkerd": "LINKERD", "traefik": "TRAEFIK_MESH", "maesh": "TRAEFIK_MESH",
    "traefik-mesh": "TRAEFIK_MESH", "octarine": "OCTARINE", "network-service-mesh": "NETWORK_SERVICE_MESH",
    "nsm": "NETWORK_SERVICE_MESH", "tanzu": "TANZU", "open-service-mesh": "OPEN_SERVICE_MESH",
    "osm": "OPEN_SERVICE_MESH", "nginx-service-mesh": "NGINX_SERVICE_MESH", "nginx": "NGINX_SERVICE_MESH",
    "nsm-nginx": "NGINX_SERVICE_MESH", "nginx-sm": "NGINX_SERVICE_MESH", "cilium": "CILIUM_SERVICE_MESH",
}


@dataclass(frozen=True)
class Ids:
    """The ids of the documents that belong together; `test` is that of the configuration that was run."""

    test: str
    environment: str
    meshes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Documents:
    """A run as SMP's messages. `left_out` says which loads SMP has no way to state, and why."""

    results: tuple[PerformanceTestResult, ...]
    meshes: tuple[ServiceMeshConfig, ...]
    environment: EnvironmentConfig
    left_out: tuple[str, ...] = ()


def identity(run: str, what: str) -> str:
    """Return a UUID for a part of a run: the same for the same part."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:mesh-conformance:{run}:{what}"))


def latencies(histogram: Histogram) -> Latency:
    """Return SMP's six latencies in milliseconds. Raises MessageError when nothing was counted."""
    if not histogram.count:
        raise MessageError("no request was answered, so there are no latencies, and SMP cannot say so")
    p50, p90, p99 = (milliseconds(histogram.percentile(share)) for share in (0.5, 0.9, 0.99))
    return Latency(milliseconds(histogram.min), milliseconds(histogram.mean), p50, p90, p99,
                   milliseconds(histogram.max))


def milliseconds(ns: float) -> float:
    """Return nanoseconds as milliseconds, to the nanosecond."""
    return round(ns / 1e6, 6)


def of_load(
    load: LoadSummary, ids: Ids, *, id_: str, started: float, details_uri: str = "",
    labels: Mapping[str, str] | None = None,
) -> PerformanceTestResult:
    """Return a load as a PerformanceTestResult; `started` is in seconds since 1970. Raises MessageError.

    Latencies are those from the intended time of sending. The end is the start and the length of the load: rounds that
    are interleaved with other loads are stated as one stretch, so that the rate times the length is what was answered.
    """
    path = load.labels.get("path", BOTH)
    return PerformanceTestResult(
        id=id_, labels={**load.labels, **(labels or {}), **_measured(load)}, start_time=at(started),
        end_time=at(started + load.seconds), latencies_ms=latencies(load.response), actual_qps=load.achieved,
        details_uri=details_uri, test_id=ids.test, mesh_config_id=ids.meshes.get(path, ""), env_id=ids.environment,
    )


def _measured(load: LoadSummary) -> dict[str, str]:
    """What SMP has no fields for."""
    response, service = load.response, load.service
    more = {f"p{name}_ms": response.percentile(share) for name, share in (("75", 0.75), ("95", 0.95), ("99_9", 0.999))}
    if service.count:
        more |= {"service_p50_ms": service.percentile(0.5), "service_p99_ms": service.percentile(0.99)}
    return {
        "latency": "from the intended time of sending",
        "requested_rps": f"{load.requested:.9g}" if load.requested else "max",
        "connections": str(load.connections), "completed": str(response.count),
        "errors": str(sum(load.errors.values())), **{name: f"{milliseconds(ns):g}" for name, ns in more.items()},
    }


def mesh_config(
    header: RunHeader, found: Consumed, *, id_: str, mtls: bool | None = None, proxy_build: str = "",
) -> ServiceMeshConfig:
    """Return the mesh as a load on one path met it; on the direct path there is none."""
    direct = found.path in _DIRECT
    name = "none" if direct else header.mesh
    kind = 0 if direct else ENUMS["MeshType"].index(_MESHES.get(_base(header.mesh), "INVALID_MESH"))
    raw = {"sidecar_cpu_cores": found.proxy_cpu, "sidecar_memory_bytes": found.proxy_memory,
           "control_plane_cpu_cores": found.control_cpu, "control_plane_memory_bytes": found.control_memory}
    labels = {"mesh": name, "path": found.path, "harness": header.harness,
              **{label: f"{value:.9g}" for label, value in raw.items() if value is not None}}
    sidecar = {"count": found.proxies, **_whole(found.proxy_cpu, found.proxy_memory)} if found.proxies else {}
    if sidecar and found.rate:
        sidecar["rps"] = round(found.rate)
    return ServiceMeshConfig(
        id=id_, labels=labels, sidecar=sidecar,
        mesh_control_plane={} if direct else _whole(found.control_cpu, found.control_memory),
        mtls_enabled=False if direct else mtls, mesh_build="" if direct else header.mesh_version,
        proxy_build="" if direct else proxy_build, exp_group_uuid=identity(header.run, "run"), exp_uuid=id_,
        profile=found.path,
        mesh_type=ServiceMesh(kind, "" if direct else header.mesh_version, {"mesh": name}),
    )


def _base(mesh: str) -> str:
    """The mesh without the instance, of which SMP knows nothing: `istio` of `istio@canary`."""
    return mesh.partition("@")[0].lower()


def _whole(cores: float | None, memory: float | None) -> dict[str, int]:
    found = {"cpu_mcores": None if cores is None else round(cores * 1000),
             "mem_mb": None if memory is None else round(memory / MEGABYTE)}
    return {name: value for name, value in found.items() if value is not None}


def environment_config(environment: Environment, *, id_: str) -> EnvironmentConfig:
    """Return where a run took place."""
    nodes = tuple({"type": environment.cpu_model or node.architecture, "cores": node.cores,
                   "mem_mb": round(node.memory / MEGABYTE)} for node in environment.nodes)
    return EnvironmentConfig(id=id_, labels={"cluster": environment.cluster},
                             kubernetes_version=environment.kubernetes, nodes=nodes)


def documents(run: Run, *, test_id: str = "", details_uri: str = "", mtls: bool | None = None) -> Documents:
    """Return a run as SMP's messages: a result for each load that is valid and has answers.

    `test_id` is the id of the PerformanceTestConfig that was run. Without one it is the run's label `smp_test_id`, and
    without that it is made from the run's name.
    """
    header = run.header
    loads = [(result, load) for result in run.results for load in result.loads]
    paths = sorted({load.labels.get("path", BOTH) for _, load in loads} or {BOTH})
    test_id = test_id or header.labels.get(TEST_ID, "") or identity(header.run, "test")
    ids = Ids(test_id, identity(header.run, "environment"),
              {path: identity(header.run, f"mesh {path}") for path in paths})
    results: list[PerformanceTestResult] = []
    left_out = []
    for number, (result, load) in enumerate(loads):
        why = _refused(result, load)
        if why:
            left_out.append(f"{result.probe}, {place(load.labels)}: {why}")
            continue
        results.append(of_load(
            load, ids, id_=identity(header.run, f"result {number}"), started=result.started or header.started,
            details_uri=details_uri, labels={"probe": result.probe, "run": header.run}))
    return Documents(
        tuple(results),
        tuple(mesh_config(header, consumed(run, path), id_=ids.meshes[path], mtls=mtls) for path in paths),
        environment_config(header.environment, id_=ids.environment), tuple(left_out),
    )


def _refused(result: ProbeResult, load: LoadSummary) -> str:
    if load not in valid(result):
        reasons = [str(one) for one in result.invalid if one.where in {"", place(load.labels)}]
        return f"invalid: {'; '.join(reasons)}"
    if not load.response.count:
        return "no request was answered, and SMP has no result without latencies"
    return ""


def write(directory: Path, found: Documents) -> tuple[Path, ...]:
    """Write each message to a file of its own, and return the files. Raises MessageError and OSError."""
    named: list[tuple[str, Document]] = [("smp-environment.json", found.environment)]
    named += [(f"smp-mesh-{number:02d}.json", one) for number, one in enumerate(found.meshes, 1)]
    named += [(f"smp-result-{number:02d}.json", one) for number, one in enumerate(found.results, 1)]
    texts = {name: json.dumps(to_json(one), indent=2, ensure_ascii=False) + "\n" for name, one in named}
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return tuple(directory / name for name in texts)
