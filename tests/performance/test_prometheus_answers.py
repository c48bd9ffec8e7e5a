"""What Prometheus may answer, and what samples are no measurement. About 1 s."""

from __future__ import annotations

import json
import socket

import pytest
from prometheus_servers import Exporter, free_port

from conformance.performance.usage import prometheus as module
from conformance.performance.usage.consumption import Place
from conformance.performance.usage.prometheus import Answer, Prometheus, PrometheusError, Series, selector
from conformance.performance.usage.prometheus_usage import consumption


@pytest.fixture
def server():
    made = Exporter("")
    yield made
    made.close()


@pytest.fixture
def client(server):
    with Prometheus(f"http://user:hunter2@{server.address}/prefix/") as opened:
        yield opened


def answer(result, type_="vector", **more):
    return json.dumps({"status": "success", "data": {"resultType": type_, "result": result}, **more})


def test_an_answer_with_warnings(server, client):
    server.text = answer([{"metric": {"a": "b"}, "value": [10.5, "+Inf"]}], warnings=["partial response"])
    assert client.query("up") == Answer((Series({"a": "b"}, ((10.5, float("inf")),)),), ("partial response",))
    assert client.name.endswith("/prefix")
    assert "hunter2" not in client.name


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (200, "<html>Sign in</html>", r"HTTP 200 .* \(<html>Sign in</html>\).*a page before"),
        (302, "", "perhaps to a login"),
        (401, "Unauthorized", "credential is missing"),
        (403, '{"message": "no"}', "credential is missing"),
        (404, "404 page not found", "without /api/v1"),
        (500, "", "Is this Prometheus"),
        (502, '"bad gateway"', "HTTP 502"),
        (503, '{"status":"error","errorType":"unavailable","error":"TSDB not ready"}', "TSDB not ready. Ask again"),
        (503, '{"status":"error","errorType":"timeout","error":"query timed out"}', "--query.timeout"),
        (422, '{"status":"error","errorType":"execution","error":"too many samples"}', "too many samples. Narrow"),
        (400, '{"status":"error","errorType":"bad_data","error":"1:1: parse error"}', "parse error. The expression"),
        (200, '{"status":"error"}', "error: no reason given"),
        (200, "[]", "the top level of the answer"),
        (200, '{"status":"success"}', "'data' is a required property"),
        (200, answer([], "streams"), "data.resultType of the answer: 'streams' is not one of"),
        (200, answer([{"metric": {}}]), "a series that is none .KeyError"),
        (200, answer([{"metric": {}, "value": [1, "x"]}]), "a series that is none .ValueError"),
        (200, answer([{"metric": [], "value": [1, "1"]}]), "a series that is none"),
        (200, answer([{"metric": {}, "values": []}], "matrix"), "no samples"),
        (200, answer([3]), "a series that is none .TypeError"),
        (200, "[" * 50_000, "Is this Prometheus"),
    ],
)  # fmt: skip
def test_answers_that_are_none(server, client, status, text, words):
    server.status, server.text = status, text
    with pytest.raises(PrometheusError, match=words) as raised:
        client.query("up")
    assert "hunter2" not in str(raised.value)
    assert "for up: " in str(raised.value)


def test_an_answer_that_is_too_large(server, client, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 100_000)
    server.text = " " * 200_000
    with pytest.raises(PrometheusError, match="Ask for fewer pods"):
        client.query("up")


def test_nobody_there():
    with Prometheus(f"http://127.0.0.1:{free_port()}") as nobody, pytest.raises(PrometheusError, match="port is 9090"):
        nobody.query("up")


def test_one_that_does_not_answer():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            Prometheus(url, timeout=0.2) as silent,
            pytest.raises(PrometheusError, match=r"no answer within 0\.2 s"),
        ):
            silent.query("up")


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://x", "http://", "http://[::1", ""])
def test_addresses_that_are_none(url):
    with pytest.raises(PrometheusError, match="the address of Prometheus"):
        Prometheus(url)


def test_certificates_that_are_not_there(tmp_path):
    with pytest.raises(PrometheusError, match="reading the certificates"):
        Prometheus("https://127.0.0.1", ca=str(tmp_path / "none"))


def test_selectors_are_escaped():
    assert selector("up", {"pod": 'a"\\\n'}, 'x!=""') == 'up{x!="",pod="a\\"\\\\\\n"}'
    with pytest.raises(PrometheusError, match="is not a label"):
        selector("up", {'a="x"} or up{b': "c"})


# --- samples

LABELS = {"namespace": "demo", "pod": "a", "container": "proxy", "node": "n1"}
PROXY = Place("n1", "demo", "a", "proxy")
STEADY = ((10.0, 1.0), (20.0, 3.0), (30.0, 5.0), (40.0, 7.0))


class Samples:
    """A Prometheus that has these series."""

    name = "http://prometheus"

    def __init__(self, cpu, memory=((40.0, 1000.0),), nodes=(), warnings=()):
        self.cpu = [Series(labels, points) for labels, points in cpu]
        self.memory = [Series(LABELS, memory)] if memory else []
        self.nodes, self.warnings = nodes, warnings

    def query(self, expression, at=None):
        found = ()
        if expression.startswith("container_cpu"):
            found = self.cpu
        elif expression.startswith("container_memory"):
            found = self.memory
        elif expression.startswith("node_cpu"):
            found = [Series(labels, points) for labels, points in self.nodes]
        elif expression.startswith("node_uname"):
            found = [Series({"instance": "x:9100", "nodename": "n1"}, ((at, 1.0),))]
        elif expression.startswith("node_memory"):
            found = [Series({}, ((at, 5e9),))]
        return Answer(tuple(found), self.warnings if expression.startswith("container_cpu") else ())


def told(*cpu, start=9.0, end=41.0, **more):
    return consumption(Samples(cpu, **more), start, end).proxies("proxy")


def test_a_rate_is_over_the_times_of_the_samples():
    found = told((LABELS, STEADY))
    assert found.uses[PROXY].cores == pytest.approx(0.2)
    assert (found.uses[PROXY].began, found.uses[PROXY].ended, found.uses[PROXY].memory) == (10, 40, 1000)
    assert found.resolution == 10
    assert not found.invalid()
    short = told((LABELS, STEADY[:2]), start=9, end=21, memory=((20.0, 1.0),))
    assert "two readings of Prometheus" in short.invalid()[0].allowed


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (STEADY[:1], "but one sample"),
        ((*STEADY[:3], (40.0, float("nan"))), "not a number"),
        ((*STEADY[:2], (30.0, 0.5), (40.0, 1.0)), "went back"),
        (STEADY[:2], "not scraped now"),
    ],
    ids=["one", "nan", "reset", "stale"],
)
def test_samples_that_are_no_measurement(points, why):
    found = told((LABELS, points), end=60.0)
    assert not found.uses
    (gap,) = found.gaps
    assert gap.place == PROXY
    assert why in gap.why


def test_a_series_that_begins_late():
    assert "first sample is 40 s after the start" in told((LABELS, STEADY), start=-30.0).gaps[0].why


@pytest.mark.parametrize("memory", [(), ((40.0, float("nan")),)], ids=["none", "nan"])
def test_without_memory(memory):
    assert told((LABELS, STEADY), memory=memory).gaps[0].why == "its memory was not told"


def test_the_same_container_twice():
    twice = told(({**LABELS, "job": "a"}, STEADY), ({**LABELS, "job": "b"}, STEADY))
    assert twice.gaps[0].why == "it is told 2 times, by job: choose one with a matcher"
    after = told(({**LABELS, "id": "1"}, STEADY[:2]), ({**LABELS, "id": "2"}, STEADY[2:]))
    assert "restarted" in after.gaps[0].why


def test_a_partial_answer_is_valid_for_nobody():
    found = told((LABELS, STEADY), warnings=("store gateway 2 is unavailable",))
    (invalid,) = found.invalid()
    assert "store gateway 2 is unavailable" in invalid.found
    assert found.uses


def cpus(*modes, instance="x:9100"):
    return [({"instance": instance, "cpu": str(cpu), "mode": mode}, tuple((at, at * share) for at, _ in STEADY))
            for cpu in (0, 1) for mode, share in modes]


def test_nodes():
    modes = ("user", 0.3), ("system", 0.1), ("idle", 0.4), ("iowait", 0.15), ("steal", 0.05)
    found = consumption(Samples([], nodes=cpus(*modes)), 9.0, 41.0)
    use = found.nodes["n1"]
    assert use.cores == pytest.approx(0.8)
    assert use.steal == pytest.approx(0.05)
    assert use.memory == 5e9
    assert not found.node("n1").select(lambda place: not place.pod).uses[Place("n1")].error
    twice = consumption(Samples([], nodes=cpus(*modes) + cpus(*modes)), 9.0, 41.0)
    assert any("more than once" in gap.why for gap in twice.gaps)
    unnamed = consumption(Samples([], nodes=cpus(*modes, instance="other:9100")), 9.0, 41.0)
    assert set(unnamed.nodes) == {"other:9100"}
