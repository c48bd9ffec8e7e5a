"""Pods that are replaced while they are asked: the order of Kubernetes, hooks before the stop, and what clients see."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from node_tools import is_ready, shell, web

from conformance import dialect, mesh
from conformance.cluster import Cluster
from conformance.place import install
from conformance.sandbox import Sandbox
from conformance.waiting import NotYet, eventually

SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
# A request every five milliseconds, each on a connection of its own or all on one, for a bounded time.
ASK = """
import http.client, json, sys, time
url, keep, seconds = sys.argv[1], sys.argv[2] == "keep", float(sys.argv[3])
for _ in range(500):  # the own sidecar may still be starting
    try:
        http.client.HTTPConnection(url, 80, timeout=2).request("GET", "/")
        break
    except OSError:
        time.sleep(0.02)
seen, connection, begun, number = {}, None, time.monotonic(), 0
while (due := begun + number * 0.005) < begun + seconds:
    time.sleep(max(0.0, due - time.monotonic()))
    number += 1
    try:
        connection = connection or http.client.HTTPConnection(url, 80, timeout=2)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        found = str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        found = type(error).__name__
    if not keep or found != "200":
        connection.close()
        connection = None
    seen[found] = seen.get(found, 0) + 1
print(json.dumps(seen), flush=True)
time.sleep(60)
"""
PROGRAMS = {"name": "programs", "configMap": {"name": "programs"}}
MOUNT = {"name": "programs", "mountPath": "/opt/programs"}


def _log(api, path) -> str:
    return api.http.get(f"{path}/log").text


# --- hooks


def _with_hook(hook, script="trap 'echo stopped; exit 0' TERM; echo up; while :; do sleep 0.02; done", grace=20):
    spec = shell(script, lifecycle={"preStop": hook})
    spec["terminationGracePeriodSeconds"] = grace
    return spec


def _gone_after(api, path) -> float:
    api("DELETE", path)
    began = time.monotonic()
    api.until(path, lambda found: found is None, within=10)
    return time.monotonic() - began


@pytest.mark.parametrize("hook", [{"sleep": {"seconds": 1}}, {"exec": {"command": ["sleep", "1"]}}],
                         ids=["sleep", "exec"])
def test_the_stop_waits_for_the_hook(api, make_pod, hook):
    path = make_pod("slow", _with_hook(hook))
    api.until(path, is_ready)
    assert 1 <= _gone_after(api, path) < 4


def test_a_hook_has_the_environment_and_volumes_of_its_container_and_comes_first(api, make_pod):
    spec = _with_hook({"exec": {"command": ["sh", "-c", 'echo "hook of $NAME" > /shared/said']}},
                      "trap 'cat /shared/said; sleep 0.3; exit 0' TERM; while :; do sleep 0.02; done")
    spec["containers"][0] |= {"env": [{"name": "NAME", "value": "mine"}],
                              "volumeMounts": [{"name": "work", "mountPath": "/shared"}]}
    spec["volumes"] = [{"name": "work", "emptyDir": {}}]
    path = make_pod("hooked", spec)
    api.until(path, is_ready)
    time.sleep(0.1)  # for the shell to set its trap
    api("DELETE", path)
    until, said = time.monotonic() + 5, ""
    while "hook of mine" not in said:
        assert time.monotonic() < until, said
        said = _log(api, path)
    api.until(path, lambda found: found is None)


def test_an_http_hook_asks_the_container(api, make_pod, namespace):
    spec = web(lifecycle={"preStop": {"httpGet": {"path": "/die", "port": "http"}}})
    path = make_pod("asked", spec | {"terminationGracePeriodSeconds": 8})
    api.until(path, is_ready)
    api("DELETE", path)
    # It ends itself when it is asked, without an answer: neither the hook nor the pod waits for anything then.
    api.until(path, lambda found: found is None, within=4)


@pytest.mark.parametrize(("command", "said"), [
    (["sh", "-c", "exit 3"], "exited with 3"), (["nowhere"], "not found"), (["sleep", "9"], "within the grace period"),
])
def test_a_hook_that_fails_is_told_and_holds_nothing_up(api, make_pod, namespace, command, said):
    path = make_pod("failing", _with_hook({"exec": {"command": command}}, grace=1))
    api.until(path, is_ready)
    assert _gone_after(api, path) < 4
    (message,) = api.events(namespace, "FailedPreStopHook")
    assert said in message


def test_a_container_that_ends_by_itself_is_not_waited_for(api, make_pod):
    path = make_pod("short", _with_hook({"sleep": {"seconds": 15}}, "sleep 1"))
    api.until(path, is_ready)
    assert _gone_after(api, path) < 5


def test_a_shorter_grace_period_cuts_a_hook_off(api, make_pod):
    path = make_pod("hurried", _with_hook({"sleep": {"seconds": 15}}))
    api.until(path, is_ready)
    api("DELETE", path)
    api("DELETE", f"{path}?gracePeriodSeconds=1")
    api.until(path, lambda found: found is None, within=4)


@pytest.mark.parametrize(("lifecycle", "said"), [
    ({"postStart": {"exec": {"command": ["true"]}}}, "postStart"), ({"preStop": {"tcpSocket": {"port": 1}}}, "preStop"),
])
def test_what_cannot_be_had_is_refused_with_a_message(api, make_pod, namespace, lifecycle, said):
    make_pod("refused", shell("sleep 9", lifecycle=lifecycle))
    until = time.monotonic() + 5
    while not any(said in message and "not supported" in message for message in api.events(namespace, "Failed")):
        assert time.monotonic() < until
        time.sleep(0.02)


ENDED = """
import signal, sys, time
from pathlib import Path
from conformance.sandbox.runtime import Containers
containers = Containers()
pid = containers.start("short", ["true"], {"PATH": "/usr/bin:/bin"}, sys.argv[1], sys.argv[1] + "/log")
until = time.monotonic() + 5
while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < until:
    time.sleep(0.005)
containers.signal("short", signal.SIGTERM)
assert containers.reap() == [("short", 0)]
"""


def test_a_container_that_has_just_ended_is_not_lost_when_it_is_told_to_stop(tmp_path):
    """It would be waited for until the grace period is over, and then for ever."""
    # In a process of its own, because the runtime collects whatever child ends.
    done = subprocess.run([sys.executable, "-c", ENDED, str(tmp_path)], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 0, done.stderr


# --- sidecars: init containers that go on running


def test_a_sidecar_outlives_the_containers_and_counts_for_readiness(api, make_pod):
    side = {"name": "side", "image": "busybox", "restartPolicy": "Always",
            "command": ["sh", "-c", "trap 'cat /shared/order; sleep 0.3; exit 0' TERM; while :; do sleep 0.02; done"],
            "volumeMounts": [{"name": "work", "mountPath": "/shared"}],
            "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    spec = web()
    spec["initContainers"] = [side]
    spec["containers"].append({
        "name": "last", "image": "busybox", "volumeMounts": [{"name": "work", "mountPath": "/shared"}],
        "command": ["sh", "-c", """
            trap 'sleep 0.4; echo ended-first > /shared/order; exit 0' TERM
            while :; do sleep 0.02; done"""]})
    spec["volumes"].append({"name": "work", "emptyDir": {}})
    path = make_pod("pair", spec | {"terminationGracePeriodSeconds": 10})
    found = api.until(path, is_ready)
    assert [status["ready"] for status in found["status"]["initContainerStatuses"]] == [True]
    row = api.http.get(path, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json()["rows"][0]
    assert row["cells"][1] == "3/3"
    time.sleep(0.1)
    api("DELETE", path)
    until, said = time.monotonic() + 5, ""
    while "ended-first" not in said:
        assert time.monotonic() < until, said
        answer = api.http.get(f"{path}/log?container=side")
        said = answer.text if answer.is_success else said
    api.until(path, lambda found: found is None)


def test_a_pod_whose_work_is_done_ends_with_its_sidecar(api, make_pod):
    spec = shell("exit 0") | {"restartPolicy": "Never"}
    spec["initContainers"] = [{"name": "side", "image": "busybox", "command": ["sleep", "60"],
                               "restartPolicy": "Always"}]
    path = make_pod("done", spec)
    ended = api.until(path, lambda found: found["status"].get("phase") == "Succeeded"
                      and "terminated" in found["status"]["initContainerStatuses"][0]["state"])
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


# --- with the mesh


@pytest.fixture(scope="module")
def cluster():
    """A sandbox with the reference mesh, and a namespace without access control."""
    with Sandbox(crds=dialect.load("v1alpha4").definitions()) as sandbox:
        found = Cluster.from_kubeconfig(sandbox.kubeconfig)
        install(found, mesh.load("reference"))
        found.apply({"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": "demo", "labels": {"reference-mesh/access": "open"}}})
        found.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "programs", "namespace": "demo"},
                     "data": {"serve.py": SERVE, "ask.py": ASK}})
        yield found
        found.close()


def _deployment(name, **container):
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 10, "volumes": [PROGRAMS], "containers": [
            {"name": "main", "image": "python", "command": ["python", "/opt/programs/serve.py"],
             "volumeMounts": [MOUNT], "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
             **container}]},
    }
    # Port 8080 is not declared: the sidecar knows of it by the Service alone.
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "demo"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
                     "template": mesh.load("reference").inject(template)}}


def _service(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "demo"},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def _asking(cluster, name, way, seconds):
    """Start a pod that asks, and return how to get what it has seen."""
    template = mesh.load("reference").inject({"metadata": {}, "spec": {
        "volumes": [PROGRAMS], "containers": [{
            "name": "main", "image": "python", "volumeMounts": [MOUNT],
            "command": ["python", "/opt/programs/ask.py", name, way, str(seconds)]}]}})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{way}", "namespace": "demo",
                                                           **template["metadata"]}, "spec": template["spec"]}
    cluster.apply(pod)
    _eventually(lambda: "Ready" in _true(cluster.get("v1", "Pod", f"{name}-{way}", "demo")))

    def result() -> dict[str, int]:
        _eventually(lambda: cluster.pod_log("demo", f"{name}-{way}", "main").strip(), within=seconds + 10)
        cluster.delete(pod)
        return json.loads(cluster.pod_log("demo", f"{name}-{way}", "main"))

    return result


def _true(obj) -> list[str]:
    return [entry["type"] for entry in obj.get("status", {}).get("conditions", ()) if entry["status"] == "True"]


def _eventually(look, within=20.0):
    def asked():
        found = look()
        if not found:
            raise NotYet("not yet")
        return found

    return eventually(asked, what="the cluster to get there", within=within, consecutive=1, longest=0.05).last


def _roll_out(cluster, deployment):
    """Do what `kubectl rollout restart` does, and wait until it is over and the old pods are gone."""
    name = deployment["metadata"]["name"]
    before = {pod["metadata"]["uid"] for pod in cluster.list("v1", "pods", "demo", labels=f"app={name}")[0]}
    cluster.patch(deployment, {"spec": {"template": {"metadata": {"annotations": {"restarted": str(time.time())}}}}})

    def over():
        pods, _ = cluster.list("v1", "pods", "demo", labels=f"app={name}")
        return (len(pods) == 2 and before.isdisjoint(pod["metadata"]["uid"] for pod in pods)
                and all("Ready" in _true(pod) for pod in pods))

    _eventually(over)


def _up(cluster, deployment):
    name = deployment["metadata"]["name"]
    cluster.apply(_service(name))
    cluster.apply(deployment)
    _eventually(lambda: cluster.get("apps/v1", "Deployment", name, "demo").get("status", {}).get(
        "availableReplicas") == 2)


def test_the_endpoint_is_leaving_before_the_process_is_stopped(cluster):
    deployment = _deployment("order", lifecycle={"preStop": {"sleep": {"seconds": 2}}})
    deployment["spec"]["replicas"] = 1
    cluster.apply(_service("order"))
    cluster.apply(deployment)
    _eventually(lambda: cluster.get("apps/v1", "Deployment", "order", "demo").get("status", {}).get(
        "availableReplicas"))
    (pod,), _ = cluster.list("v1", "pods", "demo", labels="app=order")
    cluster.delete({"apiVersion": "v1", "kind": "Pod", **pod})

    def leaving():
        (found,), _ = cluster.list("discovery.k8s.io/v1", "endpointslices", "demo",
                                   labels="kubernetes.io/service-name=order")
        return [entry["conditions"] for entry in found["endpoints"] or ()
                if entry["targetRef"]["uid"] == pod["metadata"]["uid"] and entry["conditions"]["terminating"]]

    assert _eventually(leaving, within=1.5) == [{"ready": False, "serving": True, "terminating": True}]
    # It still answers, through its sidecar, whoever has not heard of it yet.
    assert cluster.pod_proxy("demo", pod["metadata"]["name"], 8080, "GET", "/") == b"ok"
    cluster.delete(deployment)


@pytest.mark.parametrize("way", ["keep", "new"])
def test_a_rolling_restart_with_a_hook_fails_no_request(cluster, way):
    """The pods of a template that real users have: the hook gives everyone the time to look elsewhere."""
    deployment = _deployment(f"gentle-{way}", lifecycle={"preStop": {"exec": {"command": ["sleep", "1"]}}})
    _up(cluster, deployment)
    result = _asking(cluster, f"gentle-{way}", way, 6.0)
    time.sleep(0.5)
    _roll_out(cluster, deployment)
    seen = result()
    cluster.delete(deployment)
    assert set(seen) == {"200"}, seen
    assert seen["200"] > 300, seen


def test_without_a_hook_only_the_moment_of_the_stop_fails(cluster):
    """A process that goes at the first signal is missed for as long as its going is news; no longer."""
    deployment = _deployment("abrupt")
    _up(cluster, deployment)
    result = _asking(cluster, "abrupt", "new", 6.0)
    time.sleep(0.5)
    _roll_out(cluster, deployment)
    seen = result()
    cluster.delete(deployment)
    assert set(seen) <= {"200", "503"}, seen
    # Two stops; half of the requests of a second each would be 200.
    assert seen.get("503", 0) < 200, seen
    assert seen["200"] > 300, seen
