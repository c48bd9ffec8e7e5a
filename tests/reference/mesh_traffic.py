"""Plain servers and clients for the data-plane test: an Envoy between them is the only thing under test."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import envoy
import h2.config
import h2.connection
import h2.events

ENVOY = os.path.join(os.path.dirname(envoy.__file__), "_bin", "envoy")  # noqa: PTH118, PTH120


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per answer: two would meet Nagle and delayed ACKs
    disable_nagle_algorithm = True

    def do_GET(self):
        caller = self.headers.get("X-Forwarded-Client-Cert", "-").rpartition(";")[2]
        body = f"{self.server.name} {caller}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def application(name, address, port):
    """Serve HTTP that answers with its own name and with who it was told is calling."""
    server = ThreadingHTTPServer((address, port), Handler)
    server.name = name
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def proxy(directory: Path, admin: str):
    """Run Envoy on a directory that the control plane wrote, from ready to gone."""
    with running_envoy([ENVOY], directory, directory / "envoy.log", lambda: is_ready(admin)):
        yield


@contextlib.contextmanager
def running_envoy(command, directory: Path, log: Path, ready):
    """Run this command, Envoy's, on a directory that the control plane wrote, from `ready()` to gone."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-c", "bootstrap.json", "--disable-hot-restart", "--concurrency", "1", "-l", "warn",
             "--drain-strategy", "immediate", "--file-flush-interval-msec", "50"],
            stdout=output, stderr=output, start_new_session=True, cwd=directory,
        )
    try:
        until = time.monotonic() + 10
        while not ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait(5)


def is_ready(admin: str) -> bool:
    """Whether Envoy says so itself."""
    try:
        return ask(admin, "/ready").startswith("LIVE")
    except OSError:
        return False


def ask(admin: str, path: str) -> str:
    """GET a page of Envoy's administration."""
    connection = http.client.HTTPConnection(admin, 15000, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class Intercepted(http.client.HTTPConnection):
    """A connection of an intercepted pod: it goes to the sidecar, which is told the destination in a PROXY header."""

    def __init__(self, outbound: str, destination: str, port: int) -> None:
        super().__init__(destination, port, timeout=5)
        self._outbound = outbound

    def connect(self) -> None:
        self.sock = socket.create_connection((self._outbound, 15001), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        header = f"PROXY TCP4 127.251.0.10 {self.host} 40000 {self.port}\r\n"
        self.sock.sendall(header.encode())


def get(connection, host="root.demo", **headers) -> str:
    """Send one request and return status and body."""
    connection.request("GET", "/", headers={"Host": host, **headers})
    response = connection.getresponse()
    return f"{response.status} {response.read().decode()}"


def http2_status(connection, path) -> int:
    """Send one HTTP/2 request with prior knowledge and return the status of its answer; 0 if there is none."""
    connection.connect()
    protocol = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    protocol.initiate_connection()
    protocol.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "root.demo"), (":path", path)],
                          end_stream=True)
    try:
        connection.sock.sendall(protocol.data_to_send())
        while received := connection.sock.recv(65536):
            for event in protocol.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    return int(dict(event.headers)[":status"])
    finally:
        connection.close()
    return 0


def validate(directory):
    """Let Envoy judge: static resources are checked in full, which those of watched files are not."""
    config = json.loads((directory / "bootstrap.json").read_text())
    for kind, file in (("listeners", "lds.json"), ("clusters", "cds.json")):
        resources = json.loads((directory / file).read_text())["resources"]
        assert resources
        for resource in resources:
            resource.pop("@type")
        config["static_resources"].setdefault(kind, []).extend(resources)
    del config["dynamic_resources"]
    everything = directory / "everything.json"
    everything.write_text(json.dumps(config))
    done = subprocess.run([ENVOY, "--mode", "validate", "-c", everything], capture_output=True, text=True, timeout=20,
                          check=False, cwd=directory)
    assert done.returncode == 0, done.stderr[-3000:]
