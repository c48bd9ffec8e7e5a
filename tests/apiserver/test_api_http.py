"""The API server on the wire: who is let in, errors, faults, proxies, logs, aggregated APIs, its start and its end."""

from __future__ import annotations

import asyncio
import ssl
import stat
import time

import httpx
import pytest

from conformance.sandbox.apiserver import ApiServer, PortTakenError

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": "x:1",
       "ports": [{"name": "http", "containerPort": 8080}]}]}}  # fmt: skip
PODS = "/api/v1/namespaces/default/pods"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
def pod(http):
    assert http.post(PODS, json=POD).status_code == 201
    http.patch(f"{PODS}/web/status", content='{"status": {"podIP": "10.7.0.2"}}', headers=MERGE)
    yield f"{PODS}/web"
    http.delete(f"{PODS}/web")


def test_a_wrong_token_gets_no_answer(harness):
    with harness.client("wrong") as client:
        for path in ("/api/v1/pods", "/readyz"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_without_a_token_one_is_anonymous_and_sees_the_health_only(harness):
    with harness.client("") as client:
        assert client.get("/readyz").text == "ok"
        answer = client.get("/api/v1/pods")
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope'
    )


def test_a_service_accounts_token_is_let_in(harness, http):
    token = harness.call(harness.server.service_account_token, "default", "web")
    with harness.client(token) as client:
        review = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}).json()
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:default:web"
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    assert http.post(path, json={"spec": {"token": token}}).json()["status"]["authenticated"]
    assert not http.post(path, json={"spec": {"token": "x"}}).json()["status"]["authenticated"]


def test_the_kubeconfig_is_private(harness):
    for file in (harness.server.kubeconfig, harness.server.kubeconfig.with_name("apiserver.key")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_taken_port_says_so(harness, tmp_path):
    port = int(harness.server.url.rpartition(":")[2])

    async def start():
        await ApiServer(tmp_path, port=port).start()

    with pytest.raises(PortTakenError, match=f"cannot listen on 127.0.0.1:{port}.*choose another port"):
        asyncio.run(start())


def test_a_directory_that_cannot_be_written(tmp_path):
    async def start():
        await ApiServer(tmp_path / "missing").start()

    with pytest.raises(FileNotFoundError):
        asyncio.run(start())


def test_stop_ends_watches_and_requests(tmp_path):
    async def scenario():
        server = ApiServer(tmp_path)
        await server.start()
        context = ssl.create_default_context(cafile=server.ca)
        headers = {"authorization": f"Bearer {server.token}"}
        async with httpx.AsyncClient(verify=context, headers=headers, trust_env=False) as client:
            async with client.stream("GET", f"{server.url}/api/v1/pods?watch=1") as answer:
                assert answer.status_code == 200
                begin = time.monotonic()
                await server.stop()
                await server.stop()
                assert [line async for line in answer.aiter_lines()] == []
            assert time.monotonic() - begin < 2
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{server.url}/readyz")

    asyncio.run(scenario())


def test_a_watch_whose_client_has_gone_is_given_up(harness, http):
    with http.stream("GET", "/apis/coordination.k8s.io/v1/leases?watch=1") as answer:
        assert answer.status_code == 200
        watches = harness.server.store._history._watches["coordination.k8s.io", "leases"]
        assert len(watches) == 1
    end = time.monotonic() + 3
    while harness.call(lambda: [watch for watch in watches if not watch._closed]):
        assert time.monotonic() < end, "the watch is still open"
        time.sleep(0.02)


def test_an_old_resource_version_in_a_watch(harness, http):
    history = harness.server.store._history
    forgotten, history._forgotten = history._forgotten, 10**9
    try:
        answer = http.get("/api/v1/pods?watch=1&resourceVersion=5")
    finally:
        history._forgotten = forgotten
    event = answer.json()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_unknown_paths_and_methods(http):
    for path in ("/api/v2/pods", f"{PODS}/web/nothing", "/api/v1/namespaces/default/nodes"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound"), path
    for method, path in (
        ("PUT", PODS),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/version"),
        ("POST", "/api/v1/pods"),
    ):
        answer = http.request(method, path, json={})
        assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed"), path


def test_an_error_has_no_body_for_a_head(http):
    answer = http.head("/api/v1/namespaces/default")
    assert (answer.status_code, answer.content) == (405, b"")


def test_faults(harness, http):
    hit = harness.server.fault("/api/v1/nodes", status=429, retry_after=3, times=2)
    for _ in range(2):
        answer = http.get("/api/v1/nodes")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert answer.json()["details"]["retryAfterSeconds"] == 3
    assert http.get("/api/v1/nodes").status_code == 200
    assert hit.seen == ["GET /api/v1/nodes"] * 2
    harness.server.fault("/api/.*", method="GET", hang=0.3)
    begin = time.monotonic()
    assert http.get("/api/v1/nodes").status_code == 200
    assert time.monotonic() - begin >= 0.3
    harness.server.fault("/api/.*", status=500)
    harness.server.clear_faults()
    assert http.get("/api/v1/nodes").status_code == 200


# --- proxies


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_pods_proxy_passes_everything_on(http, pod, upstream, method):
    body = {"content": "hello"} if method != "GET" else {}
    answer = http.request(method, f"{pod}:8080/proxy/a%20b/c?x=1&y=%2F", headers={"x-own": "1"}, **body)
    assert (answer.status_code, answer.headers["x-upstream"]) == (200, "yes")
    found = answer.json()
    assert (found["method"], found["path"]) == (method, "/a%20b/c?x=1&y=%2F")
    assert found["body"] == body.get("content", "")
    headers = {name.lower(): value for name, value in found["headers"].items()}
    assert headers["x-own"] == "1"
    assert "authorization" not in headers


def test_ports_of_a_pods_proxy(harness, http, pod, upstream):
    for target, port in ((pod, 8080), (f"{pod}:9090", 9090), (f"{PODS}/http:web:7", 7)):
        assert http.get(f"{target}/proxy/").status_code == 200
        assert harness.pods.asked[-1] == ("default", "web", port)
    assert "reached by the number of a port" in http.get(f"{pod}:http/proxy/").json()["message"]
    assert http.get(f"{PODS}/none/proxy/").status_code == 404
    assert http.get(f"{PODS}/ftp:web:7/proxy/").status_code == 400


def test_what_the_upstream_answers_is_the_answer(http, pod, upstream):
    assert http.get(f"{pod}/proxy/teapot").status_code == 418


def test_nobody_behind_a_proxy(harness, http, pod):
    harness.pods.upstream = ("127.0.0.1", 1)
    answer = http.get(f"{pod}/proxy/x")
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    assert answer.json()["message"] == (
        "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused"
    )


def test_a_services_proxy(http, service, upstream):
    for target in (f"{service}:http", f"{service}:80"):
        assert http.get(f"{target}/proxy/x").json()["path"] == "/x"
    empty = http.get("/api/v1/namespaces/default/services/empty:80/proxy/x")
    assert (empty.status_code, empty.json()["reason"]) == (503, "ServiceUnavailable")
    assert http.get("/api/v1/namespaces/default/services/none/proxy/x").status_code == 404


# --- logs


def test_logs(harness, http, pod):
    answer = http.get(f"{pod}/log?tailLines=5")
    assert (answer.text, answer.headers["content-type"]) == ("hello from main\n", "text/plain")
    assert harness.pods.asked[-1] == ("default", "web", "main", False, 5, False)
    assert http.get(f"{pod}/log?follow=true").text == "hello from main\nand goodbye\n"
    previous = http.get(f"{pod}/log?previous=true")
    assert (previous.status_code, previous.json()["reason"]) == (400, "BadRequest")
    assert "container nope is not valid" in http.get(f"{pod}/log?container=nope").json()["message"]
    assert http.get(f"{pod}/log?tailLines=x").status_code == 400
    assert http.get(f"{pod}/log?follow=true&limitBytes=20").text == "hello from main\nand "
    for times in ("timestamps=true", "sinceSeconds=5", "sinceTime=2000-01-01T00:00:00Z"):
        refused = http.get(f"{pod}/log?{times}")
        assert refused.status_code == 501
        assert f"leave out {times.partition('=')[0]}" in refused.json()["message"]


def test_eviction(http, pod):
    assert http.post(f"{pod}/eviction", json={"kind": "Eviction", "apiVersion": "policy/v1"}).status_code == 201
    assert http.get(pod).status_code == 404


# --- aggregated APIs
