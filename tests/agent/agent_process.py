"""The agent as a process, and servers that misbehave, all on loopback addresses that nobody else uses."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import faulty_server
import httpx
from faulty_server import FaultyServer

import conformance
from conformance.agents import Agent
from conformance.workloads.libraries import ZIP_NAME, h2_zip

PACKAGE = Path(conformance.__file__).parent
COMMAND = ["--control", "19000", "--http", "8080,8081", "--tcp", "7070", "--udp", "7071"]


class AgentProcess:
    """One agent in a pod of the sandbox, without the sandbox. `host` is where it listens, `network` its number.

    It runs from a directory of its own, beside its HTTP/2 library, as from a ConfigMap; without when `libraries` is {}.
    """

    def __init__(self, directory, network, number=2, libraries=None):
        self.network = network
        self.address = f"10.{network}.0.{number}"
        self.host = f"127.{network}.0.{number}"
        self.name = f"agent-{number}"
        pod = directory / f"{self.name}.json"
        pod.write_text(
            json.dumps({"address": self.address, "namespace": "demo", "network": network, "intercept": None})
        )
        services = directory / "services.json"
        services.write_text('{"services": []}')
        self.program = directory / f"program-{number}" / "agent.py"
        self.program.parent.mkdir(exist_ok=True)
        self.program.write_bytes((PACKAGE / "workloads" / "agent.py").read_bytes())
        for name, data in ({ZIP_NAME: h2_zip()} if libraries is None else libraries).items():
            (self.program.parent / name).write_bytes(data)
        self.log = directory / f"{self.name}.log"
        self.environment = {
            "PODNET_POD": str(pod),
            "PODNET_SERVICES": str(services),
            "POD_NAME": self.name,
            "POD_NAMESPACE": "demo",
            "SERVICE_ACCOUNT": "tester",
        }
        self.process = None
        self.http = httpx.Client(trust_env=False)

    def command(self, *arguments):
        return [
            sys.executable,
            "-S",
            "-E",
            str(PACKAGE / "sandbox" / "podnet.py"),
            str(self.program),
            *arguments,
        ]

    def __enter__(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(*COMMAND), env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(httpx.HTTPError):
                assert self.get("/healthz") == {"ok": True}
                return self
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def __exit__(self, *_):
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def ask(self, method, path, body=None, timeout=30.0):
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.request(method, f"http://{self.host}:19000{path}", content=content, timeout=timeout)

    def get(self, path):
        return self.ask("GET", path).json()

    def batch(self, *requests, sample="a-sample", **command):
        """Run a batch to its end and return the result as the agent says it."""
        requests = [{"url": request} if isinstance(request, str) else request for request in requests]
        answer = self.ask("POST", "/batch", {"sample": sample, "requests": requests, **command})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def one(self, request, **command):
        """The outcome of one request."""
        result = self.batch(request, **{"timeout": 2, **command})
        assert result["done"], result
        return result["answers"][result["sequence"][0]]

    def client(self):
        """The harness's side of the protocol."""
        return Agent(self.name, lambda method, path, body, timeout: self.ask(method, path, body, timeout).content)

    def connect(self, port=8080):
        sock = socket.create_connection((self.host, port), timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class Server(FaultyServer):
    """A faulty server in the pods' network; `url` is its address as a pod sees it."""

    def __init__(self, network, handle):
        super().__init__(handle, f"127.{network}.1.2")
        self.url = f"http://10.{network}.1.2:{self.port}"


def read_head(sock):
    """What a client sent up to the end of a request's head; raises OSError at the end of the connection."""
    return faulty_server.read_head(sock, at_once=1)


def answering(response, *, then=lambda sock: sock.close()):
    """A handler that reads one request, sends fixed bytes and then closes (or does what `then` says)."""

    def handle(sock):
        read_head(sock)
        sock.sendall(response)
        then(sock)

    return handle


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
