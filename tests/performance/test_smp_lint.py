"""The linter: each rule finds what it is for, and leaves alone what only looks like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from conformance.performance.smp import lint
from conformance.performance.smp.rules import RULES, describe


def config(**changes):
    test = {"smp_version": "v0.0.1", "id": "t1", "name": "test", "duration": "30s", "clients": [client()]}
    return {"test": test | changes, "mesh": {"type": 3}}


def client(**changes):
    return {"load_generator": "fortio", "protocol": 1, "connections": 2, "rps": 10,
            "endpoint_urls": ["http://echo:8080/"]} | changes


LATENCIES = {"min": 0.2, "average": 0.4, "p50": 0.3, "p90": 0.6, "p99": 0.9, "max": 12.5}


def result(**changes):
    return {"smp_version": "v0.0.1", "id": "r1", "labels": {"run": "1"}, "start_time": "2026-11-21T10:00:00Z",
            "end_time": "2026-11-21T10:00:30Z", "latencies_ms": LATENCIES, "actual_qps": 10, "details_uri": "run.json",
            "test_id": "t1", "mesh_config_id": "m1", "env_id": "e1"} | changes


def latencies(**changes):
    return result(latencies_ms=LATENCIES | changes)


def seconds(**changes):
    """The same latencies, copied in seconds."""
    return result(latencies_ms={name: value / 1000 for name, value in LATENCIES.items()}, **changes)


def mesh(**changes):
    return {"smp_version": "v0.0.1", "id": "m1", "mesh_type": {"type": 5},
            "sidecar": {"count": 2, "cpu_mcores": 250}} | changes


def environment(**changes):
    return {"smp_version": "v0.0.1", "id": "e1", "kubernetes_version": "v1.34.1",
            "nodes": [{"cores": 4, "mem_mb": 8000}]} | changes


def without(data, *names):
    return {name: value for name, value in data.items() if name not in names}


OLDER = """\
start_time: 2020-03-17T14:53:05.499893378Z
exp_uuid: a0b57497
endpoint_url: http://192.168.1.15/productpage
env: {kubernetes: v1.15.5}
client:
  connections: 1
  rps: 0.9999971285438009
  latencies_ms: {min: 0.012007082, average: 0.0235817, p50: 0.021899077, p90: 0.0330292, p99: 0.055, max: 0.350472228}
metrics: {}
"""
# One connection that never pauses answers 25 times a second: each takes 40 ms, and 0.04 is seconds.
CLOSED = {"min": 0.03, "average": 0.04, "p50": 0.04, "p90": 0.05, "p99": 0.06, "max": 0.3}
# Answers of 40 microseconds, by many connections that pause.
FAST = {"min": 0.03, "average": 0.045, "p50": 0.04, "p90": 0.05, "p99": 0.06, "max": 0.3}

ALL_OUT = {"requested_rps": "max", "connections": "1"}

# rule, a document in which it finds something, one in which it does not
CASES = [
    ("unreadable", '{"id": "r1", "actual_qps": ', result()),
    ("unreadable", "", environment()),
    ("unknown-document", {"hello": "world"}, mesh()),
    ("unknown-document", "[1, 2]", [result(), mesh()]),
    ("wrong-type", latencies(p50="fast"), latencies(p50=0.3)),
    ("wrong-type", result(start_time="today"), result(start_time="2026-11-21T10:00:00.123456789Z")),
    ("unknown-key", latencies(p95=0.8), latencies()),
    ("unknown-key", mesh(sidecar={"cpu": 1}), mesh(sidecar={"cpu_mcores": 1})),
    ("duplicate-key", "latencies_ms: {p50: 1}\nactual_qps: 5\nactual_qps: 6\n",
     "latencies_ms: {p50: 1}\nactual_qps: 5\n"),
    ("earlier-name", result(actual_QPS=10), result()),
    ("earlier-name", config(clients=[client(endpoint_url=["http://echo/"])]), config()),
    ("unreferenced-message", result(cpu={"user": 1.0}), result()),
    ("unreferenced-message", mesh(egress_gateway={"count": 1}), mesh(ingress_gateway={"count": 1})),
    ("unknown-enum", mesh(mesh_type={"type": 13}), mesh(mesh_type={"type": 12})),
    ("out-of-range", config(clients=[client(rps=-1)]), config(clients=[client(rps=0)])),
    ("out-of-range", mesh(sidecar={"count": -1}), mesh(sidecar={"count": 0})),
    ("camel-case", without(result(), "test_id") | {"testId": "t1"}, result()),
    ("camel-case", environment(nodes=[{"cores": 4, "memMb": 8000}]), environment()),
    ("enum-as-name", mesh(mesh_type={"type": "LINKERD"}), mesh()),
    ("enum-as-name", config(clients=[client(protocol="PROTOCOL_HTTP")]), config()),
    ("number-as-string", config(clients=[client(rps="10")]), config(clients=[client(load_generator="wrk2")])),
    ("number-as-string", result(actual_qps="10"), result(id="10")),
    ("missing-version", without(result(), "smp_version"), result()),
    ("unknown-version", result(smp_version="v2.0.0"), result(smp_version="v0.6.1")),
    ("unknown-version", result(smp_version="0.0.1"), result(smp_version="v0.0.1")),
    ("missing-id", without(config()["test"], "id"), config()["test"]),
    ("missing-id", result(id=""), result(id="0")),
    ("placeholder", result(id="test_id"), result(id="test-id")),
    ("placeholder", result(labels={"test_label": "test_value"}), result(labels={"label": "value"})),
    ("meshery-record", {"meshery_id": "x", "runner_results": {"ActualQPS": 2.5}}, result()),
    ("older-shape", OLDER, result()),
    ("no-client", config(clients=[]), config()),
    ("no-endpoint", config(clients=[without(client(), "endpoint_urls")]), config()),
    ("bad-url", config(clients=[client(endpoint_urls=["echo:80"])]), config()),
    ("bad-header", config(clients=[client(headers={"a b": "c"})]), config(clients=[client(headers={"a-b": "c d"})])),
    ("bad-options", config(clients=[client(additional_options="{")]),
     config(clients=[client(additional_options="{}")])),
    ("contradiction", config(clients=[client(additional_options='{"QPS": 11}')]),
     config(clients=[client(additional_options='{"QPS": 10}')])),
    ("contradiction", config(clients=[client(protocol=2)]), config(clients=[client(protocol=1)])),
    ("same-client", config(clients=[client(), client()]), config(clients=[client(), client(rps=11)])),
    ("certificate-without-tls", config(clients=[client(ssl_certificate="PEM")]),
     config(clients=[client(ssl_certificate="PEM", endpoint_urls=["https://echo/"])])),
    ("invalid-protocol", config(clients=[client(protocol=0)]), config(clients=[without(client(), "protocol")])),
    ("invalid-mesh", config() | {"mesh": {"type": 0}}, config()),
    ("invalid-mesh", without(mesh(), "mesh_type"), mesh(mesh_type={"type": 0, "labels": {"mesh": "reference"}})),
    ("duration-invalid", config(duration="-1s"), config(duration="1s")),
    ("duration-invalid", config(duration="0"), config(duration="30m")),
    ("duration-misread", config(duration="1m30s"), config(duration="90s")),
    ("duration-misread", config(duration="1500ms"), config(duration="2h")),
    ("duration-misread", config(duration="1.5h"), config(duration="90m")),
    ("first-endpoint-only", config(clients=[client(), client(rps=1)]), config()),
    ("first-endpoint-only", config(clients=[client(endpoint_urls=["http://a/", "http://b/"])]), config()),
    ("mesh-missing", config()["test"], config()),
    ("unknown-generator", config(clients=[client(load_generator="forito")]), config()),
    ("seconds-as-milliseconds", OLDER, latencies(p50=0.05)),
    ("seconds-as-milliseconds", seconds(), result()),
    ("seconds-as-milliseconds", result(latencies_ms=CLOSED, actual_qps=25, labels=ALL_OUT),
     result(latencies_ms=FAST, actual_qps=22_000, labels=ALL_OUT)),
    ("seconds-as-milliseconds", result(latencies_ms=CLOSED, test_id="test_test_id"), result(latencies_ms=CLOSED)),
    ("negative-latency", latencies(min=-0.1), latencies(min=0)),
    ("percentiles-not-monotonic", latencies(p90=0.95), latencies(p90=0.9)),
    ("percentiles-not-monotonic", latencies(min=0.31), latencies(min=0.3)),
    ("average-out-of-range", latencies(average=0.1), latencies(average=0.2)),
    ("average-out-of-range", latencies(average=13), latencies(average=12.5)),
    ("no-latencies", without(result(), "latencies_ms"), result()),
    ("no-latencies", result(latencies_ms=dict.fromkeys(LATENCIES, 0)), latencies(min=0)),
    ("no-rate", without(result(), "actual_qps"), result()),
    ("end-before-start", result(end_time="2026-11-21T09:59:00Z"), result()),
    ("end-before-start", without(result(), "end_time"), result()),
    ("time-not-utc", result(start_time="2026-11-21T11:00:00+01:00"), result(start_time="2026-11-21T10:00:00+00:00")),
    ("rate-above-requested", result(labels={"requested_rps": "9"}), result(labels={"requested_rps": "9.95"})),
    ("rate-above-requested", [config(clients=[client(rps=5)]), result()], [config(clients=[client(rps=0)]), result()]),
    ("count-mismatch", result(labels={"completed": "400"}), result(labels={"completed": "290"})),
    ("shorter-than-requested", [config(duration="40s"), result()], [config(duration="31s"), result()]),
    ("missing-link", without(result(), "env_id"), result()),
    ("dangling-link", [environment(id="e2"), result()], [environment(id="e1"), result()]),
    ("dangling-link", [config(id="t2"), result()], [config(id="t1"), mesh(id="m1"), result()]),
    ("no-nodes", environment(nodes=[]), environment()),
    ("no-nodes", environment(nodes=[{"cores": 0, "mem_mb": 1}]), environment(nodes=[{"cores": 1, "mem_mb": 1}])),
]


def found(tmp_path: Path, data, name: str = "document.json"):
    """What is found in a file, or in several that belong together (a list of documents)."""
    text = data if isinstance(data, str) else json.dumps(data)
    file = tmp_path / name
    file.write_text(text)
    return lint.lint(file)


def rules(findings):
    return {one.rule for one in findings}


@pytest.mark.parametrize(("rule", "bad", "good"), CASES,
                         ids=[f"{place}-{case[0]}" for place, case in enumerate(CASES)])
def test_a_rule_finds_what_it_is_for_and_nothing_else(tmp_path, rule, bad, good):
    assert rule in rules(found(tmp_path, bad, "bad"))
    assert rule not in rules(found(tmp_path, good, "good"))


def test_every_rule_is_described_and_tested():
    assert {rule for rule, _, _ in CASES} == set(RULES)
    assert set(RULES) == {line.split("`")[1] for line in describe().splitlines()[2:]}


GOOD = (config(), result(), mesh(), environment())


@pytest.mark.parametrize("data", [*GOOD, list(GOOD)], ids=["config", "result", "mesh", "environment", "all"])
def test_good_documents_have_no_findings(tmp_path, data):
    assert lint.render({tmp_path: found(tmp_path, data)}).endswith("errors: 0, warnings: 0")


@pytest.mark.parametrize("notation", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
def test_defects_have_places(tmp_path, notation):
    one, = found(tmp_path, notation(latencies(p95=1.0)))
    assert one.place.endswith("latencies_ms.p95")
    assert one.place.startswith("line ") == (notation is yaml.safe_dump)


def test_what_protojson_writes_is_one_finding_a_value(tmp_path):
    findings = found(tmp_path, {"smpVersion": "v0.0.1", "id": "t", "duration": "5s", "clients": [
        {"protocol": "PROTOCOL_HTTP", "rps": "10", "endpointUrls": ["http://echo/"]}]})
    assert [(one.rule, one.place) for one in findings if one.level == "error"] == [
        ("camel-case", "smpVersion"), ("enum-as-name", "clients[0].protocol"), ("number-as-string", "clients[0].rps"),
        ("camel-case", "clients[0].endpointUrls")]


def test_a_number_as_text_is_one_finding(tmp_path):
    assert [one.rule for one in found(tmp_path, mesh(sidecar={"cpu_mcores": "250"}))] == ["number-as-string"]


def test_links_are_followed_between_files(tmp_path):
    files = []
    for name, data in (("config.yaml", config(clients=[client(rps=5)])), ("result.json", result()),
                       ("environment.json", environment(id="other"))):
        files.append(tmp_path / name)
        files[-1].write_text(json.dumps(data))
    findings = lint.lint_files(files)
    assert rules(findings[files[1]]) == {"rate-above-requested", "dangling-link"}
    text = lint.render(findings)
    assert text.splitlines()[-1] == "files: 3, errors: 2, warnings: 0"
    assert "result.json: env_id: 'e1' is the id of no EnvironmentConfig" in text


def test_meshery_s_own_conversion(tmp_path):
    """What one version of Meshery's ConvertToSpec writes: fortio's seconds and placeholders."""
    findings = found(tmp_path, {
        "smp_version": "test_smp_version", "id": "test_id", "labels": {"test_label": "test_value"},
        "start_time": "2022-05-12T18:17:05Z", "end_time": "2022-05-12T18:17:35Z", "actual_qps": 9.998,
        "latencies_ms": {"min": 0.0335, "average": 0.3866, "p50": 0.3833, "p90": 0.4374, "p99": 0.5022, "max": 0.5099},
        "details_uri": "test_details", "test_id": "test_test_id", "mesh_config_id": "test_meshconfigID",
        "env_id": "test_envID"})
    assert rules(findings) == {"placeholder", "unknown-version", "seconds-as-milliseconds"}
    assert sum(one.rule == "placeholder" for one in findings) == 7


def test_a_file_that_is_not_there_is_a_finding(tmp_path):
    one, = lint.lint(tmp_path / "none.json")
    assert one.rule == "unreadable"


def test_warnings_are_told_from_errors(tmp_path):
    assert not lint.failed({tmp_path: found(tmp_path, without(result(), "env_id"))})
    assert lint.failed({tmp_path: found(tmp_path, without(result(), "actual_qps"))})
    text = lint.render({tmp_path: found(tmp_path, without(result(), "env_id"))})
    assert "warning: " in text
    assert text.endswith("files: 1, errors: 0, warnings: 1")
