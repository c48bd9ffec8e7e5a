"""The cluster module against API servers that misbehave: clear errors, bounded waits, no credential in a message."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from conformance import connection
from conformance.cluster import Cluster, ClusterError, Conflict, Gone, KubeconfigError, NotFound, Rejected, describe

TOKEN = "s3cret-token-of-the-test"


def kubeconfig(tmp_path, server="http://127.0.0.1:1", contexts=("demo",)):
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": contexts[0] if contexts else "",
        "clusters": [{"name": "demo", "cluster": {"server": server}}],
        "users": [{"name": "demo", "user": {"token": TOKEN}}],
        "contexts": [{"name": name, "context": {"cluster": "demo", "user": "demo"}} for name in contexts],
    }))
    return file


@pytest.fixture
def scripted(tmp_path):
    """An API server that gives scripted answers, and the cluster that talks to it."""
    answers, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            code, headers, text = answers.pop(0) if len(answers) > 1 else answers[0]
            if code == "hang":
                time.sleep(text)
                code, headers, text = 200, {}, "{}"
            data = text.encode()
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    opened = Cluster.from_kubeconfig(kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}"))
    opened.answers, opened.asked = answers, asked
    yield opened
    opened.close()
    server.shutdown()
    server.server_close()


def status(code, reason, message):
    return code, {}, json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message})


def test_token_of_the_kubeconfig_is_sent(scripted):
    scripted.answers.append((200, {}, '{"gitVersion": "v1.34.4"}'))
    assert scripted.version() == "v1.34.4"
    assert scripted.asked[0][2] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(("code", "kind"), [(404, NotFound), (409, Conflict), (422, Rejected), (403, Rejected)])
def test_status_objects_become_errors_that_say_what_was_done(scripted, code, kind):
    scripted.answers.append(status(code, "Because", "the server's own words"))
    with pytest.raises(kind, match=rf"reading it: the server's own words \(HTTP {code}\)") as caught:
        scripted.request("GET", "/x", doing="reading it")
    assert caught.value.reason == "Because"
    assert TOKEN not in str(caught.value)


def test_an_expired_credential_is_named(scripted):
    scripted.answers.append(status(401, "Unauthorized", "Unauthorized"))
    with pytest.raises(ClusterError, match="credential is missing, wrong or expired"):
        scripted.version()


def test_throttling_is_waited_out_as_long_as_the_server_says(scripted):
    scripted.answers += [(429, {"Retry-After": "1"}, ""), (200, {}, "{}")]
    began = time.monotonic()
    scripted.request("POST", "/x", body={})
    assert time.monotonic() - began >= 1
    assert len(scripted.asked) == 2


def test_throttling_without_end_is_given_up(scripted, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    scripted.answers.append((429, {}, "slow down"))
    with pytest.raises(ClusterError, match="HTTP 429"):
        scripted.request("POST", "/x", body={})


def test_a_server_error_is_repeated_only_where_that_is_harmless(scripted, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 2)
    scripted.answers += [(500, {}, "oops"), (200, {}, "{}")]
    scripted.request("GET", "/x")
    scripted.answers[:] = [(500, {}, "oops")]
    scripted.asked.clear()
    with pytest.raises(ClusterError, match=r"oops \(HTTP 500\)"):
        scripted.request("POST", "/x", body={})
    assert len(scripted.asked) == 1


def test_a_hanging_server_is_left_after_the_timeout(scripted):
    scripted.answers.append(("hang", {}, 2))
    with pytest.raises(ClusterError, match=r"no answer within 0\.3 s"):
        scripted.request("GET", "/x", timeout=0.3)


def test_an_answer_that_is_no_json_is_not_taken_for_a_cluster(scripted):
    scripted.answers.append((200, {}, "<html>hello</html>"))
    with pytest.raises(ClusterError, match="Is this a Kubernetes API server"):
        scripted.version()


def test_a_refused_connection_says_so(tmp_path):
    with pytest.raises(ClusterError, match="refused"):
        Cluster.from_kubeconfig(kubeconfig(tmp_path)).version()


def test_watch_yields_events_and_reports_an_expired_revision(scripted):
    event = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "a"}}})
    gone = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    scripted.answers.append((200, {}, f"{event}\n{gone}\n"))
    events = scripted.watch("v1", "pods", "1", timeout=2)
    assert next(events)[1]["metadata"]["name"] == "a"
    with pytest.raises(Gone, match="too old"):
        next(events)


def test_a_watch_that_ends_in_an_error_of_no_known_kind_is_an_error(scripted):
    strange = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": "?", "message": "storage is broken"}})
    scripted.answers.append((200, {}, f"{strange}\n"))
    with pytest.raises(ClusterError, match="watching pods: storage is broken"):
        next(scripted.watch("v1", "pods", "1", timeout=2))


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "no list of contexts"), ("a: [", "not YAML"), ("- 1", "no list of contexts"),
    ("contexts: []", "it has no context"),
])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path, text, complaint):
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigError, match=complaint):
        Cluster.from_kubeconfig(file)


def test_a_missing_file_and_an_unknown_context_are_named(tmp_path):
    with pytest.raises(KubeconfigError, match="--kubeconfig"):
        Cluster.from_kubeconfig(tmp_path / "none")
    with pytest.raises(KubeconfigError, match=r"no context 'other', only \['demo'\]"):
        Cluster.from_kubeconfig(kubeconfig(tmp_path), "other")


def test_objects_are_named_as_people_do():
    named = {"kind": "TrafficSplit", "metadata": {"name": "checkout", "namespace": "demo"}}
    assert describe(named) == "TrafficSplit demo/checkout"
    assert describe({"kind": "Event", "metadata": {"generateName": "e-"}}) == "Event e-…"
