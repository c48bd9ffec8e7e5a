"""A real Prometheus that scrapes a real node-exporter and the sandbox's kubelet. About 15 s."""

from __future__ import annotations

import os
import time

import pytest
import yaml
from prometheus_servers import EVERY, Exporter, job, node_exporter, prometheus, until
from usage_burner import NAMESPACE, Burner

from conformance.performance.usage import kubelet
from conformance.performance.usage.consumption import between
from conformance.performance.usage.prometheus import Prometheus, PrometheusError
from conformance.performance.usage.prometheus_usage import consumption


@pytest.fixture(scope="module")
def burner(cluster):
    return Burner(cluster)


@pytest.fixture(scope="module")
def odd():
    made = Exporter("odd_gauge NaN\n")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(sandbox, burner, odd, tmp_path_factory):
    directory = tmp_path_factory.mktemp("prometheus")
    token = yaml.safe_load(sandbox.kubeconfig.read_text())["users"][0]["user"]["token"]
    # As the example configuration of Prometheus for Kubernetes reaches kubelets: through the API server.
    cadvisor = job(
        "kubernetes-cadvisor", sandbox.url.removeprefix("https://"), scheme="https",
        metrics_path="/api/v1/nodes/sandbox/proxy/metrics/cadvisor", authorization={"credentials": token},
        tls_config={"ca_file": str(sandbox.api.ca)},
        relabel_configs=[{"target_label": "node", "replacement": "sandbox"}],
    )
    with (
        node_exporter(directory) as exporter,
        prometheus(directory, cadvisor, job("node-exporter", exporter), job("odd", odd.address)) as url,
        Prometheus(url) as opened,
    ):
        until(opened, "up", lambda found: len(found) == 3 and all(one.points[0][1] == 1 for one in found))
        yield opened


def test_the_kubelet_and_prometheus_find_the_same(client, burner):
    pods = {(NAMESPACE, burner.name)}
    until(client, "container_cpu_usage_seconds_total[10s]", lambda found: found and len(found[0].points) > 2)
    before, start = kubelet.read(burner.cluster), time.time()
    time.sleep(2 * EVERY)  # the first scrape in the time comes before the work
    said = burner.ask("/own?amount=1")
    time.sleep(2 * EVERY)
    after, end = kubelet.read(burner.cluster), time.time()
    told = consumption(client, start, end, matchers={"namespace": NAMESPACE})
    seen = between(before, after)
    for found in (told.proxies("main", pods), seen.proxies("main", pods)):
        assert not found.invalid()
        assert found.cpu == pytest.approx(said, rel=0.05)
    assert told.resolution == pytest.approx(EVERY, rel=0.5)
    assert told.proxies("main", pods).memory == pytest.approx(seen.proxies("main", pods).memory, rel=0.1)
    assert told.proxies("proxy").cores < 0.02
    ((name, node),) = told.nodes.items()
    assert name == os.uname().nodename
    assert node.cores * node.seconds >= 0.95 * said
    assert 0 <= node.steal < 0.9
    (other,) = seen.nodes.values()
    assert node.memory == pytest.approx(other.memory, rel=0.1)


def test_a_restart_is_said(client, cluster):
    burner = Burner(cluster, "mortal")
    burner.ask("/own?amount=0.5")
    mortal = 'container_cpu_usage_seconds_total{pod="mortal",container="main"}'
    until(client, mortal, lambda found: found and found[0].points[0][1] > 0.5)
    start = time.time() - 2 * EVERY
    with pytest.raises(Exception, match="mortal"):
        burner.ask("/die")
    until(client, mortal, lambda found: found and found[0].points[0][1] < 0.5)
    time.sleep(EVERY)
    found = consumption(client, start, time.time()).proxies("main", {(NAMESPACE, "mortal")})
    assert not found.uses
    assert "restarted" in found.gaps[0].why
    cluster.delete(burner.object)


def test_times_without_samples(client):
    now = time.time()
    short = consumption(client, now - 0.01, now)
    assert short.invalid()
    assert not short.uses
    past = consumption(client, now - 7200, now - 7000)
    assert "has no container_cpu_usage_seconds_total" in past.gaps[0].why
    assert "is a node-exporter scraped" in past.gaps[1].why
    with pytest.raises(PrometheusError, match="no time from"):
        consumption(client, now, now)


def test_queries(client):
    (scalar,) = client.query("1 + 1").series
    assert scalar.points[0][1] == 2
    (odd,) = client.query("odd_gauge").series
    assert odd.points[0][1] != odd.points[0][1]
    now = time.time()
    series = client.query_range("vector(3)", now - 10, now, 5).series
    assert [value for _, value in series[0].points] == [3, 3, 3]
    assert client.query("no_such_metric").series == ()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sum(", r"HTTP 400, bad_data: .*parse error.* The expression or the time"),
        ("node_cpu_seconds_total * on(job) node_cpu_seconds_total", "HTTP 422, execution: .* Narrow"),
    ],
    ids=["syntax", "execution"],
)
def test_what_prometheus_refuses(client, expression, words):
    with pytest.raises(PrometheusError, match=words):
        client.query(expression)
    with pytest.raises(PrometheusError, match="no range"):
        client.query_range("up", 10, 5, 1)


def test_a_range_of_too_many_points_is_refused_by_prometheus(client):
    with pytest.raises(PrometheusError, match="exceeded maximum resolution"):
        client.query_range("up", 0, time.time(), 1)
