"""Istio on a real Kubernetes, by the harness alone: installed, found, injected, judged, and gone without a trace.

Istio is built first, which takes 10 to 25 minutes where it has not been built before. Where a registry refuses its
modules, everything here is left out, and pytest's summary says why.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest

from conformance import mesh, paths, selection
from conformance.cluster import NotFound
from conformance.exit_code import ExitCode
from conformance.outcome import Outcome
from conformance.report import record
from conformance.topology import CONTROL_PORT, RUN_LABEL, Topology
from conformance.traffic import Batch, Request
from conformance.waiting import NotYet, eventually
from testbed import gateway, istio
from testbed.__main__ import REFUSED

pytestmark = pytest.mark.testbed

WITHIN = 300.0  # seconds for one command of the harness
BUILT_WITHIN = 3600.0
OF_OTHERS = frozenset({"events", "leases", "componentstatuses"})
"""What controllers renew and what is no object at all. The API of SMI's metrics makes its objects up as well."""
SMI = {
    "SPLIT-001": "Istio claims no version of split.smi-spec.io",
    "TARGET-001": "Istio claims no version of access.smi-spec.io",
    "METRIC-001": "Istio claims no version of metrics.smi-spec.io",
    "CRD-001": "Istio claims none of SMI's kinds, so that their definitions are not its own",
}
"""Requirements, one for each API that Istio has nothing to do with, and what is said of them."""


@pytest.fixture(scope="module")
def tools(real_kubeconfig):
    """The directory of istioctl; Istio's images are on the node."""
    done = subprocess.run([sys.executable, "-m", "testbed", "istio"], capture_output=True, text=True, check=False,
                          timeout=BUILT_WITHIN, cwd=paths.fixtures().parent)
    if done.returncode == REFUSED:
        pytest.skip(f"nothing of Istio is proved here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def harness(real_kubeconfig, tools):
    """Runs a command of the harness on the testbed, with the exit code that it has to end with."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment["PATH"] = os.pathsep.join((tools, os.environ["PATH"]))
    place = ("--context", "testbed", "--kubeconfig", str(real_kubeconfig))

    def command(name, *options, wanted=ExitCode.CONFORMANT, within=WITHIN):
        done = subprocess.run([sys.executable, "-m", "conformance.cli", name, *place, *options], capture_output=True,
                              text=True, check=False, timeout=within, env=environment)
        assert done.returncode == wanted, f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return command


def everything(cluster):
    """The names of all objects of all resources that can be listed, in the version that the cluster prefers."""
    found = set()
    for group, versions in {"": ("v1",), **cluster.groups()}.items():
        if group == "metrics.smi-spec.io":
            continue
        prefix = f"/apis/{group}/{versions[0]}" if group else "/api/v1"
        for resource in cluster.json("GET", prefix)["resources"]:
            name = resource["name"]
            if "list" in resource["verbs"] and name not in OF_OTHERS:
                listed = cluster.json("GET", f"{prefix}/{name}")
                found |= {f"{group}/{name} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
                          for obj in listed["items"] or ()}
    return found


def is_as_before(cluster, before):
    def same():
        try:
            now = everything(cluster)
        except NotFound as error:  # what it lists is going
            raise NotYet(str(error)) from error
        if now != before:
            raise NotYet(f"left: {sorted(now - before)}; missing: {sorted(before - now)}")

    eventually(same, what="the cluster to be as it was", within=20, consecutive=1)


@pytest.fixture(scope="module")
def before(cluster):
    return everything(cluster)


@pytest.fixture(scope="module")
def provisioned(harness, before):
    """Istio, installed by the harness."""
    told = harness("provision", "--mesh", str(istio.MESH))
    try:
        yield told
    finally:
        harness("remove", "--mesh", str(istio.MESH))


@pytest.fixture(scope="module")
def topology(cluster, provisioned):
    """The harness's sample workloads in Istio."""
    deployed = Topology(cluster, mesh.load(str(istio.MESH)), secrets.token_hex(3))
    try:
        deployed.provision()
        yield deployed
    finally:
        deployed.remove()


def test_it_is_installed_and_found_with_its_version(harness, provisioned):
    assert f"Istio {istio.VERSION} is installed" in provisioned
    known = {row["mesh"]: row for row in json.loads(harness("meshes", "--format", "json"))}
    assert known["istio"]["installed"] == f"{istio.VERSION} in istio-system"
    assert not known["linkerd"]["installed"]


def test_pods_of_the_mesh_have_a_sidecar_and_others_have_not(cluster, topology):
    for workload in ("client", "v1", "v2", "v3", "guarded", "neighbour", "outsider", "outside-echo"):
        (pod,) = topology.pods_of(workload)
        names = [container["name"] for part in ("initContainers", "containers")
                 for container in pod["spec"].get(part, ())]
        expected = ["istio-init", "istio-proxy", "agent"] if topology.in_mesh(workload) else ["agent"]
        assert sorted(names) == sorted(expected)


def test_the_mesh_leaves_the_agents_control_port_alone(cluster, topology):
    """Where only the mesh's own traffic is let in, the API server still reaches the control port, and no other."""
    topology.await_services()
    namespace, pod = topology.pod("v1").namespace, topology.pod("v1").name
    cluster.create({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
                    "metadata": {"name": "strict", "namespace": namespace, "labels": {RUN_LABEL: topology.run}},
                    "spec": {"mtls": {"mode": "STRICT"}}})

    def refused():
        sample = f"strict-{secrets.token_hex(4)}"
        request = Request(f"http://{topology.service('v1').hosts[0]}:8080/")
        taken = topology.agent("outsider").run(Batch(sample, (request,), count=5))
        if taken.answers:
            raise NotYet(f"plain text is still let in: {taken.counts}")

    eventually(refused, what="plain text to be refused", within=20)
    assert cluster.pod_proxy(namespace, pod, CONTROL_PORT, "GET", "/healthz")
    assert topology.agent("v1").whoami().pod == pod


def test_a_client_reaches_servers_through_both_sidecars(topology):
    service = topology.service("v1")
    sample = f"istio-{secrets.token_hex(4)}"
    taken = topology.agent("client").run(Batch(sample, (Request(f"http://{service.hosts[0]}:8080/"),), count=20))
    assert taken.counts_by("pod") == {topology.pod("v1").name: 20}
    received = topology.agent("v1").received(sample)
    assert received.total == 20
    account = topology.account("client")
    for seen in received.first:
        certificate = {name.lower(): value for name, value in seen.headers}["x-forwarded-client-cert"]
        assert f"URI=spiffe://cluster.local/ns/{account.namespace}/sa/{account.name}" in certificate


def test_no_proxy_refuses_what_it_is_told(cluster, topology):
    """A filter that this Envoy does not have leaves proxies with what they knew before, and nobody would notice."""
    (pod,) = cluster.list("v1", "pods", "istio-system", labels="app=istiod")[0]
    log = cluster.pod_log("istio-system", pod["metadata"]["name"], "discovery")
    assert "PUSH" in log, "it speaks to proxies"
    assert [line for line in log.splitlines() if "ACK ERROR" in line or "Internal:Error" in line] == []


def test_it_may_be_installed_once_more(harness, provisioned):
    assert "is installed" in harness("provision", "--mesh", str(istio.MESH))


def test_what_another_description_says_of_it_is_not_the_harnesses(harness, provisioned):
    """The one that ships is the same mesh: what the harness installed is refused, not installed over."""
    told = harness("run", "--provision", "--mesh", str(istio.MESH), "--report-dir", "none", "--requirement", "CRD-001",
                   wanted=ExitCode.ERROR)
    assert f"Istio {istio.VERSION} is there, in namespace istio-system" in " ".join(told.split())


def test_it_is_removed_without_a_trace(harness, topology, cluster, before):
    topology.remove()
    assert "Istio is removed" in harness("remove", "--mesh", str(istio.MESH))
    is_as_before(cluster, before)
    assert "there is nothing of Istio" in harness("remove", "--mesh", str(istio.MESH))


def test_a_run_finds_smi_unsupported_by_it_and_leaves_no_trace(harness, cluster, before, tmp_path):
    """Nothing could be judged, and that is no pass."""
    harness("run", "--provision", "--mesh", str(istio.MESH), "--report-dir", str(tmp_path), "--requirement",
            ",".join(SMI), wanted=ExitCode.NOTHING)
    report = record.read(tmp_path / "report.jsonl")
    assert [(found.name, found.version) for found in report.header.meshes] == [("istio", istio.VERSION)]
    assert {result.outcome for result in report.results} == {Outcome.UNSUPPORTED}
    assert {result.requirement: result.message for result in report.results} == SMI
    is_as_before(cluster, before)


@pytest.fixture
def gateway_api(cluster, before):
    """The Gateway API's own definitions, from its module, which somebody has to apply before a mesh is of use."""
    definitions = gateway.objects(gateway.definitions())
    for obj in definitions:
        cluster.apply(obj)
    yield
    for obj in definitions:
        cluster.delete(obj)
    is_as_before(cluster, before)


def test_it_is_judged_by_httproutes(harness, gateway_api, tmp_path):
    """It meets all requirements, with the definitions of the Gateway API itself."""
    harness("run", "--suite", "gateway", "--provision", "--mesh", str(istio.MESH), "--report-dir", str(tmp_path),
            within=900.0)
    report = record.read(tmp_path / "report.jsonl")
    assert {result.version for result in report.results} == {"v1"}
    assert {result.requirement: result.message for result in report.results
            if result.outcome is not Outcome.PASSED} == {}
    assert len(report.results) == len(selection.rows(("gateway",)))
