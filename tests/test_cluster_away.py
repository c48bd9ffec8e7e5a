"""An API server that is away for a moment, as while it is restarted, is waited for; one that stays away only once."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from conformance import connection as module
from conformance.cluster import Cluster, ClusterError


class Server:
    """An API server that can be restarted on its port, and breaks connections when it is told to."""

    def __init__(self):
        self.asked, self.breaks, self.port, self._running = [], 0, 0, None

    def start(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.asked.append(self.command)
                if server.breaks:
                    server.breaks -= 1
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"gitVersion": "v1.34.4"}')

            do_GET = do_POST = answer  # noqa: N815 - http.server's names

            def log_message(self, *_):
                pass

        self._running = HTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._running.server_port
        threading.Thread(target=self._running.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        if self._running is not None:
            self._running.shutdown()
            self._running.server_close()
            self._running = None


@pytest.fixture
def server():
    started = Server()
    started.start()
    yield started
    started.stop()


@pytest.fixture
def cluster(server, tmp_path):
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "demo",
        "clusters": [{"name": "demo", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
        "users": [{"name": "demo", "user": {}}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}]}))
    opened = Cluster.from_kubeconfig(tmp_path / "kubeconfig")
    yield opened
    opened.close()


@pytest.fixture
def pauses(monkeypatch):
    """Note every pause instead of making it; the function `between` is called in each."""
    made = []

    def pause(seconds):
        made.append(seconds)
        pause.between()

    pause.between = lambda: None
    pause.made = made
    monkeypatch.setattr(module.time, "sleep", pause)
    return pause


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_is_restarted_between_two_requests(server, cluster, pauses, method):
    cluster.version()
    server.stop()
    pauses.between = lambda: server.start() if len(pauses.made) == 3 else None
    cluster.request(method, "/x")
    assert server.asked == ["GET", method], "asked once"
    assert len(pauses.made) == 3


def test_one_that_never_answered_is_not_waited_for(server, cluster, pauses):
    server.stop()
    with pytest.raises(ClusterError, match="Is the API server running"):
        cluster.version()
    assert pauses.made == []


def test_one_that_stays_away_is_waited_for_once_and_again_after_it_came_back(server, cluster, pauses, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    pauses.between = lambda: now.__setitem__(0, sum(pauses.made))
    cluster.version()
    server.stop()
    for pauses_so_far in (3, 3):
        with pytest.raises(ClusterError, match="Is the API server running"):
            cluster.version()
        assert len(pauses.made) == pauses_so_far
    server.start()
    cluster.version()
    server.stop()
    with pytest.raises(ClusterError, match="Is the API server running"):
        cluster.version()
    assert len(pauses.made) == 6


def test_who_has_no_patience_does_not_wait_and_others_do_all_the_same(server, cluster, pauses):
    cluster.version()
    server.stop()
    with pytest.raises(ClusterError):
        cluster.request("GET", "/x", patience=0.0)
    assert pauses.made == []
    pauses.between = server.start
    cluster.request("GET", "/x")
    assert len(pauses.made) == 1


def test_a_connection_that_breaks_is_asked_again_only_where_that_is_harmless(server, cluster, pauses):
    cluster.version()
    server.breaks = 1
    cluster.request("GET", "/x")
    assert server.asked == ["GET", "GET", "GET"]
    server.breaks = 1
    with pytest.raises(ClusterError, match="ProtocolError"):
        cluster.request("POST", "/x", body={})
    assert server.asked == ["GET", "GET", "GET", "POST"]
    assert len(pauses.made) == 1
