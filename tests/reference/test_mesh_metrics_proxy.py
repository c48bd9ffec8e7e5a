"""The real Envoy writes down what the metrics are made of: who called whom, for which Service, with which result."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from file_mesh import FileMesh
from mesh_traffic import Intercepted, application, get, proxy
from mesh_world import World

from conformance.sandbox.reference import metrics_traffic
from conformance.sandbox.reference.access_log import FILE
from conformance.sandbox.reference.metrics_traffic import Traffic

PODS = {"client": "127.251.0.10", "v1": "127.251.0.11"}


@pytest.fixture(scope="module")
def sidecars(tmp_path_factory):
    """A client with a split of root over v1, with a sidecar, and v2, which nobody listens for."""
    running = FileMesh(tmp_path_factory.mktemp("state"), *PODS)
    made = World()
    made.service("root", "v1")
    made.service("stable", "v1")
    made.split("root", {"stable": 1})
    running.apply(made)
    directories = {name: running.directory(name) for name in PODS}
    with (application("v1", "127.251.64.11", 8080), proxy(directories["client"], PODS["client"]),
          proxy(directories["v1"], PODS["v1"])):
        until = time.monotonic() + 5
        while not get(_connection()).startswith("200"):
            assert time.monotonic() < until
        yield directories


def _connection():
    return Intercepted("127.251.64.10", "127.251.128.1", 8080)


def seen(traffic, since, requests=0):
    """Flows and how many requests of each, once the proxies have flushed; at least `requests`, if that takes longer."""
    until = time.monotonic() + 3
    while True:
        time.sleep(0.15)
        found = traffic.of([("demo", f"uid-{name}") for name in PODS], since, time.time() + 1)
        counts = {uid.removeprefix("uid-"): Counter({flow: len(seconds) for flow, seconds in flows})
                  for uid, flows in found.items()}
        if time.monotonic() > until or all(sum(counts[name].values()) >= requests for name in PODS):
            return counts


def test_both_sides_write_down_each_request(sidecars):
    traffic = Traffic(lambda _, uid: sidecars[uid.removeprefix("uid-")] / "log")
    since = time.time()
    for _ in range(20):
        get(_connection())
    found = seen(traffic, since, 20)
    assert found["client"] == {("client", "demo/root", "demo/stable", PODS["v1"], True): 20}
    assert found["v1"] == {("server", "", "", PODS["client"], True): 20}


def test_log_is_put_aside_under_load_without_losing_a_request(sidecars, monkeypatch):
    monkeypatch.setattr(metrics_traffic, "LARGEST", 2000)
    traffic = Traffic(lambda _, uid: sidecars[uid.removeprefix("uid-")] / "log")
    pods = {("demo", f"uid-{name}"): address for name, address in PODS.items()}
    since = time.time()
    for number in range(200):
        get(_connection())
        if number % 40 == 0:
            traffic.tidy(pods)
    found = seen(traffic, since, 200)
    assert sum(found["client"].values()) == 200
    assert sum(found["v1"].values()) == 200
    assert all((directory / "log" / f"{FILE}.1").exists() for directory in sidecars.values())
