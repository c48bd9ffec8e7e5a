"""Pods through the real API server: started, ready, logged, restarted, ended."""

import os
import signal
import time

import pytest
import remains
from node_tools import is_ready, shell, web


def container(pod, index=0):
    return pod["status"]["containerStatuses"][index]


def test_a_pod_becomes_ready_and_says_where_it_is(api, make_pod, namespace):
    began = time.monotonic()
    path = make_pod("web", web())
    pod = api.until(path, is_ready)
    assert time.monotonic() - began < 3
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIP"].startswith(f"10.{api.sandbox.network}.")
    assert pod["spec"]["nodeName"] == "sandbox"
    assert pod["spec"]["serviceAccountName"] == "default"
    assert container(pod)["state"]["running"]["startedAt"]
    assert {found["type"]: found["status"] for found in status["conditions"]} == dict.fromkeys(
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"], "True"
    )
    assert api.events(namespace, "Scheduled") == [f"Successfully assigned {namespace}/web to sandbox"]
    assert api.events(namespace, "Started") == ["Started container web"]
    assert api.http.get(f"{path}:8080/proxy/").text == "web"


def test_logs_are_there_and_can_be_followed_to_the_end(api, make_pod):
    script = "for i in 1 2 3; do echo $i; sleep 0.1; done"
    path = make_pod("talker", {**shell(script), "restartPolicy": "Never"})
    api.until(path, lambda pod: "running" in str(pod["status"].get("containerStatuses")))
    assert api.http.get(f"{path}/log", params={"follow": "true"}).text == "1\n2\n3\n"
    assert api.until(path, lambda pod: pod["status"]["phase"] == "Succeeded")
    assert api.http.get(f"{path}/log", params={"tailLines": 1}).text == "3\n"


def test_a_container_that_dies_is_restarted_at_once_and_its_last_log_kept(api, make_pod):
    path = make_pod("mortal", web(env=[{"name": "POD", "value": "m"}, {"name": "CODE", "value": "7"}]))
    api.until(path, is_ready)
    api.http.get(f"{path}:8080/proxy/die")
    pod = api.until(path, lambda pod: is_ready(pod) and container(pod)["restartCount"] == 1)
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 7
    assert api.http.get(f"{path}/log", params={"previous": "true"}).text.startswith("hello from m\n")


def test_a_killed_container_is_restarted_and_shown_as_killed(api, make_pod):
    path = make_pod("victim", web())
    pod = api.until(path, is_ready)
    os.kill(int(container(pod)["containerID"].removeprefix("process://")), signal.SIGKILL)
    pod = api.until(path, lambda pod: container(pod)["restartCount"] == 1 and is_ready(pod))
    ended = container(pod)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["signal"], ended["reason"]) == (137, 9, "Error")


def test_a_container_that_keeps_dying_is_backed_off(api, make_pod, namespace):
    path = make_pod("broken", shell("echo no; exit 4"))
    waiting = {"reason": "CrashLoopBackOff"}
    pod = api.until(path, lambda pod: waiting.items() <= _waiting(pod).items())
    assert _waiting(pod)["message"].startswith("back-off 0.5s restarting failed container=main pod=broken_")
    assert container(pod)["restartCount"] == 1
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 4
    assert pod["status"]["phase"] == "Running"
    assert not is_ready(pod)
    assert api.events(namespace, "BackOff") == ["Back-off restarting failed container main"]


def _waiting(pod):
    statuses = pod["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {})


def test_a_pod_that_never_becomes_ready_says_why(api, make_pod, namespace):
    path = make_pod("shy", {**web(readinessProbe={"httpGet": {"path": "/", "port": 9999}})})
    api.until(path, lambda pod: pod["status"].get("phase") == "Running")
    message = remains.eventually(lambda: api.events(namespace, "Unhealthy"))[0]
    assert message.startswith("Readiness probe failed: dial tcp 127.")
    assert message.endswith(":9999: connect: ECONNREFUSED")
    ready = next(found for found in api("GET", path)["status"]["conditions"] if found["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [web]"


def test_a_pod_ceases_to_be_ready_and_is_again(api, make_pod, tmp_path):
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    path = make_pod("moody", web(readinessProbe=probe))
    uid = api.until(path, is_ready)["metadata"]["uid"]
    broken = api.sandbox.directory / "pods" / uid / "home/broken"
    broken.touch()
    api.until(path, lambda pod: not is_ready(pod))
    broken.unlink()
    pod = api.until(path, is_ready)
    assert container(pod)["restartCount"] == 0


def test_a_failing_liveness_probe_restarts_the_container(api, make_pod, namespace):
    probe = {"tcpSocket": {"port": 9999}, "periodSeconds": 1, "failureThreshold": 1}
    path = make_pod("stuck", web(livenessProbe=probe))
    api.until(path, lambda pod: pod["status"].get("containerStatuses") and container(pod)["restartCount"] == 1)
    assert "Container web failed liveness probe, will be restarted" in api.events(namespace, "Killing")


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (shell("", command=["no-such-program"]), "CreateContainerError", "'no-such-program' not found"),
        (shell("", command=None), "CreateContainerConfigError", "the sandbox runs no images"),
        (
            shell("", env=[{"name": "V", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]),
            "CreateContainerConfigError",
            'secrets "no" not found',
        ),
    ],
)
def test_a_container_that_cannot_be_created_says_why(api, make_pod, namespace, spec, reason, message):
    path = make_pod("bad", spec)
    pod = api.until(path, lambda pod: _waiting(pod).get("reason") == reason)
    assert message in _waiting(pod)["message"]
    assert message in api.events(namespace, "Failed")[0]
    assert pod["status"]["phase"] == "Pending"
    assert api.http.get(f"{path}/log").status_code == 400


def test_a_pod_waits_for_its_config_map_and_then_starts(api, make_pod, namespace):
    spec = shell("cat /c/file; sleep 60", volumeMounts=[{"name": "v", "mountPath": "/c"}])
    path = make_pod("patient", {**spec, "volumes": [{"name": "v", "configMap": {"name": "later"}}]})
    message = remains.eventually(lambda: api.events(namespace, "FailedMount"))[0]
    assert message == 'MountVolume.SetUp failed: configmaps "later" not found'
    body = {"metadata": {"name": "later"}, "data": {"file": "content"}}
    api("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
    api.until(path, is_ready)
    remains.eventually(lambda: api.http.get(f"{path}/log").text == "content")


def test_init_containers_run_in_order_before_the_others(api, make_pod):
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    spec = shell("cat /data/order; sleep 60", **mount)
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    spec["initContainers"] = [
        {"name": name, "image": "busybox", "command": ["sh", "-c", f"echo {name} >> /data/order"], **mount}
        for name in ("first", "second")
    ]
    path = make_pod("ordered", spec)
    pod = api.until(path, is_ready)
    remains.eventually(lambda: api.http.get(f"{path}/log").text == "first\nsecond\n")
    codes = [found["state"]["terminated"]["exitCode"] for found in pod["status"]["initContainerStatuses"]]
    assert codes == [0, 0]


def test_a_failing_init_container_is_repeated_and_holds_up_the_pod(api, make_pod):
    failing = {"name": "no", "image": "busybox", "command": ["sh", "-c", "exit 2"]}
    spec = {**shell("sleep 60"), "initContainers": [failing]}
    path = make_pod("held", spec)
    pod = api.until(path, lambda pod: (pod["status"].get("initContainerStatuses") or [{}])[0].get("restartCount") == 1)
    assert pod["status"]["phase"] == "Pending"
    initialized = next(found for found in pod["status"]["conditions"] if found["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [no]"
    assert container(pod)["state"]["waiting"]["reason"] == "PodInitializing"


def test_an_intercepted_pod_listens_inside_except_on_excluded_ports(api, make_pod):
    spec = web()
    spec["containers"].append({**web(9000)["containers"][0], "name": "excluded"})
    command = ["intercept", "--outbound-port=15001", "--exclude-inbound-ports=9000"]
    spec["initContainers"] = [{"name": "i", "image": "busybox", "command": command}]
    pod = api.until(make_pod("meshed", spec), is_ready)
    third, fourth = pod["status"]["podIP"].split(".")[2:]
    network = api.sandbox.network
    assert {word.split(" ")[0] for word in remains.sockets(network) if "LISTEN" in word} >= {
        f"addr(ip='127.{network}.{int(third) + 64}.{fourth}',",
        f"addr(ip='127.{network}.{third}.{fourth}',",
    }


def test_bad_arguments_of_intercept_are_shown(api, make_pod):
    spec = {**shell("sleep 60"), "initContainers": [{"name": "i", "image": "busybox", "command": ["intercept"]}]}
    path = make_pod("unmeshed", {**spec, "restartPolicy": "Never"})
    pod = api.until(path, lambda pod: pod["status"].get("phase") == "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 2
    assert "required: --outbound-port" in api.http.get(f"{path}/log", params={"container": "i"}).text


def test_a_program_sees_its_service_account_and_nothing_of_the_user(api, make_pod, monkeypatch):
    script = "env; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; sleep 60"
    path = make_pod("curious", shell(script))
    api.until(path, is_ready)
    remains.eventually(lambda: "\ntest-a-program-sees" in api.http.get(f"{path}/log").text)
    log = api.http.get(f"{path}/log").text
    assert f"KUBERNETES_SERVICE_PORT={api.http.base_url.port}" in log
    assert str(os.getenv("USER")) not in [line.removeprefix("USER=") for line in log.splitlines()]
    theirs = ("PYTEST", "HOME=/root", "VIRTUAL_ENV", "PYTHONPATH")
    assert not [line for line in log.splitlines() if line.startswith(theirs)]


def test_deleting_ends_the_processes_gives_them_time_and_leaves_no_file(api, make_pod, namespace):
    path = make_pod("leaver", shell("trap 'sleep 0.2; echo bye; exit 0' TERM; echo on; while :; do sleep 0.01; done"))
    pod = api.until(path, is_ready)
    directory = api.sandbox.directory / "pods" / pod["metadata"]["uid"]
    remains.eventually(lambda: api.http.get(f"{path}/log").text == "on\n")
    api("DELETE", path)
    assert api("GET", path)["metadata"]["deletionTimestamp"]
    api.until(path, lambda found: found is None)
    assert not remains.alive(int(container(pod)["containerID"].removeprefix("process://")))
    assert not directory.exists()
    assert api.events(namespace, "Killing") == ["Stopping container main"]


def test_a_program_that_does_not_end_is_killed_after_the_grace_period(api, make_pod):
    path = make_pod("stubborn", shell("trap '' TERM; echo on; while :; do sleep 60; done"))
    api.until(path, is_ready)
    remains.eventually(lambda: api.http.get(f"{path}/log").text == "on\n")
    began = time.monotonic()
    api("DELETE", path)
    api.until(path, lambda found: found is None)
    assert 0.9 < time.monotonic() - began < 3


def test_a_forced_deletion_does_not_wait(api, make_pod):
    spec = {**shell("trap '' TERM; while :; do sleep 60; done"), "terminationGracePeriodSeconds": 60}
    path = make_pod("forced", spec)
    pod = api.until(path, is_ready)
    api("DELETE", path, params={"gracePeriodSeconds": 0})
    pid = int(container(pod)["containerID"].removeprefix("process://"))
    remains.eventually(lambda: not remains.alive(pid))


def test_a_pod_of_an_unknown_service_account_is_refused(api, namespace):
    body = {"metadata": {"name": "x"}, "spec": {**shell("exit 0"), "serviceAccountName": "nobody"}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=body)
    assert answer.status_code == 403
    assert 'serviceaccount "nobody" not found' in answer.json()["message"]
