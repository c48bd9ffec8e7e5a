"""`nodes/proxy`: who may, what is there, and the summary that a kubelet would write. About 2 s."""

from __future__ import annotations

import pytest
from api_harness import Harness

from conformance.sandbox.accounting import ContainerUsage, MachineUsage, machine
from conformance.sandbox.apiserver import ApiError, ApiServer
from conformance.sandbox.apiserver.summary import Summarizer, cadvisor

PATH = "/api/v1/nodes/n1/proxy/stats/summary"
SECOND = 10**9
START = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


class FakeNodes:
    async def summary(self, node):
        if node == "n2":
            raise ApiError(503, "ServiceUnavailable", "there is no kubelet behind it")
        return Summarizer(node).summary(MACHINE, [POD], {"process://7": used(5)})


class WithNodes(Harness):
    def _make(self, directory):
        return ApiServer(directory, pods=self.pods, nodes=FakeNodes())


def used(seconds, cpu=1.5):
    return ContainerUsage(START + seconds * SECOND + 250_000_000, int(cpu * SECOND), 3000, 2000)


MACHINE = MachineUsage(START + 9 * SECOND, START, 40 * SECOND, 900, 700, 100, 300)
POD = {
    "metadata": {"name": "a", "namespace": "demo", "uid": "u"},
    "status": {
        "startTime": "2026-01-01T00:00:00Z",
        "initContainerStatuses": [
            {"name": "intercept", "containerID": "process://builtin", "state": {"terminated": {}}},
            {"name": "sidecar", "containerID": "process://8", "state": {"running": {
                "startedAt": "2026-01-01T00:00:00Z"}}},
        ],
        "containerStatuses": [
            {"name": "main", "containerID": "process://7", "state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}},
            {"name": "waiting", "state": {"waiting": {}}},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    made = WithNodes(tmp_path_factory.mktemp("nodes"))
    for name in ("n1", "n2"):
        assert made.http.post("/api/v1/nodes", json={"metadata": {"name": name}}).status_code == 201
    yield made
    made.close()


def test_the_summary_is_a_kubelets(nodes):
    found = nodes.http.get(PATH, params={"only_cpu_and_memory": "true"}).json()
    assert found["node"] == {
        "nodeName": "n1", "startTime": "2026-01-01T00:00:00Z",
        "cpu": {"time": "2026-01-01T00:00:09Z", "usageNanoCores": 4_444_444_444, "usageCoreNanoSeconds": 40 * SECOND},
        "memory": {"time": "2026-01-01T00:00:09Z", "usageBytes": 900, "workingSetBytes": 700, "rssBytes": 100,
                   "availableBytes": 300},
    }  # fmt: skip
    (pod,) = found["pods"]
    assert pod["podRef"] == {"name": "a", "namespace": "demo", "uid": "u"}
    (container,) = pod["containers"]
    at = "2026-01-01T00:00:05.250000Z"
    assert container == {
        "name": "main", "startTime": "2026-01-01T00:00:02Z",
        "cpu": {"time": at, "usageNanoCores": 461_538_461, "usageCoreNanoSeconds": 1_500_000_000},
        "memory": {"time": at, "usageBytes": 3000, "workingSetBytes": 3000, "rssBytes": 2000},
    }  # fmt: skip
    assert (pod["cpu"], pod["memory"]) == (container["cpu"], container["memory"])


def test_cadvisors_metrics_say_the_same(nodes):
    answer = nodes.http.get("/api/v1/nodes/n1/proxy/metrics/cadvisor")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    labels = 'container="main",id="/pods/u/main",namespace="demo",pod="a"'
    assert f'container_cpu_usage_seconds_total{{{labels},cpu="total"}} 1.5 1767225605250\n' in answer.text
    assert f"container_memory_working_set_bytes{{{labels}}} 3000 1767225605250\n" in answer.text
    assert f"container_start_time_seconds{{{labels}}} 1767225602.0 1767225605250\n" in answer.text


def test_a_summary_of_nothing_and_a_sidecar_among_the_init_containers():
    summarizer = Summarizer("n1")
    assert summarizer.summary(MACHINE, [POD], {})["pods"] == []
    found = summarizer.summary(MACHINE, [POD], {"process://8": used(1), "process://7": used(2)})
    (pod,) = found["pods"]
    assert [container["name"] for container in pod["containers"]] == ["sidecar", "main"]
    assert pod["cpu"]["usageCoreNanoSeconds"] == 3_000_000_000
    assert pod["memory"]["workingSetBytes"] == 6000
    assert cadvisor(found).count("container_memory_rss{") == 2


def test_the_rate_goes_back_to_an_earlier_reading():
    summarizer = Summarizer("n1")

    def rate(seconds, cpu):
        found = summarizer.summary(MACHINE, [POD], {"process://7": used(seconds, cpu)})
        return found["pods"][0]["containers"][0]["cpu"]["usageNanoCores"] / SECOND

    assert rate(12, 4.1) == pytest.approx(0.4)  # since its start, at 2 s
    assert rate(17, 6.6) == pytest.approx(0.5)  # since 12 s
    assert rate(22, 9.1) == pytest.approx(0.5)
    assert rate(32, 9.1) == 0


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/nodes/none/proxy/stats/summary", 404),
        ("GET", "/api/v1/nodes/n1/proxy/runningpods/", 404),
        ("GET", "/api/v1/nodes/n1/proxy", 404),
        ("GET", "/api/v1/nodes/n2/proxy/stats/summary", 503),
        ("POST", PATH, 405),
        ("GET", "/api/v1/nodes/https:n1:10250/proxy/stats/summary", 200),
        ("GET", "/api/v1/nodes/n1:10250/proxy/healthz", 200),
        ("GET", "/api/v1/nodes/ftp:n1:10250/proxy/healthz", 400),
    ],
    ids=["no-node", "no-path", "root", "no-kubelet", "post", "scheme", "port", "bad-scheme"],
)
def test_other_requests(nodes, method, path, code):
    assert nodes.http.request(method, path).status_code == code


def test_without_a_node_there_is_nothing_to_proxy_to(http):
    http.post("/api/v1/nodes", json={"metadata": {"name": "lonely"}})
    answer = http.get("/api/v1/nodes/lonely/proxy/stats/summary")
    assert answer.status_code == 503
    assert "no node" in answer.json()["message"]


def test_the_right_is_get_on_nodes_proxy(nodes):
    user = {"impersonate-user": "reader"}
    refused = nodes.http.get(PATH, headers=user)
    assert refused.status_code == 403
    assert 'cannot get resource "nodes/proxy" in API group "" at the cluster scope' in refused.json()["message"]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    bound = {"metadata": {"name": "reader"}, "subjects": [{"kind": "User", "name": "reader"}],
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                         "name": "system:kubelet-api-admin"}}  # fmt: skip
    assert nodes.http.post(f"{rbac}/clusterrolebindings", json=bound).status_code == 201
    assert nodes.http.get(PATH, headers=user).status_code == 200
    assert nodes.http.get("/api/v1/nodes", headers=user).status_code == 200
    assert nodes.http.delete("/api/v1/nodes/n1", headers=user).status_code == 403


def test_the_machine():
    before, after = machine(), machine()
    assert 0 < before.started < before.at <= after.at
    assert 0 < before.cpu <= after.cpu
    assert 0 < before.anonymous < before.used
    assert 0 < before.working_set <= before.used
    assert before.available > 0
