"""A real Prometheus and a real node-exporter on loopback, and small servers for them to scrape."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

from conformance.performance.usage.prometheus import Prometheus, PrometheusError

INSTALL = ("Debian's packages `prometheus` and `prometheus-node-exporter` are needed "
           "(apt-get install -y --no-install-recommends prometheus prometheus-node-exporter)")  # fmt: skip
EVERY = 0.5  # seconds between scrapes


def binary(name):
    """The path of a program; CI fails without it, other places skip what needs it and say so."""
    found = shutil.which(name)
    if found is None:
        missing = f"there is no {name}: {INSTALL}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(argv, url, log):
    """The program, once `url` answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=log.parent, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2, trust_env=False).is_success:
                    break
            assert process.poll() is None, f"{argv[0]} has ended:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{argv[0]} is not ready:\n{log.read_text()[-2000:]}"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def prometheus(directory, *jobs):
    """A Prometheus that scrapes those jobs, all else of it in `directory`; gives its address."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({
        "global": {"scrape_interval": f"{int(EVERY * 1000)}ms", "scrape_timeout": f"{int(EVERY * 1000)}ms"},
        "scrape_configs": list(jobs),
    }))
    address = f"127.0.0.1:{free_port()}"
    argv = [binary("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}", "--web.console.templates=", "--web.console.libraries=",
            "--log.level=warn"]  # fmt: skip
    with running(argv, f"http://{address}/-/ready", directory / "prometheus.log"):
        yield f"http://{address}"


@contextlib.contextmanager
def node_exporter(directory, *options):
    """A node-exporter with few collectors; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    argv = [binary("prometheus-node-exporter"), f"--web.listen-address={address}", "--collector.disable-defaults",
            "--collector.cpu", "--collector.meminfo", "--collector.stat", "--collector.uname", *options]  # fmt: skip
    with running(argv, f"http://{address}/metrics", directory / "node-exporter.log"):
        yield address


class Exporter:
    """An HTTP server that answers with `text`, which may be changed; `type` is its content type."""

    def __init__(self, text, type_="text/plain; version=0.0.4"):
        self.text, self.type, self.status = text, type_, 200
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                data = exporter.text.encode()
                self.send_response(exporter.status)
                self.send_header("Content-Type", exporter.type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def job(name, address, **more):
    return {"job_name": name, "static_configs": [{"targets": [address]}], **more}


def until(client: Prometheus, expression, condition=bool, within=20.0):
    """The series of an expression once they satisfy `condition`."""
    deadline = time.monotonic() + within
    while True:
        try:
            found = client.query(expression).series
        except PrometheusError as error:
            found = error
        else:
            if condition(found):
                return found
        assert time.monotonic() < deadline, f"{expression} after {within} s: {found}"
        time.sleep(0.1)
