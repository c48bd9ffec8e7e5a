"""Pods and services through the API server: requests passed on, and logs."""

from __future__ import annotations

import pytest
from contract_pods import IMAGE

PROGRAM = """
import http.server

class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # What came is read first: to close a connection with unread bytes resets it, and the answer may be lost.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = f"{self.command} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_POST = do_GET
    def log_message(self, *_):
        pass

print("started", flush=True)
http.server.HTTPServer(("0.0.0.0", 8080), Echo).serve_forever()
"""


@pytest.fixture(scope="module")
def place(api, namespaces):
    """The path of a namespace with the pod `echo`, and the services `named`, `plain`, `empty`, `bare`."""
    path = f"/api/v1/namespaces/{namespaces()}"
    container = {
        "name": "main", "image": IMAGE, "command": ["python", "-c", PROGRAM],
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    api.until(f"{path}/serviceaccounts/default", lambda answer: answer.status == 200)
    api.ok("POST", f"{path}/pods", {"metadata": {"name": "echo", "labels": {"app": "echo"}}, "spec": spec})
    for name, selector, port in (
        ("named", {"app": "echo"}, {"name": "http", "port": 80, "targetPort": "web"}),
        ("plain", {"app": "echo"}, {"port": 80, "targetPort": 8080}),
        ("empty", {"app": "nobody"}, {"port": 80}),
        ("bare", None, {"port": 80}),
    ):
        service = {"ports": [port], **({"selector": selector} if selector else {})}
        api.ok("POST", f"{path}/services", {"metadata": {"name": name}, "spec": service})
    for name in ("named", "plain"):
        there = f"{path}/endpoints/{name}"
        api.until(there, lambda answer: any(item.get("addresses") for item in answer.body.get("subsets") or ()), 60)
    api.until(f"{path}/endpoints/empty", lambda answer: answer.status == 200, 30)
    return path


@pytest.mark.parametrize("target", ["echo", "echo:8080", "http:echo:8080"])
def test_a_pods_proxy(api, place, target):
    assert api.http.get(f"{place}/pods/{target}/proxy/a/b", params={"x": "1"}).text == "GET /a/b?x=1"
    assert api.http.post(f"{place}/pods/{target}/proxy/", content=b"x").text == "POST /"


def test_a_proxy_without_a_path_leads_to_the_root(api, place):
    answer = api.http.get(f"{place}/pods/echo/proxy", params={"x": "1"})
    assert (answer.status_code, answer.headers["location"]) == (301, f"{place}/pods/echo/proxy/?x=1")


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("echo:9", 503, "error trying to reach service: dial tcp"),
        ("none:80", 404, 'pods "none" not found'),
        ("ftp:echo:8080", 400, 'invalid pod request "ftp:echo:8080"'),
        ("a:b:c:d", 400, 'invalid pod request "a:b:c:d"'),
    ],
)
def test_a_pods_proxy_that_leads_nowhere(api, place, target, status, words):
    answer = api("GET", f"{place}/pods/{target}/proxy/")
    assert answer.status == status, answer.body
    assert words in answer.body["message"]


@pytest.mark.parametrize("target", ["named:80", "named:http", "http:named:80", "plain", "plain:80"])
def test_a_services_proxy(api, place, target):
    assert api.http.get(f"{place}/services/{target}/proxy/x").text == "GET /x"


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("named", 503, 'no endpoints available for service "named"'),
        ("named:81", 503, 'no service port 81 found for service "named"'),
        ("named:other", 503, 'no endpoints available for service "named:other"'),
        ("empty:80", 503, 'no endpoints available for service "empty"'),
        ("bare:80", 404, 'services "bare" not found'),
        ("none:80", 404, 'services "none" not found'),
    ],
)
def test_a_services_proxy_that_leads_nowhere(api, place, target, status, words):
    answer = api("GET", f"{place}/services/{target}/proxy/")
    assert answer.status == status, answer.body
    assert answer.body["message"] == words


def test_a_log(api, place):
    answer = api.http.get(f"{place}/pods/echo/log")
    assert (answer.text, answer.headers["content-type"]) == ("started\n", "text/plain")
    assert api.http.get(f"{place}/pods/echo/log", params={"limitBytes": "3"}).text == "sta"
    assert api.http.get(f"{place}/pods/echo/log", params={"tailLines": "0"}).text == ""


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"container": "other"}, 400, "container other is not valid for pod echo"),
        ({"previous": "true"}, 400, "previous terminated container"),
        ({"tailLines": "-1"}, 422,
         'PodLogOptions "echo" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'),
        ({"limitBytes": "0"}, 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
    ],
    ids=str,
)  # fmt: skip
def test_a_log_that_is_not_there(api, place, query, status, words):
    answer = api("GET", f"{place}/pods/echo/log", **query)
    assert answer.status == status, answer.body
    assert words in answer.body["message"]
