"""The testbed as a user has it: brought up, a real Kubernetes, taken down without a trace. Needs root and minutes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conformance import paths
from conformance.cluster import Cluster, ClusterError
from conformance.waiting import NotYet, eventually
from testbed import build, holder, images, node, processes
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.machine import Machine, difference
from testbed.steps import components

pytestmark = pytest.mark.testbed

NAMESPACE = "testbed-proof"
LAYOUT = Layout()


def command(*words, wanted=0):
    done = subprocess.run([sys.executable, "-m", "testbed", *words], capture_output=True, text=True, check=False,
                          timeout=1800, cwd=paths.fixtures().parent)
    assert done.returncode == wanted, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def before():
    assert holder.init(LAYOUT) is None, "a testbed is up: these tests start one of their own; `python -m testbed down`"
    return Machine.read(LAYOUT)


@pytest.fixture(scope="module")
def cluster(before):
    """The API server of a testbed that is up, with the pods of this module in it."""
    assert command("up").stdout.strip() == str(LAYOUT.kubeconfig)
    try:
        opened = Cluster.from_kubeconfig(LAYOUT.kubeconfig, "testbed")
        for obj in sample():
            opened.create(obj)
        for name in ("server", "sidecar"):
            eventually(lambda name=name: ready(opened, name), what=f"pod {name}", within=60, consecutive=1)
        yield opened
        opened.close()
    finally:
        command("down")


def sample():
    def pod(name, spec):
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, **spec}}

    mounts = {"volumeMounts": [{"name": "agent", "mountPath": "/opt/agent"}]}
    volumes = {"volumes": [{"name": "agent", "configMap": {"name": "agent"}}]}
    image = images.PYTHON.removeprefix("docker.io/library/")
    agent = {"name": "agent", "image": image, **mounts,
             "command": ["python", "/opt/agent/agent.py", "--control", "19000", "--http", "8080"],
             "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
             "readinessProbe": {"httpGet": {"port": 19000, "path": "/healthz"}, "periodSeconds": 1}}
    sleeper = {"image": image,
               "command": ["python", "-c", "import time; print('it began', flush=True); time.sleep(9e4)"]}
    program = paths.agent_program()
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "agent", "namespace": NAMESPACE},
           "data": {path.name: path.read_text() for path in program.parent.glob("agent*.py")}}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": NAMESPACE},
           "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]}}
    yield pod("server", {"containers": [agent], **volumes})
    yield pod("sidecar", {
        "initContainers": [
            {"name": "first", "image": image, "command": ["python", "-c", "pass"],
             "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}}},
            {"name": "proxy", "restartPolicy": "Always", **sleeper},
        ],
        "containers": [{"name": "app", **sleeper,
                        "volumeMounts": [{"name": "shared", "mountPath": "/var/run/reference-mesh"}]}],
        "volumes": [{"name": "shared", "hostPath": {"path": "/var/run/reference-mesh", "type": "DirectoryOrCreate"}}],
    })


def ready(cluster, name):
    status = cluster.get("v1", "Pod", name, NAMESPACE)["status"]
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    if conditions.get("Ready") != "True":
        raise NotYet(json.dumps(status.get("containerStatuses")))


def client(code):
    """Run Python in the pod `sidecar`, through the kubelet."""
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(LAYOUT.kubeconfig), "--namespace", NAMESPACE, "exec", "sidecar", "--container",
         "app", "--", "python", "-c", code], capture_output=True, text=True, check=False, timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_node_is_ready_and_says_which_version_it_is(cluster):
    assert cluster.version() == "v1.34.4"
    status = cluster.get("v1", "Node", LAYOUT.node)["status"]
    assert status["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert {condition["type"]: condition["status"] for condition in status["conditions"]}["Ready"] == "True"
    told = command("status").stdout
    assert "the node is Ready" in told
    assert "ended" not in told, "a component had to be started again"


def test_a_pod_with_the_agents_image_answers_through_the_api_server(cluster):
    assert cluster.pod_proxy(NAMESPACE, "server", 19000, "GET", "/healthz")


def test_the_machine_reaches_pods_and_services(cluster):
    address = cluster.get("v1", "Pod", "server", NAMESPACE)["status"]["podIP"]
    service = cluster.get("v1", "Service", "server", NAMESPACE)["spec"]["clusterIP"]
    for target in ((address, 8080), (service, 80)):
        socket.create_connection(target, 5).close()


def test_a_service_is_reached_by_its_name_from_a_pod(cluster):
    code = "import urllib.request as u; print(u.urlopen('http://server/hello', timeout=10).status)"
    assert client(code).strip() == "200"


def test_names_are_resolved(cluster):
    service = cluster.get("v1", "Service", "server", NAMESPACE)["spec"]["clusterIP"]
    name = f"server.{NAMESPACE}.svc.cluster.local"
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(query, (str(LAYOUT.dns), 53))
        assert asking.recv(512).endswith(socket.inet_aton(service))


def test_a_native_sidecar_runs_beside_the_application(cluster):
    status = cluster.get("v1", "Pod", "sidecar", NAMESPACE)["status"]
    states = {c["name"]: c for c in status["initContainerStatuses"]}
    assert states["first"]["state"]["terminated"]["exitCode"] == 0
    assert states["proxy"]["state"]["running"]
    assert cluster.pod_log(NAMESPACE, "sidecar", "proxy") == "it began\n"


def test_a_host_path_is_the_nodes_not_the_machines(cluster):
    client("open('/var/run/reference-mesh/proof', 'w').write('here')")
    assert command("enter", "cat", "/run/reference-mesh/proof").stdout == "here"
    assert not Path("/run/reference-mesh/proof").exists()


def test_its_kubelet_answers_the_api_server_and_nobody_else(cluster):
    summary = json.loads(cluster.node_proxy(LAYOUT.node, "stats/summary"))
    assert summary["node"]["nodeName"] == LAYOUT.node
    anonymous = subprocess.run(["curl", "--insecure", "--silent", "--max-time", "5", "--output", "/dev/null",
                                "--write-out", "%{http_code}", f"https://{LAYOUT.node_address}:10250/pods"],
                               capture_output=True, text=True, check=False)
    assert anonymous.stdout == "401"


def test_what_would_be_set_for_the_whole_machine_is_not(cluster, before):
    assert Machine.read(LAYOUT).facts["setting"] == before.facts["setting"]


def test_a_second_testbed_is_refused(cluster):
    assert "a testbed is up" in command("up", wanted=1).stderr


def test_a_component_that_ends_is_started_again_and_one_that_is_stopped_is_not(cluster):
    pid = components(LAYOUT)["kube-scheduler"]["pid"]
    command("enter", "kill", "-9", str(pid))
    eventually(lambda: components(LAYOUT)["kube-scheduler"]["pid"] not in (0, pid), what="another", within=20)
    command("stop", "kube-scheduler")
    eventually(lambda: components(LAYOUT)["kube-scheduler"]["pid"] == 0, what="its end", within=20, consecutive=1)
    time.sleep(2)
    assert components(LAYOUT)["kube-scheduler"]["pid"] == 0
    command("start", "kube-scheduler")
    eventually(lambda: components(LAYOUT)["kube-scheduler"]["pid"] > 0, what="it again", within=20, consecutive=1)


def test_down_leaves_nothing(cluster, before):
    command("down")
    assert not difference(before, Machine.read(LAYOUT))
    assert not LAYOUT.state.exists()
    assert (LAYOUT.last_logs / "kubelet.log").stat().st_size


def test_a_holder_that_is_killed_takes_everything_with_it_and_down_removes_the_rest(before):
    command("up")
    found = processes.with_argument(str(LAYOUT.plan))
    os.kill(found[0].pid, signal.SIGKILL)
    eventually(lambda: not any(map(processes.alive, found)), what="its end", within=10, consecutive=1)
    with contextlib.suppress(ClusterError):
        Cluster.from_kubeconfig(LAYOUT.kubeconfig).version()
        pytest.fail("the API server still answers")
    assert "not up" in command("status", wanted=1).stdout
    command("down")
    assert not difference(before, Machine.read(LAYOUT))


def test_run_sets_kubeconfig_and_ends_with_the_commands_code(before):
    code = "import os, sys; print(os.environ['KUBECONFIG']); sys.exit(7)"
    done = command("run", "--", sys.executable, "-c", code, wanted=7)
    assert done.stdout.strip() == str(LAYOUT.kubeconfig)
    assert not difference(before, Machine.read(LAYOUT))


def test_an_up_that_fails_shows_the_log_that_tells_why_and_leaves_nothing(before, monkeypatch, tmp_path):
    broken = tmp_path / "etcd"
    broken.write_text("#!/bin/sh\necho no space left on device\nexit 1\n")
    broken.chmod(0o755)
    made = dataclasses.replace(build.binaries(), etcd=broken)
    monkeypatch.setattr(build, "binaries", lambda _progress: made)
    monkeypatch.setattr(node, "_START", 8.0)
    with pytest.raises(TestbedError, match=r"(?s)starting the API server: .*etcd\.log:\n    no space left on device"):
        node.up(LAYOUT, print)
    assert not LAYOUT.state.exists()
    eventually(lambda: not difference(before, Machine.read(LAYOUT)), what="nothing left", within=10, consecutive=1)
