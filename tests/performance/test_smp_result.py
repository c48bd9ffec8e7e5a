"""A run as SMP's messages: units, links, what is left out, and back again."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from smp_samples import STARTED, histogram, load, refused, run

from conformance.performance.histogram import Histogram
from conformance.performance.smp import lint, messages, result
from conformance.performance.smp.config import ServiceMesh
from conformance.performance.smp.messages import (
    EnvironmentConfig,
    Latency,
    MessageError,
    PerformanceTestResult,
    ServiceMeshConfig,
)


def test_latencies_are_milliseconds():
    found = result.latencies(histogram(1, 2, 3, 4, 10))
    assert (found.min, found.average, found.max) == (1.0, 4.0, 10.0)
    assert found.p50 == pytest.approx(3.0, rel=0.004)
    assert found.p99 == 10.0


def test_without_answers_there_are_no_latencies():
    with pytest.raises(MessageError, match="no request was answered"):
        result.latencies(Histogram())


def test_a_result_says_what_smp_has_room_for_and_the_rest_in_labels():
    found = result.documents(run(), test_id="the-test", details_uri="performance.json")
    data = messages.to_json(found.results[0])
    assert set(data) == {"smp_version", "id", "labels", "start_time", "end_time", "latencies_ms", "actual_qps",
                         "details_uri", "test_id", "mesh_config_id", "env_id"}
    assert set(data["latencies_ms"]) == {"min", "average", "p50", "p90", "p99", "max"}
    assert data["latencies_ms"]["average"] == pytest.approx(0.275)
    assert data["actual_qps"] == 1000.0
    assert data["start_time"] == "2027-01-15T08:00:00.250000Z"
    assert data["end_time"] == "2027-01-15T08:00:10.250000Z"
    assert (data["test_id"], data["details_uri"]) == ("the-test", "performance.json")
    labels = data["labels"]
    assert (labels["path"], labels["requested_rps"]) == ("both", "1000")
    assert (labels["completed"], labels["errors"]) == ("10000", "0")
    assert float(labels["p95_ms"]) == pytest.approx(0.5, rel=0.004)


def test_the_documents_refer_to_each_other_and_ids_are_the_same_each_time():
    found = result.documents(run())
    meshes = {one.profile: one.id for one in found.meshes}
    for one in found.results:
        assert one.mesh_config_id == meshes[one.labels["path"]]
        assert one.env_id == found.environment.id
        assert one.test_id
    assert len({one.id for one in (*found.results, *found.meshes, found.environment)}) == 5
    assert result.documents(run()) == found


def test_the_id_of_the_configuration_comes_with_the_run():
    assert result.documents(run(labels={"smp_test_id": "t7"})).results[0].test_id == "t7"
    assert result.documents(run(labels={"smp_test_id": "t7"}), test_id="t8").results[0].test_id == "t8"


def test_the_mesh_in_whole_numbers_with_the_raw_ones_beside():
    both, direct = result.documents(run(mesh="istio"), mtls=True).meshes
    data = messages.to_json(both)
    assert data["sidecar"] == {"count": 2, "cpu_mcores": 252, "mem_mb": 130, "rps": 1000}
    assert data["mesh_control_plane"] == {"cpu_mcores": 20, "mem_mb": 120}
    assert data["mesh_type"] == {"type": 3, "version": "1.2.3", "labels": {"mesh": "istio"}}
    assert data["mtls_enabled"] is True
    assert data["labels"]["sidecar_cpu_cores"] == "0.252"
    data = messages.to_json(direct)
    assert "sidecar" not in data
    assert "mesh_control_plane" not in data
    assert data["mtls_enabled"] is False
    assert data["mesh_type"] == {"type": 0, "labels": {"mesh": "none"}}


@pytest.mark.parametrize(("name", "number"), [
    ("linkerd", 5), ("Istio", 3), ("cilium", 12), ("osm", 10), ("reference", 0),
    ("istio@canary", 3), ("nginx-sm", 11), ("reference@two", 0),
])
def test_the_type_of_a_mesh_is_its_number(name, number):
    assert result.documents(run(mesh=name)).meshes[0].mesh_type.type == number


def test_what_was_not_measured_is_left_out():
    both = result.documents(run(figures=())).meshes[0]
    assert "sidecar" not in messages.to_json(both)
    assert "mtls_enabled" not in messages.to_json(both)


def test_the_environment():
    data = messages.to_json(result.documents(run()).environment)
    assert data["kubernetes_version"] == "v1.34.1"
    assert data["nodes"] == [{"type": "EPYC", "cores": 4, "mem_mb": 8590}] * 2


@pytest.mark.parametrize(("invalid", "kept"), [
    ((), ["both", "direct"]), ((refused("both"),), ["direct"]), ((refused(""),), []),
    ((refused("both, 1 MB"),), ["both", "direct"]),
])
def test_a_load_that_is_invalid_is_no_result(invalid, kept):
    found = result.documents(run(invalid=invalid))
    assert [one.labels["path"] for one in found.results] == kept
    assert len(found.left_out) == 2 - len(kept)
    assert all("achieved 91 %" in one for one in found.left_out)


def test_a_load_without_answers_is_left_out_and_said():
    found = result.documents(run(load(answers=0), load("direct")))
    assert len(found.results) == 1
    said, = found.left_out
    assert said == "latency-overhead, both: no request was answered, and SMP has no result without latencies"


def test_a_closed_loop_asked_for_as_much_as_possible():
    one = result.documents(run(load(requested=None))).results[0]
    assert one.labels["requested_rps"] == "max"


def test_files_are_read_back_as_they_were_written_and_please_the_linter(tmp_path):
    found = result.documents(run(mesh="linkerd"), test_id="t1", details_uri="performance.json")
    files = result.write(tmp_path / "smp", found)
    assert [file.name for file in files] == ["smp-environment.json", "smp-mesh-01.json", "smp-mesh-02.json",
                                             "smp-result-01.json", "smp-result-02.json"]
    assert [messages.read(file) for file in files] == [found.environment, *found.meshes, *found.results]
    assert lint.render(lint.lint_files(files)) == "files: 5, errors: 0, warnings: 0"


def test_nothing_is_written_when_anything_cannot_be(tmp_path):
    broken = run(load(), load("direct", achieved=float("nan")))
    with pytest.raises(MessageError, match="actual_qps: a finite number"):
        result.write(tmp_path / "smp", result.documents(broken))
    assert not (tmp_path / "smp").exists()


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(MessageError, match=r"sidecar\.count: .* int32"):
        messages.to_json(ServiceMeshConfig(sidecar={"count": 1 << 31}))
    with pytest.raises(MessageError, match="time zone"):
        messages.to_json(PerformanceTestResult(start_time=dt.datetime.fromisoformat("2026-01-01T00:00:00")))
    for seconds in (float("nan"), float("inf"), 1e20):
        with pytest.raises(MessageError, match="no moment"):
            messages.at(seconds)


PROTOJSON = {"smpVersion": "v0.6.1", "id": "m", "meshType": {"type": "LINKERD", "version": "2.11"},
             "sidecar": {"cpuMcores": 36, "memMb": 26}, "mtlsEnabled": True,
             "applicationMetadata": {"applicationProtocol": "PROTOCOL_HTTPS"}}


def written(tmp_path, data):
    file = tmp_path / "document.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def test_reads_what_protojson_writes(tmp_path):
    found = messages.read(written(tmp_path, PROTOJSON))
    assert isinstance(found, ServiceMeshConfig)
    assert found.mesh_type == ServiceMesh(5, "2.11")
    assert found.sidecar == {"cpu_mcores": 36, "mem_mb": 26}
    assert found.application_metadata == {"application_protocol": 2}
    found = messages.read(written(tmp_path, {"kubernetesVersion": "v1", "nodes": [{"cores": 2, "memMb": "24000"}]}))
    assert found == EnvironmentConfig("", kubernetes_version="v1", nodes=({"cores": 2, "mem_mb": 24000},))
    found = messages.read(written(tmp_path, {
        "startTime": "2020-03-17T15:53:05.499893378+01:00", "actualQps": 5, "latenciesMs": {"p50": 2}}))
    assert found.start_time == dt.datetime(2020, 3, 17, 14, 53, 5, 499893, dt.UTC)
    assert (found.actual_qps, found.latencies_ms) == (5.0, Latency(p50=2.0))


@pytest.mark.parametrize(("data", "said"), [
    ("{", "neither JSON nor YAML"), ("[]", "none of SMP's messages"), ({"a": 1}, "none of SMP's messages"),
    ({"clients": []}, "a PerformanceTestConfig"), ({"runner_results": {}}, "a Meshery result"),
    ({"latencies_ms": {"p95": 1}, "actual_qps": 1}, "no field 'p95'"),
    ({"latencies_ms": {"p50": "fast"}, "actual_qps": True}, "latencies_ms.p50: a finite number"),
    ('{"actual_qps": NaN, "latencies_ms": {}}', "actual_qps: a finite number"),
    ('{"actual_qps": 1e999, "latencies_ms": {}}', "actual_qps: a finite number"),
    ({"actual_qps": 1, "start_time": "yesterday"}, "RFC 3339"),
    ({"actual_qps": 1, "start_time": "2026-02-30T00:00:00Z"}, "RFC 3339"),
    ({"actual_qps": 1, "start_time": "0001-01-01T00:00:00+23:59"}, "RFC 3339"),
    ({"actual_qps": 1, "latencies_ms": [1]}, "a Latency is a mapping"),
    ({"sidecar": {"cpu_mcores": 1 << 40}}, "does not fit cpu_mcores"),
    ({"nodes": {"cores": 1}}, "a list for nodes"),
    ({"mtls_enabled": "yes"}, "true or false"),
])
def test_refuses_what_is_no_message_and_says_where(tmp_path, data, said):
    with pytest.raises(MessageError) as caught:
        messages.read(written(tmp_path, data))
    assert said in str(caught.value)


def test_every_cut_of_a_result_is_refused_or_incomplete(tmp_path):
    text = json.dumps(messages.to_json(result.documents(run()).results[0]))
    for cut in range(0, len(text), 17):
        with pytest.raises(MessageError):
            messages.read(written(tmp_path, text[:cut]))


def test_moments_are_utc_with_a_z():
    assert messages.moment(messages.at(STARTED)) == "2027-01-15T08:00:00.250000Z"
    paris = dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert messages.moment(paris) == "2026-01-01T00:00:00Z"
