"""Install steps: manifests, charts and programs, each rendered, labelled, mirrored, applied and taken away again."""

from __future__ import annotations

import json
import textwrap

import pytest
import yaml
from cluster_contents import everything

from conformance import mesh as meshes
from conformance.cluster import Cluster, ClusterError, NotFound
from conformance.lifecycle import availability, images, install, steps
from conformance.lifecycle.install import Installer, provisioned
from conformance.lifecycle.labels import MESH_LABEL
from conformance.lifecycle.setup import Setup
from conformance.lifecycle.uninstall import remove
from conformance.mesh import CommandStep, ControlPlane, HelmStep
from conformance.topology import RUN_LABEL, ProvisionError

QUIET = ["python", "-c", "import signal; signal.sigwait({signal.SIGTERM})"]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program on PATH that notes how it was called, and then prints what it is told to."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    def make(name, prints="", code=0, errors=""):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / f"{name}.out").write_text(prints)
        file = tmp_path / "bin" / name
        file.write_text(textwrap.dedent(f"""\
            #!/bin/sh
            printf '%s\\n' "$@" > {tmp_path}/{name}.args
            printf '%s' "$KUBECONFIG" > {tmp_path}/{name}.kubeconfig
            cat "${{KUBECONFIG%%:*}}" > {tmp_path}/{name}.first
            for word in "$@"; do case "$word" in */values.yaml) cat "$word" > {tmp_path}/{name}.values;; esac; done
            cat {tmp_path}/{name}.out
            printf '%s' '{errors}' >&2
            exit {code}
            """))
        file.chmod(0o755)
        return lambda what: (tmp_path / f"{name}.{what}").read_text()

    return make


def objects(*, namespace="quiet-system", labels=None):
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": "quiet", **({"namespace": namespace} if namespace else {})},
         "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "quiet"}}, "template": {
             "metadata": {"labels": {"app": "quiet"}},
             "spec": {"containers": [{"name": "main", "image": "python:3.12-slim", "command": QUIET}]}}}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [],
         "metadata": {"name": "quiet", "labels": labels or {}}},
    ]


@pytest.fixture
def quiet(tmp_path):
    """Describe a mesh that is one quiet Deployment, installed by these steps."""
    def describe(*install, manifests=None, **more):
        file = tmp_path / "quiet" / "mesh.yaml"
        file.parent.mkdir(exist_ok=True)
        (file.parent / "quiet.yaml").write_text(yaml.safe_dump_all(manifests or objects()))
        file.write_text(yaml.safe_dump({
            "name": "quiet", "title": "Quiet", "homepage": "https://example.org", "status": "maintained",
            "detect": [{"kind": "Deployment", "name": "quiet", "namespaces": ["quiet-system"]}],
            "control_plane": [{"kind": "Deployment", "name": "quiet", "namespace": "quiet-system"}],
            "inject": {}, "apis": {}, "install": list(install), **more}))
        return meshes.parse(file)

    return describe


CHART = {"helm": {"release": "quiet", "chart": "quiet", "repository": "https://charts.example.org", "version": "1.2.3",
                  "namespace": "quiet-system", "values": {"replicas": 1}}}


def test_a_chart_is_rendered_labelled_and_gone_again(cluster, program, quiet):
    before = everything(cluster)
    helm = program("helm", yaml.safe_dump_all(objects(namespace="")))
    found = quiet(CHART)
    with provisioned(Installer(cluster, Setup(found), tell=lambda _: None)):
        assert helm("args").split()[:8] == ["template", "quiet", "quiet", "--repo", "https://charts.example.org",
                                            "--version", "1.2.3", "--namespace"]
        assert "--include-crds" in helm("args")
        assert yaml.safe_load(helm("values")) == {"replicas": 1}
        assert found.version(cluster) == "3.12-slim"
        made = cluster.get("apps/v1", "Deployment", "quiet", "quiet-system")
        assert made["metadata"]["labels"][MESH_LABEL] == "quiet"
        assert RUN_LABEL in cluster.get(f"{RBAC}/v1", "ClusterRole", "quiet")["metadata"]["labels"]
    assert everything(cluster) == before


RBAC = "rbac.authorization.k8s.io"


def test_hooks_of_a_chart_come_before_and_after_and_others_not_at_all(cluster, program):
    def hook(name, what, weight=None):
        notes = {"helm.sh/hook": what} | ({"helm.sh/hook-weight": weight} if weight else {})
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": notes}}

    program("helm", yaml.safe_dump_all([
        hook("after", "post-install,post-upgrade"), hook("test", "test"), *objects(),
        hook("second", "pre-install", "5"), hook("first", "pre-install", "-5"),
        hook("gone", "pre-delete"), hook("odd", "post-install", "heavy")]))
    found = steps.objects(HelmStep("r", "c", "oci://example.org/charts", "1.0.0", "n", {}), cluster)
    assert [obj["metadata"]["name"] for obj in found] == ["first", "second", "quiet", "quiet", "after", "odd"]


def test_a_program_is_told_the_cluster_and_no_other(cluster, sandbox, program, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    tool = program("meshctl", yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": objects()}))
    chosen = Cluster.from_kubeconfig(sandbox.kubeconfig, "sandbox")
    words = ("install", "--set", "a=b; rm -rf $HOME")
    found = steps.objects(CommandStep("meshctl", words, applies_output=True), chosen)
    chosen.close()
    assert [obj["kind"] for obj in found] == ["Deployment", "ClusterRole"]
    assert tuple(tool("args").splitlines()) == words, "no shell reads them"
    assert tool("kubeconfig").split(":")[1:] == [str(sandbox.kubeconfig)]
    assert yaml.safe_load(tool("first"))["current-context"] == "sandbox"
    assert steps.objects(CommandStep("meshctl", (), applies_output=False), cluster) == []
    assert tool("kubeconfig").split(":")[1:] == [str(sandbox.kubeconfig)], "its only context is named as well"


@pytest.mark.parametrize(("prints", "code", "errors", "complaint"), [
    ("", 3, "no such profile", r"(?s)meshctl go failed with 3:\n  no such profile"),
    ("{: ", 0, "", "what meshctl printed is not YAML"),
    ("hello", 0, "", "what meshctl printed is not manifests: 'hello'"),
    ("kind: Secret", 0, "", "has no apiVersion, kind and metadata.name"),
])
def test_a_program_that_fails_or_prints_something_else(cluster, program, prints, code, errors, complaint):
    program("meshctl", prints, code, errors)
    with pytest.raises(ProvisionError, match=complaint):
        steps.objects(CommandStep("meshctl", ("go",), applies_output=True), cluster)


def test_a_program_that_is_missing_or_does_not_end(cluster, program, monkeypatch, tmp_path):
    step = CommandStep("meshctl", (), applies_output=False)
    with pytest.raises(ProvisionError, match="meshctl is needed to install this mesh and is not on PATH"):
        steps.objects(step, cluster)
    program("meshctl")
    file = tmp_path / "bin" / "meshctl"
    file.write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(steps, "RUN_WITHIN", 0.3)
    with pytest.raises(ProvisionError, match=r"not done within 0\.3 s"):
        steps.objects(step, cluster)
    file.write_text("#!/no/such/interpreter\n")
    with pytest.raises(ProvisionError, match="meshctl cannot be started"):
        steps.objects(step, cluster)


def test_programs_that_change_the_cluster_themselves_are_run_at_removal_too(cluster, program, quiet):
    tool = program("meshctl")
    found = quiet({"manifests": ["quiet.yaml"]}, {"command": ["meshctl", "finish"]},
                  remove=[{"command": ["meshctl", "undo"]}],
                  leftovers=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "quiet-root"},
                             {"apiVersion": "example.org/v1", "kind": "Nothing", "name": "x"}])
    before = everything(cluster)
    installer = Installer(cluster, Setup(found), tell=lambda _: None)
    installer.refuse()
    installer.provision()
    assert tool("args").split() == ["finish"]
    for namespace in ("default", "quiet-system"):
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "quiet-root",
                                                                              "namespace": namespace}})
    cluster.create(other := {"apiVersion": "v1", "kind": "ConfigMap",
                             "metadata": {"name": "quiet-root-of-another", "namespace": "default"}})
    assert remove(cluster, found, tell=lambda _: None)
    assert tool("args").split() == ["undo"]
    assert everything(cluster) - before == {"ConfigMap default/quiet-root-of-another"}
    cluster.delete(other)


def test_images_are_taken_from_a_mirror(cluster, quiet, monkeypatch):
    found = quiet({"manifests": ["quiet.yaml"]})
    monkeypatch.setattr(availability, "wait", lambda *_, **__: None)
    with provisioned(Installer(cluster, Setup(found), "mirror.example.org:5000/x", tell=lambda _: None)):
        made = cluster.get("apps/v1", "Deployment", "quiet", "quiet-system")
        image = made["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image == "mirror.example.org:5000/x/python:3.12-slim"


def test_a_kind_that_nobody_serves_is_named(cluster, quiet):
    found = quiet({"manifests": ["quiet.yaml"]},
                  manifests=[{"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "n"}}])
    with pytest.raises(ProvisionError, match=r"Nothing n cannot be applied|HTTP 404"), \
            provisioned(Installer(cluster, Setup(found), tell=lambda _: None)):
        pytest.fail("it is not installed")
    with pytest.raises(NotFound):
        cluster.get("v1", "Namespace", "quiet-system")


def test_a_webhook_of_the_mesh_that_is_not_there_yet_is_waited_for(cluster, quiet, monkeypatch):
    create, refused, times = cluster.create, [], [2]

    def late(obj, **more):
        if obj["kind"] == "ClusterRole" and len(refused) < times[0]:
            refused.append(obj)
            raise ClusterError("creating it", 'failed calling webhook "a.b": connection refused', code=500)
        return create(obj, **more)

    monkeypatch.setattr(cluster, "create", late)
    found = quiet({"manifests": ["quiet.yaml"]})
    with provisioned(Installer(cluster, Setup(found), tell=lambda _: None)):
        assert len(refused) == 2
    monkeypatch.setattr(install, "SERVED_WITHIN", 0.5)
    times[0] = 1000
    with pytest.raises(ProvisionError, match="a webhook to take ClusterRole quiet"), \
            provisioned(Installer(cluster, Setup(found), tell=lambda _: None)):
        pytest.fail("it is not installed")


def test_something_that_is_still_being_deleted_is_in_the_way(cluster, quiet):
    namespace = cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "quiet-system"}})
    held = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "held", "namespace": "quiet-system", "finalizers": ["example.org/never"]}})
    cluster.delete(namespace)
    found = quiet(CHART)
    with pytest.raises(ProvisionError, match="Namespace quiet-system is still being deleted"), \
            provisioned(Installer(cluster, Setup(found), tell=lambda _: None)):
        pytest.fail("it is not installed")
    cluster.patch(held, {"metadata": {"finalizers": None}})


# --- what workloads lack ---


@pytest.mark.parametrize(("kind", "spec", "status", "missing"), [
    ("Deployment", {}, {}, "has not looked at it yet"),
    ("Deployment", {"replicas": 2}, {"updatedReplicas": 2, "availableReplicas": 1}, "1 of 2 pods are available"),
    ("Deployment", {}, {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 2}, "pods of an earlier version"),
    ("Deployment", {}, {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}, ""),
    ("Deployment", {"replicas": 0}, {"replicas": 0}, ""),
    ("DaemonSet", {}, {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}, "2 of 3 pods"),
    ("DaemonSet", {}, {"desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "numberAvailable": 3}, "1 of 3 pods"),
    ("DaemonSet", {}, {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}, ""),
    ("StatefulSet", {"replicas": 3}, {"readyReplicas": 2}, "2 of 3 pods are ready"),
    ("StatefulSet", {}, {"readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}, "of an earlier version"),
    ("StatefulSet", {}, {"readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}, ""),
    ("StatefulSet", {}, {"readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}, ""),
])
def test_what_a_workload_lacks(kind, spec, status, missing):
    seen = {"observedGeneration": 3, **status} if status else {}
    found = availability.lacking({"kind": kind, "metadata": {"generation": 3}, "spec": spec, "status": seen})
    assert missing in found
    assert bool(missing) == bool(found)


def test_a_workload_without_pods_says_why(cluster):
    """As a quota leaves it: the Deployment is there, and its ReplicaSet may make no pod."""
    deployment = objects(namespace="default")[0]
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "no-such-image:1"
    cluster.create(deployment)
    cluster.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "quiet-1", "namespace": "default"},
                    "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: tiny, requested: pods=1",
                    "involvedObject": {"kind": "ReplicaSet", "name": "quiet-5d4f", "namespace": "default"}})
    cluster.patch(deployment, {"spec": {"replicas": 0}})
    cluster.patch(deployment, {"status": {"observedGeneration": 99}})
    with pytest.raises(ProvisionError, match="the quiet one") as error:
        availability.wait(cluster, [ControlPlane("Deployment", "nobody", "default")], "the quiet one", within=0.2)
    assert "no more is known of nobody" in str(error.value)
    assert "exceeded quota: tiny" in "\n".join(availability._warnings(
        cluster, ControlPlane("Deployment", "quiet", "default")))
    cluster.delete(deployment)


# --- images ---


@pytest.mark.parametrize(("reference", "mirrored"), [
    ("python:3.12-slim", "m.example.org/x/python:3.12-slim"),
    ("mesh-conformance/proxy:0.1.0", "m.example.org/x/mesh-conformance/proxy:0.1.0"),
    ("docker.io/istio/pilot:1.30.4", "m.example.org/x/istio/pilot:1.30.4"),
    ("localhost/istio/pilot:1", "m.example.org/x/istio/pilot:1"),
    ("registry:5000/a/b@sha256:0f", "m.example.org/x/a/b@sha256:0f"),
    ("m.example.org/x/a/b:1", "m.example.org/x/a/b:1"),
])
def test_names_in_a_mirror(reference, mirrored):
    assert images.mirrored(reference, "m.example.org/x/") == mirrored
    assert images.mirrored(mirrored, "m.example.org/x") == mirrored
    assert images.mirrored(reference, "") == reference


def test_images_of_a_run_are_listed_once():
    found = images.needed((meshes.load("reference"), meshes.load("istio")))
    assert [image.reference for image in found if image.needed_by == "agent"] == ["python:3.12-slim"]
    own = [image.reference for image in found if image.needed_by == "reference"]
    assert own == ["docker.io/mesh-conformance/reference-mesh:0.1.0", "docker.io/mesh-conformance/proxy:0.1.0"]
    assert any("pilot" in image.reference for image in found if image.needed_by == "istio")


def test_every_list_of_containers_is_rewritten_and_nothing_else():
    spec = {"initContainers": [{"name": "i", "image": "a:1"}], "containers": [{"name": "c", "image": "b:1"}]}
    wrapped = {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}, "data": {"image": "c:1"}}
    found = images.through("m.example.org", wrapped)
    assert json.dumps(found).count("m.example.org/") == 2
    assert found["data"] == {"image": "c:1"}
    assert wrapped["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == "b:1", "a copy"
