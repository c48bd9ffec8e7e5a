"""Aggregated APIs on the wire: who is asked, by whom, and what happens while nobody is there."""

from __future__ import annotations

import asyncio
import base64
import http.server
import ssl
import threading
import time
from types import SimpleNamespace

import pytest
from api_harness import Upstream

from conformance.sandbox.apiserver import aggregation
from conformance.sandbox.apiserver.aggregation import Aggregator
from conformance.sandbox.apiserver.certificates import make_certificate
from conformance.sandbox.apiserver.resources import API_SERVICES


def http_server(context):
    """A TLS server in a thread."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def api_service(**spec):
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.metrics.example.org"},
        "spec": {"group": "metrics.example.org", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                 "service": {"namespace": "default", "name": "web", "port": 443}, **spec},
    }  # fmt: skip


SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


def available(http):
    conditions = http.get(f"{SERVICES}/v1.metrics.example.org").json().get("status", {}).get("conditions", [])
    return {item["type"]: (item["status"], item["reason"]) for item in conditions}.get("Available")


def wait_for(http, wanted):
    end = time.monotonic() + 5
    while (found := available(http)) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.02)


@pytest.fixture
def tls_upstream(upstream, harness, tmp_path):
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http_server(context)
    harness.pods.upstream = server.server_address
    yield certificate
    server.shutdown()
    server.server_close()


def test_an_aggregated_api(http, tls_upstream, service):
    http.post(SERVICES, json=api_service(insecureSkipTLSVerify=True))
    try:
        wait_for(http, ("True", "Passed"))
        found = http.get("/apis/metrics.example.org/v1/namespaces/x/things/y?a=b").json()
        assert found["user"] == "sandbox-admin"
        assert "metrics.example.org" in {group["name"] for group in http.get("/apis").json()["groups"]}
        assert http.get("/apis/metrics.example.org/v1").json()["resources"][0]["name"] == "things"
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        document = http.get("/apis", headers={"accept": accept})
        assert document.headers["content-type"] == accept
        groups = {item["metadata"]["name"]: item for item in document.json()["items"]}
        assert groups["metrics.example.org"]["versions"][0]["resources"][0]["resource"] == "things"
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")
    assert http.get("/apis/metrics.example.org/v1/things").status_code == 404


@pytest.fixture
def reader(harness, http):
    """A client that may get edges of pods in the aggregated group, and no more."""
    account = "/api/v1/namespaces/default/serviceaccounts"
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    http.post(account, json={"metadata": {"name": "reader"}})
    rule = {"apiGroups": ["metrics.example.org"], "resources": ["pods/edges"], "verbs": ["get"]}
    http.post(f"{rbac}/roles", json={"metadata": {"name": "reader"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    binding = {"metadata": {"name": "reader"}, "roleRef": {"kind": "Role", "name": "reader"}, "subjects": [subject]}
    assert http.post(f"{rbac}/rolebindings", json=binding).status_code == 201
    token = http.post(f"{account}/reader/token", json={}).json()["status"]["token"]
    with harness.client(token) as client:
        yield client
    for path in (f"{account}/reader", f"{rbac}/roles/reader", f"{rbac}/rolebindings/reader"):
        http.delete(path)


def test_an_aggregated_api_is_asked_only_for_what_is_allowed(http, tls_upstream, service, reader):
    http.post(SERVICES, json=api_service(insecureSkipTLSVerify=True))
    pod = "/apis/metrics.example.org/v1/namespaces/default/pods/web"
    try:
        wait_for(http, ("True", "Passed"))
        claimed = {"x-remote-user": "root", "x-remote-group": "system:masters"}
        found = reader.get(f"{pod}/edges", headers=claimed).json()
        assert found["users"] == ["system:serviceaccount:default:reader"]
        assert "system:serviceaccounts:default" in found["groups"]
        assert "system:masters" not in found["groups"]
        for path in (pod, f"{pod}/other", f"{pod.replace('default', 'other')}/edges"):
            assert reader.get(path).status_code == 403, path
        assert reader.post(f"{pod}/edges").status_code == 403
        assert reader.get("/apis/metrics.example.org/v1").status_code == 200, "discovery is for everybody"
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")


@pytest.mark.parametrize(("names", "reason"), [(("web.default.svc",), "Passed"), (("other",), "FailedDiscoveryCheck")])
def test_the_certificate_of_an_aggregated_api_names_its_service(
    http, upstream, harness, service, tmp_path, names, reason
):
    made, key = make_certificate(tmp_path, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    server = http_server(context)
    harness.pods.upstream = server.server_address
    http.post(SERVICES, json=api_service(caBundle=base64.b64encode(made.read_bytes()).decode()))
    try:
        wait_for(http, ("True" if reason == "Passed" else "False", reason))
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")
        server.shutdown()
        server.server_close()


def test_an_aggregated_api_comes_back(http, tls_upstream, service, harness):
    there, harness.pods.upstream = harness.pods.upstream, ("127.0.0.1", 1)
    http.post(SERVICES, json=api_service(insecureSkipTLSVerify=True))
    try:
        wait_for(http, ("False", "FailedDiscoveryCheck"))
        harness.pods.upstream = there
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        labels = {"kubernetes.io/service-name": "web"}
        http.post(slices, json={"metadata": {"name": "web", "labels": labels}, "addressType": "IPv4"})
        began = time.monotonic()
        wait_for(http, ("True", "Passed"))
        assert time.monotonic() - began < 1, "a change of the endpoints is looked at without delay"
        http.delete(f"{slices}/web")
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")


def test_an_aggregated_api_that_is_not_there(http, service, harness):
    harness.pods.upstream = ("127.0.0.1", 1)
    http.post(SERVICES, json=api_service(insecureSkipTLSVerify=True))
    try:
        wait_for(http, ("False", "FailedDiscoveryCheck"))
        answer = http.get("/apis/metrics.example.org/v1/things")
        assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")


def test_an_aggregated_api_without_endpoints(http, service):
    http.post(SERVICES, json=api_service(service={"namespace": "default", "name": "empty"}))
    try:
        wait_for(http, ("False", "MissingEndpoints"))
        assert http.get("/apis/metrics.example.org/v1/things").status_code == 503
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")


def test_a_server_that_failed_once_is_asked_again_soon(monkeypatch):
    """One answer that was too slow is not believed for as long as a server that does well is left alone."""
    states = [("Passed", ""), ("FailedDiscoveryCheck", "i/o timeout"), ("Passed", "")]
    monkeypatch.setattr(aggregation, "_PROBE_SECONDS", (0.01, 3600.0))

    async def state(*_):
        return states.pop(0) if len(states) > 1 else states[0]

    async def watch():
        thrice = asyncio.Event()

        def told(_, _name, status, *_more):
            seen.append(status)
            if len(seen) == 3:
                thrice.set()

        monkeypatch.setattr(Aggregator, "_state", state)
        monkeypatch.setattr(Aggregator, "_set", told)
        aggregator = Aggregator(SimpleNamespace(), SimpleNamespace(extra={}), None)
        aggregator.observe(SimpleNamespace(resource=API_SERVICES, type="ADDED", previous=None, object=api_service()))
        await asyncio.wait_for(thrice.wait(), 20)
        aggregator.close()

    seen = []
    asyncio.run(watch())
    assert seen == ["True", "False", "True"]


def test_a_group_of_ones_own_is_always_available(http):
    local = api_service()
    del local["spec"]["service"]
    http.post(SERVICES, json=local)
    try:
        assert available(http) == ("True", "Local")
    finally:
        http.delete(f"{SERVICES}/v1.metrics.example.org")
