"""What breaks on a real cluster under a run: an error that says what happened, never the mesh's fault, and no orphans.

The mesh is installed once. Every test begins with what the one before has left, which has to be nothing.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import yaml
from cluster_contents import PASSING, everything
from real_runs import Going, until

from conformance import cli, paths
from conformance.cluster import ClusterError
from conformance.exit_code import ExitCode
from conformance.lifecycle import cleaning
from conformance.outcome import Outcome
from conformance.performance.usage import meters
from conformance.report import record
from conformance.service import WORKLOAD_LABEL
from conformance.topology import RUN_LABEL
from testbed.layout import Layout
from testbed.settings import KUBELET
from testbed.steps import components

pytestmark = pytest.mark.testbed

LAYOUT = Layout()
FEW = "SPLIT-001,SPLIT-002,SPLIT-006,SPLIT-007"
MORE = "SPLIT-00*,SPLIT-01*,HRG-00*"
LONG = "TARGET-00[1-4],TARGET-00[7-9],TARGET-01[5-9],TARGET-02*,HRG-*,SPLIT-00[1-8],SPLIT-01*,SPLIT-02*"
"""It takes minutes, and no check of it deploys a pod: that would wait for the kubelet, and for its pod to go."""


@pytest.fixture(scope="module", autouse=True)
def installed(real_kubeconfig, cluster):
    """The reference mesh, as long as this module; what it left is gone at the end."""
    before = everything(cluster, PASSING)
    place = ("--kubeconfig", str(real_kubeconfig))
    assert cli.main(["provision", *place]) == ExitCode.CONFORMANT
    yield
    assert cli.main(["remove", *place]) == ExitCode.CONFORMANT
    assert everything(cluster, PASSING) - before == set()


@pytest.fixture(autouse=True)
def nothing_stays(cluster, installed):
    """What the run of a test could not remove itself is found by its label, and that is all there is."""
    before = everything(cluster, PASSING)
    yield
    for left in cleaning.remains(cluster)[0]:
        if not left.mesh:
            cleaning.clean(cluster, left)
    new = everything(cluster, PASSING) - before
    # Pods of Deployments that stand longer than a test may have been replaced by it.
    assert {name for name in new if not name.startswith(("Pod reference-mesh/", "Pod kube-system/"))} == set()


@pytest.fixture
def going(real_kubeconfig, tmp_path):
    """Start a run in another process; it does not outlive the test."""
    runs = []

    def start(*options, kubeconfig=real_kubeconfig, environment=None):
        runs.append(Going(kubeconfig, tmp_path / f"report-{len(runs)}", *options, environment=environment))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.kill()


@pytest.fixture
def command(real_kubeconfig, tmp_path, capsys):
    """Run a command in this process."""
    def go(name, *options, kubeconfig=real_kubeconfig):
        directory = tmp_path / "report"
        where = ["--report-dir", str(directory)] if name == "run" else []
        capsys.readouterr()
        code = cli.main([name, "--kubeconfig", str(kubeconfig), *where, *options])
        told = capsys.readouterr()
        file = directory / "report.jsonl"
        assert "Traceback" not in told.out + told.err
        return code, " ".join((told.out + told.err).split()), record.read(file) if file.exists() else None

    return go


def component(action, name):
    subprocess.run([sys.executable, "-m", "testbed", action, name], check=True, cwd=paths.fixtures().parent, timeout=60)
    runs = action == "start"
    until(lambda: (components(LAYOUT)[name]["pid"] != 0) == runs, 30, f"{action} of {name}")


@pytest.fixture
def stopped():
    """Stop components; they run again after the test."""
    names = []

    def stop(name):
        names.append(name)
        component("stop", name)

    yield stop
    for name in names:
        component("start", name)


def errors(report):
    return {result.requirement: result.message for result in report.results if result.outcome is Outcome.ERROR}


def deployments(cluster):
    return cluster.list("apps/v1", "deployments")[0]


def node(cluster):
    return cluster.get("v1", "Node", LAYOUT.node)


def condition(cluster, kind):
    return next(each["status"] for each in node(cluster)["status"]["conditions"] if each["type"] == kind)


def test_the_api_server_is_restarted_under_a_run(going, stopped, cluster):
    run = going("--requirement", FEW)
    run.until_results(1)
    stopped("kube-apiserver")
    with pytest.raises(ClusterError):
        cluster.request("GET", "/version", patience=0.0)
    component("start", "kube-apiserver")
    _, report = run.end()
    passed = [result for result in report.results if result.outcome is Outcome.PASSED]
    assert len(passed) >= len(report.results) - 2, errors(report)


def test_the_kubelet_is_away_under_a_run(going, stopped, cluster):
    run = going("--requirement", LONG)
    run.until_results(1)
    stopped("kubelet")

    def ready():
        pods, _ = cluster.list("v1", "pods", labels=RUN_LABEL)
        return [pod for pod in pods if pod["metadata"]["namespace"].startswith("mc-") for each in
                pod["status"]["conditions"] if (each["type"], each["status"]) == ("Ready", "True")]

    until(lambda: not ready(), 120, "pods to be taken for not ready")  # which nodes are after 40 s without a word
    run.until_results(run.results + 1)
    component("start", "kubelet")
    run.until_results(run.results + 2)
    _, report = run.end(early=True)
    assert any("not ready" in message for message in errors(report).values()), errors(report)
    until(lambda: condition(cluster, "Ready") == "True", 60, "the node to be ready")


def evict(cluster, labels):
    [pod] = [pod for pod in cluster.list("v1", "pods", labels=labels)[0] if "deletionTimestamp" not in pod["metadata"]]
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body={
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}})
    return name


def test_a_pod_of_the_sample_workloads_is_evicted(going, cluster):
    run = going("--requirement", FEW)
    run.until_results(1)
    name = evict(cluster, f"{RUN_LABEL},{WORKLOAD_LABEL}=v2")
    code, report = run.end()
    assert code == ExitCode.ERROR
    assert any(name in message for message in errors(report).values()), errors(report)
    assert report.results[-1].outcome is Outcome.PASSED, "what comes later has the pod that stands in its place"


def test_the_control_plane_is_evicted(going, cluster):
    workload = cluster.get("apps/v1", "Deployment", "reference-control-plane", "reference-mesh")
    labels = workload["spec"]["selector"]["matchLabels"]
    run = going("--requirement", FEW)
    run.until_results(1)
    evict(cluster, ",".join(f"{key}={value}" for key, value in labels.items()))
    run.end()


@pytest.fixture
def full_disk(cluster):
    """Let the kubelet take its disk for full. A soft threshold: the node says so, and nothing is thrown away for it."""
    file = LAYOUT.settings / KUBELET
    usual = file.read_text()

    def restart(text):
        component("stop", "kubelet")
        file.write_text(text)
        component("start", "kubelet")

    restart(yaml.safe_dump(yaml.safe_load(usual) | {
        "evictionSoft": {"nodefs.available": "99.99%"}, "evictionSoftGracePeriod": {"nodefs.available": "1h"}}))
    try:
        until(lambda: any("disk-pressure" in taint["key"] for taint in node(cluster)["spec"].get("taints", ())), 60,
              "the node to be under disk pressure")
        yield
    finally:
        restart(usual)
        until(lambda: not node(cluster)["spec"].get("taints"), 60, "the node to take pods again")
        until(lambda: all(each["status"].get("availableReplicas") for each in deployments(cluster)), 60,
              "what the kubelet did not take back in that time to run again")


@pytest.mark.usefixtures("full_disk")
def test_a_node_is_out_of_disk(command, monkeypatch):
    monkeypatch.setattr("conformance.topology.READY_WITHIN", 8)
    monkeypatch.setattr("conformance.topology.GONE_WITHIN", 8)  # without a metrics server, which is not taken back
    code, told, _ = command("preflight")
    assert code == ExitCode.ERROR
    assert "disk-pressure:NoSchedule" in told
    code, _, report = command("run", "--requirement", "SPLIT-001,SPLIT-006")
    assert code == ExitCode.ERROR
    assert {result.outcome for result in report.results} == {Outcome.ERROR}
    assert "DiskPressure; taint node.kubernetes.io/disk-pressure:NoSchedule" in report.results[0].message


@pytest.fixture
def as_runner(cluster, real_kubeconfig, tmp_path):
    """A kubeconfig with the token of a service account that may do everything; the object is that account."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner", "namespace": "default"}}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
               "metadata": {"name": "runner"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
               "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": "default"}]}
    for obj in (account, binding):
        cluster.create(obj)

    def kubeconfig(token):
        config = yaml.safe_load(real_kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        file = tmp_path / "by-token"
        file.write_text(yaml.safe_dump(config))
        return file

    yield account, kubeconfig
    for obj in (binding, account):
        cluster.delete(obj)


def test_a_token_is_wrong_or_expires_under_a_run(going, command, cluster, as_runner):
    account, kubeconfig = as_runner
    token = cluster.token("default", "runner")
    said = "The credential is missing, wrong or expired"
    head, body, _ = token.split(".")
    code, told, _ = command("run", kubeconfig=kubeconfig(f"{head}.{body}.c2lnbmVkLWJ5LW5vYm9keQ"))
    assert (code, said in told) == (ExitCode.ERROR, True), told
    run = going("--requirement", MORE, kubeconfig=kubeconfig(token))
    run.until_results(1)
    cluster.delete(account)
    code, report = run.end()
    assert code == ExitCode.ERROR
    assert any(said in message for message in errors(report).values()), errors(report)
    assert [left for left in cleaning.remains(cluster)[0] if not left.mesh], "there was no right to remove it"


def test_a_namespace_is_stuck(command, cluster, monkeypatch):
    monkeypatch.setattr("conformance.topology.GONE_WITHIN", 20)
    monkeypatch.setattr("conformance.lifecycle.removal.sweep.__kwdefaults__", {"within": 8.0, "progress": None})
    held = []

    def hold():
        def there():
            return cluster.list("v1", "namespaces", labels=f"{RUN_LABEL},!mesh-conformance/mesh")[0]

        namespace = until(there, 60, "the run's namespace")[0]["metadata"]["name"]
        held.append(cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "held", "namespace": namespace, "finalizers": ["example.org/never"]}}))

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        code, _, report = command("run", "--requirement", "SPLIT-006")
        holding.join(60)
        [where] = [obj["metadata"]["namespace"] for obj in held]
        assert (code, [result.outcome for result in report.results]) == (ExitCode.ERROR, [Outcome.ERROR])
        assert f"{where} is still there" in report.results[0].message
        assert "example.org/never" in report.results[0].message
        run = where.split("-")[1]
        code, told, _ = command("cleanup", "--run", run)
        assert code == ExitCode.ERROR
        assert f"ConfigMap {where}/held: waits for example.org/never" in told
    finally:
        holding.join(60)
        for obj in held:
            cluster.patch(obj, {"metadata": {"finalizers": None}})
    assert command("cleanup", "--run", run)[0] == ExitCode.CONFORMANT


def test_a_cluster_without_a_metrics_api(command, cluster):
    assert "metrics.k8s.io" not in cluster.groups()
    code, told, _ = command("preflight")
    assert code == ExitCode.CONFORMANT, told
    assert "no resource metrics API (metrics.k8s.io); nothing needs it: usage is read from kubelets" in told
    assert meters.meter(cluster, "").watch(0.1)


def test_a_proxy_in_the_environment(command, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    code, told, _ = command("run", "--requirement", "SPLIT-006")
    assert (code, "the proxy of the environment (HTTPS_PROXY)" in told) == (ExitCode.ERROR, True), told
    monkeypatch.setenv("NO_PROXY", str(LAYOUT.node_address))
    code, told, _ = command("preflight")
    assert code == ExitCode.CONFORMANT, told
