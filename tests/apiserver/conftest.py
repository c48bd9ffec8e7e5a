from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer

import pytest
from api_harness import Harness, Upstream


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    made = Harness(tmp_path_factory.mktemp("apiserver"))
    yield made
    made.close()


@pytest.fixture
def http(harness):
    return harness.http


@pytest.fixture
def upstream(harness):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    harness.pods.upstream = server.server_address
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(http):
    path = "/api/v1/namespaces/default/services"
    endpoints = path.replace("services", "endpoints")
    for name in ("web", "empty"):
        http.post(path, json={"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}})
        http.post(endpoints, json={"metadata": {"name": name}})  # nobody here writes them
    yield f"{path}/web"
    for name in ("web", "empty"):
        http.delete(f"{path}/{name}")
        http.delete(f"{endpoints}/{name}")
