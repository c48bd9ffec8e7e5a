"""A small client of a sandbox's API, and sample pods."""

from __future__ import annotations

import ssl
import time

import httpx
import yaml

from conformance.sandbox import Sandbox

WEB = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(int(os.environ.get("CODE", "3")))
        said = os.environ.get("POD", "").encode()
        self.send_response(503 if os.path.exists(os.environ["HOME"] + "/broken") else 200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
print("hello from", os.environ.get("POD"), flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""


class Api:
    """Requests to an API server, by path; objects as plain dicts."""

    def __init__(self, sandbox: Sandbox) -> None:
        config = yaml.safe_load(sandbox.kubeconfig.read_text())
        self.sandbox = sandbox
        self.http = httpx.Client(
            base_url=sandbox.url,
            verify=ssl.create_default_context(cafile=str(sandbox.api.ca)),
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            timeout=10,
        )

    def __call__(self, method: str, path: str, body: dict | None = None, **more) -> dict:
        answer = self.http.request(method, path, json=body, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def until(self, path: str, condition, within: float = 5) -> dict:
        """The object at `path` when it satisfies `condition`; None stands for one that is gone."""
        deadline = time.monotonic() + within
        while True:
            answer = self.http.get(path)
            found = None if answer.status_code == 404 else answer.json()
            if condition(found):
                return found
            assert time.monotonic() < deadline, f"{path} after {within} s: {found}"
            time.sleep(0.01)

    def pods(self, namespace: str) -> list[dict]:
        return self("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]

    def events(self, namespace: str, reason: str) -> list[str]:
        found = self("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        return [event["message"] for event in found if event["reason"] == reason]


def web(port: int = 8080, **more) -> dict:
    """A pod's spec with one container that runs the sample program."""
    container = {
        "name": "web",
        "image": "python",
        "command": ["python", "/opt/web/web.py", str(port)],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"name": "http", "containerPort": port}],
        "volumeMounts": [{"name": "web", "mountPath": "/opt/web"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        **more,
    }
    return {"containers": [container], "volumes": [{"name": "web", "configMap": {"name": "web"}}]}


def shell(script: str, **more) -> dict:
    """A pod's spec with one container that runs a shell script."""
    return {"containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", script], **more}]}


def is_ready(pod: dict | None) -> bool:
    conditions = (pod or {}).get("status", {}).get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
