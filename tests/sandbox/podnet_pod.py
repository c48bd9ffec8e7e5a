"""Pods with the sandbox's socket shim, without the sandbox."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

import conformance

PODNET = Path(conformance.__file__).parent / "sandbox" / "podnet.py"
AGENT = Path(conformance.__file__).parent / "workloads" / "agent.py"


class Pods:
    """The pods of one network, and the services that they see."""

    def __init__(self, directory, network):
        self.directory, self.network = directory, network
        self.processes = []
        self.services()

    def ip(self, rest):
        return f"10.{self.network}.{rest}"

    def wire(self, rest):
        return f"127.{self.network}.{rest}"

    def services(self, *services):
        """Replace the services that every pod sees."""
        complete = [
            {
                "namespace": "demo",
                "cluster_ip": None,
                "external_name": None,
                "ports": [],
                "addresses": [],
                **service,
            }
            for service in services
        ]
        new = self.directory / "services.new"
        new.write_text(json.dumps({"services": complete}))
        new.rename(self.directory / "services.json")

    def environment(self, rest, intercept=None, **more):
        pod = self.directory / f"pod-{rest}.json"
        config = {
            "address": self.ip(rest),
            "namespace": "demo",
            "network": self.network,
            "intercept": {"outbound": 15001, "exclude": [19000, 15000]} if intercept else None,
        }
        pod.write_text(json.dumps(config))
        return {"PODNET_POD": str(pod), "PODNET_SERVICES": str(self.directory / "services.json"), **more}

    def command(self, *words):
        return [sys.executable, "-S", "-E", str(PODNET), *words]

    def run(self, code, rest="0.9", *, intercept=False, check=True, **environment):
        """Run code in a pod and return what it printed, as JSON."""
        run = subprocess.run(
            self.command("-c", "import json, socket\n" + code),
            env=self.environment(rest, intercept, **environment),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        if check:
            assert run.returncode == 0, run.stderr
            return json.loads(run.stdout)
        return run

    def start(self, *words, rest="0.9", intercept=False, **environment):
        process = subprocess.Popen(
            self.command(*words), env=self.environment(rest, intercept, **environment), cwd=self.directory
        )
        self.processes.append(process)
        return process

    def agent(self, rest, *, intercept=False):
        """An agent in a pod, named after its address."""
        words = (str(AGENT), "--control", "19000", "--http", "8080", "--tcp", "7070", "--udp", "7071")
        process = self.start(*words, rest=rest, intercept=intercept, POD_NAME=f"pod-{rest}")
        self.wait(rest, 19000, process)
        return process

    def wait(self, rest, port, process):
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection((self.wire(rest), port), 1):
                return
            assert process.poll() is None, process.args
            assert time.monotonic() < end, f"{process.args} does not listen on {self.wire(rest)}:{port}"
            time.sleep(0.02)

    def envoy(self, config, rest, port):
        """A real Envoy, listening on a wire address."""
        import envoy  # noqa: PLC0415 - only where it is needed

        file = self.directory / "envoy.json"
        file.write_text(json.dumps(config))
        binary = Path(envoy.__file__).parent / "_bin" / "envoy"
        words = [str(binary), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
        process = subprocess.Popen(words, cwd=self.directory)
        self.processes.append(process)
        self.wait(rest, port, process)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def batch(pods, rest, url, count=1, **command):
    body = {"sample": "s", "requests": [{"url": url}], "count": count, "timeout": 3, **command}
    result = httpx.post(f"http://{pods.wire(rest)}:19000/batch", json=body, timeout=20).json()
    return [result["answers"][code] for code in result["sequence"]]


def received(pods, rest):
    return httpx.get(f"http://{pods.wire(rest)}:19000/received?sample=s").json()["requests"]


def service(pods, name="svc", ip="128.3", endpoints=(), protocol="TCP", port=80, target=8080, **more):
    hosts = [[pods.ip(rest), target] for rest in endpoints]
    ports = [{"port": port, "protocol": protocol, "endpoints": hosts}]
    return {"name": name, "cluster_ip": pods.ip(ip) if ip else None, "ports": ports, **more}
