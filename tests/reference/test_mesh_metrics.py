"""What the mesh tells of its traffic: from a line of an access log to an answer of the API."""

from __future__ import annotations

import asyncio
import json
import time
from array import array

import httpx
import pytest
from cryptography import x509
from mesh_cluster import FakeCluster

from conformance.cluster import ClusterError, NotFound
from conformance.sandbox.mutants.metrics import MUTANTS
from conformance.sandbox.reference import metrics_server
from conformance.sandbox.reference.access_log import DIRECTORY, FILE, Exchange, logged, parse
from conformance.sandbox.reference.interception import SANDBOX
from conformance.sandbox.reference.metrics import Metrics, percentile
from conformance.sandbox.reference.metrics_inventory import KINDS, Inventory
from conformance.sandbox.reference.metrics_selector import label_selector
from conformance.sandbox.reference.metrics_server import MetricsServer
from conformance.sandbox.reference.metrics_traffic import KEPT, Flow, ProxyLog, Traffic

NOW = time.time()
BASE = "/apis/metrics.smi-spec.io/v1alpha1"


def line(side="server", peer="127.251.0.10", status=200, micros="1500", *, at=None, service="", cluster="inbound|8080"):
    return json.dumps([f"{at or time.time():.3f}", side, service, cluster, peer, status, micros],
                      separators=(",", ":")) + "\n"


# --- lines ---


def test_line_of_a_client_names_apex_backend_and_server():
    read = parse(line("client", "127.251.0.12:8080", 503, "2000", at=1795245064.5, service="demo/root",
                      cluster="outbound|demo/canary|8080").encode())
    assert read == Exchange(pytest.approx(1795245064.502), "client", "demo/root", "demo/canary", "127.251.0.12",
                            False, 0.002)


@pytest.mark.parametrize(("status", "success"), [(200, True), (404, True), (499, True), (500, False), (0, False)])
def test_request_fails_from_500_and_without_an_answer(status, success):
    assert parse(line(status=status).encode()).success is success


def test_request_without_a_server_and_without_an_end_is_read():
    read = parse(line("client", "-", 503, "-", cluster="-").encode())
    assert (read.peer, read.backend, read.seconds) == ("", "", 0.0)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1,2,3,4,5,6,7]", '["x","server","","",null,200,"1"]', '["1.0","s'])
def test_damaged_line_is_ignored(text):
    assert parse(text.encode()) is None


def test_configured_line_has_the_fields_that_are_read():
    configured = logged("client", "demo/root")["access_log"][0]["typed_config"]
    fields = json.loads(configured["log_format"]["text_format_source"]["inline_string"].replace("%RESPONSE_CODE%", "0"))
    assert configured["path"] == f"./{DIRECTORY}/{FILE}"
    assert fields[1:3] == ["client", "demo/root"]
    assert len(fields) == 7


# --- a proxy's log ---


@pytest.fixture
def proxy_log(tmp_path):
    return ProxyLog(tmp_path)


def sizes(log):
    return sum(len(series.ended) for series in log.flows(time.time()).values())


def write(directory, *lines):
    with (directory / FILE).open("a") as stream:
        stream.writelines(lines)


def test_log_is_read_on_and_half_a_line_later(proxy_log, tmp_path):
    assert sizes(proxy_log) == 0
    whole = line()
    write(tmp_path, whole, whole[:20])
    assert sizes(proxy_log) == 1
    write(tmp_path, whole[20:])
    assert sizes(proxy_log) == 2


def test_old_requests_are_neither_read_nor_remembered(proxy_log, tmp_path):
    now = time.time()
    write(tmp_path, line(at=now - KEPT - 500), line(at=now - KEPT + 5), line(at=now))
    assert sizes(proxy_log) == 2
    flows = proxy_log.flows(now + 20)
    assert [len(series.ended) for series in flows.values()] == [1]


def test_requests_that_end_out_of_order_are_found_by_time(proxy_log, tmp_path):
    now = time.time()
    write(tmp_path, *(line(at=now - ago, micros=micros) for ago, micros in ((3, "2900000"), (2, "1000"), (1, "1000"))))
    (series,) = proxy_log.flows(now).values()
    assert [round(value, 3) for value in series.between(now - 2.5, now - 0.5)] == [0.001, 0.001]
    assert len(series.between(now - 2.5, now)) == 3


def test_put_aside_loses_nothing_that_the_proxy_still_writes(proxy_log, tmp_path):
    write(tmp_path, line())
    kept_open = (tmp_path / FILE).open("a")  # as Envoy has it, until it opens the new one
    for _ in range(3):
        proxy_log.put_aside(lambda: None, time.time())
        with kept_open:
            kept_open.write(line())
        kept_open = (tmp_path / FILE).open("a")
    kept_open.close()
    write(tmp_path, line())
    assert sizes(proxy_log) == 5
    assert {file.name for file in tmp_path.iterdir()} == {FILE, f"{FILE}.1"}


def test_put_aside_is_undone_when_the_proxy_does_not_answer(proxy_log, tmp_path):
    def reopen():
        raise OSError("no answer")

    write(tmp_path, line())
    with pytest.raises(OSError, match="no answer"):
        proxy_log.put_aside(reopen, time.time())
    assert sizes(proxy_log) == 1
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_large_logs_are_put_aside_and_others_forgotten(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("conformance.sandbox.reference.metrics_traffic._reopen", asked.append)
    monkeypatch.setattr("conformance.sandbox.reference.metrics_traffic.LARGEST", 100)
    for name in ("large", "small"):
        (tmp_path / name).mkdir()
    write(tmp_path / "large", *[line()] * 3)
    write(tmp_path / "small", line())
    traffic = Traffic(lambda _, uid: tmp_path / uid)
    assert traffic.large([("demo", "small"), ("demo", "large")])
    traffic.tidy({("demo", "large"): "127.251.0.11", ("demo", "small"): "127.251.0.12"})
    assert asked == ["127.251.0.11"]
    assert not traffic.large([("demo", "small"), ("demo", "large")])


# --- answers ---


class Cluster(FakeCluster):
    """As the control plane's, with reading of single objects."""

    def get(self, _api_version, kind, name, namespace=None):
        plural = next(entry.plural for entry in KINDS.values() if entry.kind == kind)
        try:
            return self.objects[plural][namespace or "", name]
        except KeyError:
            raise NotFound(f"reading {kind}", f"{name} not found", code=404) from None

    def list(self, api_version, plural, namespace=None, *, labels="", **_):
        items, revision = super().list(api_version, plural)
        wanted = dict(part.split("=") for part in labels.split(",") if part)
        return [item for item in items if wanted.items() <= item["metadata"].get("labels", {}).items()
                and namespace in (None, item["metadata"].get("namespace"))], revision


def obj(name, namespace="demo", owner="", labels=None, **rest):
    metadata = {"name": name, "uid": f"uid-{name}", "labels": labels or {}}
    metadata |= {"namespace": namespace} if namespace else {}
    owners = {"ownerReferences": [{"uid": f"uid-{owner}"}]} if owner else {}
    return {"metadata": metadata | owners} | rest


@pytest.fixture
def cluster():
    """A client and the two pods of a deployment `web`, behind a Service, on one node."""
    made = Cluster()
    made.put("namespaces", obj("demo", ""))
    made.put("nodes", obj("node", ""))
    made.put("deployments", obj("web"))
    made.put("replicasets", obj("web-1", owner="web"))
    made.put("services", obj("web", spec={"selector": {"app": "web"}}))
    for name, address, owner in (("client", "10.251.0.10", ""), ("web-a", "10.251.0.11", "web-1"),
                                 ("web-b", "10.251.0.12", "web-1"), ("idle", "10.251.0.13", "")):
        made.put("pods", obj(name, owner=owner, status={"podIP": address}, spec={"nodeName": "node"},
                             labels={"reference-mesh/proxy": "enabled"} | ({"app": "web"} if owner else {})))
    made.put("trafficsplits", {"apiVersion": "split.smi-spec.io/v1alpha4"} | obj("split", spec={
        "service": "root", "backends": [{"service": "stable", "weight": 3}, {"service": "canary", "weight": 1}]}))
    return made


def served(peer, success, *seconds):
    return Flow("server", "", "", peer, success), array("f", seconds)


def called(peer, backend, *seconds, success=True):
    return Flow("client", "demo/root", f"demo/{backend}", peer, success), array("f", seconds)


SEEN = {
    "uid-client": [called("127.251.0.11", "stable", *[0.01] * 6), called("127.251.0.12", "canary", 0.01, 0.01),
                   called("127.251.0.12", "canary", 0.03, success=False)],
    "uid-web-a": [served("127.251.0.10", True, *[0.01] * 6)],
    "uid-web-b": [served("127.251.0.10", True, 0.01, 0.02), served("127.251.0.10", False, 0.03),
                  served("127.0.0.1", True, 0.5)],
}


def metrics(cluster, kind=Metrics):
    def observe(pods, since, until):
        assert until - since == 30
        return {uid: SEEN[uid] for _, uid in pods if uid in SEEN}

    return kind(Inventory(cluster, SANDBOX), observe, NOW)


def counts(item):
    values = {value["name"]: value["value"] for value in item["metrics"]}
    return int(values["success_count"]), int(values["failure_count"])


@pytest.mark.parametrize(("plural", "namespace", "name", "wanted"), [
    ("pods", "demo", "web-a", (6, 0)), ("pods", "demo", "web-b", (3, 1)), ("pods", "demo", "client", (0, 0)),
    ("deployments", "demo", "web", (9, 1)), ("replicasets", "demo", "web-1", (9, 1)),
    ("services", "demo", "web", (9, 1)), ("namespaces", "", "demo", (9, 1)), ("nodes", "", "node", (9, 1)),
])
def test_resource_is_its_pods_together(cluster, plural, namespace, name, wanted):
    item = metrics(cluster).one(KINDS[plural], namespace, name)
    assert counts(item) == wanted
    assert item["edge"] == {"direction": "from", "side": "server", "resource": {}}
    assert item["resource"]["name"] == name


def test_percentiles_are_exact_by_nearest_rank(cluster):
    values = {value["name"]: value for value in metrics(cluster).one(KINDS["pods"], "demo", "web-b")["metrics"]}
    assert values["p50_response_latency"] == {"name": "p50_response_latency", "unit": "seconds", "value": "20m"}
    assert values["p99_response_latency"]["value"] == "500m"
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert percentile([], 99) == 0.0


def test_edges_are_between_those_that_exchanged_traffic(cluster):
    found = metrics(cluster).edges(KINDS["pods"], "demo", "web-b")
    assert found["resource"]["name"] == "web-b"
    assert [(item["edge"]["direction"], item["edge"]["side"], item["edge"]["resource"]["name"], counts(item))
            for item in found["items"]] == [("from", "server", "client", (2, 1))]
    found = metrics(cluster).edges(KINDS["pods"], "demo", "client")
    assert {(item["edge"]["direction"], item["edge"]["resource"]["name"]) for item in found["items"]} \
        == {("to", "web-a"), ("to", "web-b")}
    assert metrics(cluster).edges(KINDS["pods"], "demo", "idle")["items"] == []


def test_list_by_kind_filters_items_and_not_traffic(cluster):
    found = metrics(cluster).all_of(KINDS["pods"], "demo", "app=web")
    assert found["resource"] == {"kind": "Pod", "apiVersion": "v1", "namespace": "demo"}
    assert found["selector"] == {"matchLabels": {"app": "web"}}
    assert [counts(item) for item in found["items"]] == [(6, 0), (3, 1)]
    assert "selector" not in metrics(cluster).all_of(KINDS["pods"], "", "")
    assert metrics(cluster).all_of(KINDS["jobs"], "", "")["items"] == []


def test_split_has_its_backends(cluster):
    found = metrics(cluster).one(KINDS["trafficsplits"], "demo", "split")
    assert [(item["backend"], counts(item)) for item in found["items"]] == [
        ({"apex": "root", "name": "stable", "weight": 3}, (6, 0)),
        ({"apex": "root", "name": "canary", "weight": 1}, (2, 1)),
    ]
    edges = metrics(cluster).edges(KINDS["trafficsplits"], "demo", "split")["items"]
    assert {item["edge"]["resource"]["name"] for item in edges} == {"client"}


def test_split_that_cannot_be_read_has_no_items(cluster):
    cluster.put("trafficsplits", {"apiVersion": "split.smi-spec.io/v1alpha4"} | obj("bad", spec={"service": 7}))
    assert metrics(cluster).one(KINDS["trafficsplits"], "demo", "bad")["items"] == []


@pytest.mark.parametrize(("text", "wanted"), [
    ("a=b,c==d", {"matchLabels": {"a": "b", "c": "d"}}),
    ("a in (x, y),!z", {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]},
                                             {"key": "z", "operator": "DoesNotExist"}]}),
    ("a notin (x),b", {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]},
                                            {"key": "b", "operator": "Exists"}]}),
    ("a!=b", {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}),
])
def test_label_selector_is_shown_as_an_object(text, wanted):
    assert label_selector(text) == wanted


# --- HTTP ---


class Http:
    """Asks the application without a server."""

    def __init__(self, server) -> None:
        self.transport = httpx.ASGITransport(server.application())

    def request(self, method, path, **parts):
        async def ask():
            async with httpx.AsyncClient(transport=self.transport, base_url="https://mesh") as client:
                return await client.request(method, path, **parts)

        return asyncio.run(ask())

    def get(self, path, **parts):
        return self.request("GET", path, **parts)


@pytest.fixture
def http(cluster, tmp_path):
    return Http(MetricsServer(cluster, tmp_path, SANDBOX, Metrics))


def test_discovery_has_every_kind_and_its_edges(http):
    found = http.get(BASE).json()
    assert found == http.get(f"{BASE}/").json()
    names = [entry["name"] for entry in found["resources"]]
    assert names == [name for plural in KINDS for name in (plural, f"{plural}/edges")]
    assert {entry["kind"] for entry in found["resources"]} == {"TrafficMetrics"}


@pytest.mark.parametrize(("path", "kind"), [
    ("pods", "TrafficMetricsList"), ("namespaces", "TrafficMetricsList"), ("namespaces/demo", "TrafficMetrics"),
    ("namespaces/demo/edges", "TrafficMetricsList"), ("namespaces/demo/pods", "TrafficMetricsList"),
    ("namespaces/demo/pods/web-a", "TrafficMetrics"), ("namespaces/demo/pods/web-a/edges", "TrafficMetricsList"),
    ("nodes/node", "TrafficMetrics"),
])
def test_paths(http, path, kind):
    answer = http.get(f"{BASE}/{path}")
    assert (answer.status_code, answer.json()["kind"]) == (200, kind)


@pytest.mark.parametrize("path", [
    "things", "pods/web-a", "namespaces/demo/nodes/node", "namespaces/demo/pods/nobody", "namespaces/nowhere/edges",
    "namespaces/demo/pods/web-a/edges/more", "namespaces/demo/pods/web-a/logs",
])
def test_unknown_paths_are_not_found(http, path):
    answer = http.get(f"{BASE}/{path}")
    assert (answer.status_code, answer.json()["kind"], answer.json()["reason"]) == (404, "Status", "NotFound")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_metrics_cannot_be_written(http, method):
    answer = http.request(method, f"{BASE}/namespaces/demo/pods/web-a")
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")


def test_certificate_is_for_the_service_and_its_key_private(tmp_path):
    pem = metrics_server._certificate(tmp_path)
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["reference-metrics.reference-mesh.svc"]
    assert (tmp_path / "metrics.key").stat().st_mode & 0o777 == 0o600


def test_certificate_is_registered_as_soon_as_there_is_an_api_service(cluster, tmp_path, monkeypatch):
    answers = [NotFound("changing", "not there", code=404), ClusterError("changing", "refused"), None]
    patched = []

    def patch(obj, change):
        patched.append((obj["metadata"]["name"], change))
        if answer := answers.pop(0):
            raise answer

    monkeypatch.setattr(cluster, "patch", patch, raising=False)
    monkeypatch.setattr(metrics_server, "_REGISTER_EVERY", 0.001)
    MetricsServer(cluster, tmp_path, SANDBOX, Metrics)._register(b"PEM")
    assert patched == [("v1alpha1.metrics.smi-spec.io", {"spec": {"caBundle": "UEVN"}})] * 3


def test_api_server_is_asked_for_pods_only_when_a_log_is_large(cluster, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("conformance.sandbox.reference.metrics_traffic._reopen", asked.append)
    (tmp_path / "proxies" / "demo" / "uid-web-a" / "log").mkdir(parents=True)
    write(tmp_path / "proxies" / "demo" / "uid-web-a" / "log", line())
    server = MetricsServer(cluster, tmp_path, SANDBOX, Metrics)
    server._tidy_once()
    assert not cluster.lists["pods"]
    monkeypatch.setattr("conformance.sandbox.reference.metrics_traffic.LARGEST", 10)
    server._tidy_once()
    assert asked == ["127.251.0.11"]


def test_mutant_may_refuse_a_user(cluster, tmp_path):
    refusing = next(mutant for mutant in MUTANTS if mutant.name == "metrics-refused").behaviour.metrics
    http = Http(MetricsServer(cluster, tmp_path, SANDBOX, refusing))
    headers = {"x-remote-user": "system:serviceaccount:demo:reader", "x-remote-group": "a,b"}
    assert http.get(f"{BASE}/pods", headers=headers).status_code == 403
    assert http.get(f"{BASE}/pods").status_code == 200


def test_each_judged_requirement_has_a_mutant_and_each_mutant_differs():
    assert {mutant.kills for mutant in MUTANTS} == {f"METRIC-{number:03}" for number in range(1, 16)}
    plain = [mutant.name for mutant in MUTANTS if mutant.behaviour.metrics is Metrics and mutant.manifests([]) == []]
    assert plain == ["metrics-unavailable"]
