"""What runs leave is found by its label and goes; what blocks it is named."""

from __future__ import annotations

import json
from functools import partial

import pytest
import yaml
from absent_server import api_without_server
from cluster_contents import everything

from conformance import cli
from conformance.cluster import ClusterError, Kind
from conformance.exit_code import ExitCode
from conformance.lifecycle import removal
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import MESH_LABEL, labelled
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions
from conformance.topology import RUN_LABEL, ProvisionError

RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(crds=custom_resource_definitions()) as started:
        yield started


@pytest.fixture
def cleanup(command, cluster):
    return partial(command, "cleanup", cluster.source)


def left(cluster, run, *, namespace=True):
    """What a run may leave: a namespace with something in it, and of a mesh something elsewhere and cluster-wide."""
    labels = {RUN_LABEL: run}
    of_mesh = {**labels, MESH_LABEL: "reference"}
    if namespace:
        cluster.create(namespaced := {"apiVersion": "v1", "kind": "Namespace",
                                      "metadata": {"name": f"mc-{run}-app", "labels": labels}})
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {"name": "agent", "namespace": namespaced["metadata"]["name"], "labels": labels}})
    cluster.create({"apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": f"left-{run}", "namespace": "default", "labels": of_mesh}})
    cluster.create({"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "rules": [],
                    "metadata": {"name": f"left-{run}", "labels": of_mesh}})


def test_everything_labelled_goes_and_nothing_else(cluster, cleanup):
    before = everything(cluster)
    left(cluster, "aaa")
    left(cluster, "bbb")
    code, told = cleanup("--dry-run")
    assert code == ExitCode.CONFORMANT
    assert "would remove what run aaa left" in told
    assert "Namespace mc-aaa-app, with everything in it" in told
    assert "ConfigMap" not in told.replace("1 ConfigMap", "")
    assert {"Secret default/left-aaa", "Namespace mc-bbb-app"} <= everything(cluster)
    assert cleanup("--run", "aaa")[0] == ExitCode.CONFORMANT
    assert everything(cluster) - before == {
        "Namespace mc-bbb-app", "ConfigMap mc-bbb-app/agent", "Secret default/left-bbb", "ClusterRole left-bbb",
        "ServiceAccount mc-bbb-app/default", "ConfigMap mc-bbb-app/kube-root-ca.crt"}
    assert cleanup()[0] == ExitCode.CONFORMANT
    assert everything(cluster) == before
    assert cleanup("--dry-run")[1] == "there is nothing to remove\n"


def test_what_may_still_go_on_is_spared(cluster, cleanup):
    left(cluster, "new", namespace=False)
    assert "there is nothing to remove" in cleanup("--dry-run", "--older-than", "1h")[1]
    assert cleanup("--older-than", "1h")[0] == ExitCode.CONFORMANT
    assert "Secret default/left-new" in everything(cluster)
    assert "run new" in cleanup("--older-than", "0s", "--meshes")[1]
    assert "Secret default/left-new" not in everything(cluster)


@pytest.mark.parametrize("time", ["1", "h", "1y", "-1h", "1.5h", "", "999999d"])
def test_times_that_are_none(cleanup, time, capsys):
    with pytest.raises(SystemExit) as ended:
        cleanup(f"--older-than={time}")
    assert ended.value.code == ExitCode.USAGE
    assert "is no time such as 90s" in capsys.readouterr().err


def test_a_stuck_namespace_is_reported_with_what_blocks_it(cluster, cleanup, monkeypatch):
    monkeypatch.setattr(removal.sweep, "__kwdefaults__", {**removal.sweep.__kwdefaults__, "within": 1.0})
    left(cluster, "stuck")
    held = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "held", "namespace": "mc-stuck-app", "finalizers": ["example.org/never"]}})
    code, told = cleanup()
    assert code == ExitCode.ERROR
    assert "they are still there:\n  Namespace mc-stuck-app is being deleted" in told
    assert "ConfigMap mc-stuck-app/held: waits for example.org/never; whose controller is gone cannot finish" in told
    assert "run `mesh-conformance cleanup`" in told
    cluster.patch(held, {"metadata": {"finalizers": None}})
    assert cleanup()[0] == ExitCode.CONFORMANT
    assert not cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


def test_an_api_without_a_server_is_named_when_something_does_not_go(cluster, cleanup, monkeypatch):
    monkeypatch.setattr(removal.sweep, "__kwdefaults__", {**removal.sweep.__kwdefaults__, "within": 1.0})
    held = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "held", "namespace": "default", "finalizers": ["example.org/never"],
        "labels": {RUN_LABEL: "held", MESH_LABEL: "reference"}}})
    try:
        with api_without_server(cluster) as name:
            code, told = cleanup()
            assert code == ExitCode.ERROR
            assert "ConfigMap default/held: waits for example.org/never" in told
            assert f"APIService {name} is not available" in told
    finally:
        cluster.patch(held, {"metadata": {"finalizers": None}})
    assert cleanup()[0] == ExitCode.CONFORMANT


def test_who_may_not_see_everything_is_told(cluster, cleanup, tmp_path, capsys):
    left(cluster, "ccc")
    for kind, more in (("ClusterRole", {"rules": [{"apiGroups": [""], "resources": ["namespaces"],
                                                   "verbs": ["list", "get", "delete"]}]}),
                       ("ClusterRoleBinding", {
                           "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cleaner"},
                           "subjects": [{"kind": "ServiceAccount", "name": "cleaner", "namespace": "default"}]})):
        cluster.create({"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": "cleaner"}, **more})
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": {"name": "cleaner", "namespace": "default"}})
    config = yaml.safe_load(cluster.source.read_text())
    config["users"][0]["user"] = {"token": cluster.token("default", "cleaner")}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    code = cli.main(["cleanup", "--kubeconfig", str(tmp_path / "kubeconfig")])
    told = capsys.readouterr().out
    assert code == ExitCode.CONFORMANT
    assert "not looked at: this user may not list " in told
    assert "secrets" in told
    assert "nothing is left of what this user may see" in told
    assert "Secret default/left-ccc" in everything(cluster)
    assert "Namespace mc-ccc-app" not in everything(cluster)
    assert cleanup()[0] == ExitCode.CONFORMANT


def test_an_object_of_the_same_name_that_came_meanwhile_is_not_touched(cluster):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "twice", "namespace": "default"}}
    old = cluster.create(secret)
    cluster.delete(secret)
    new = cluster.create(secret)
    removal.delete_exactly(cluster, [Found(Kind("v1", "Secret", "secrets", namespaced=True), old)], within=2)
    assert cluster.get("v1", "Secret", "twice", "default")["metadata"]["uid"] == new["metadata"]["uid"]
    cluster.delete(secret)


def test_what_comes_back_is_said_to(cluster, monkeypatch):
    secret = labelled({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "phoenix", "namespace": "default"}},
                      "again", "reference")
    cluster.create(secret)
    delete = removal._delete

    def and_make_again(*arguments):
        delete(*arguments)
        cluster.create(secret)

    monkeypatch.setattr(removal, "_delete", and_make_again)
    with pytest.raises(ProvisionError, match="Secret default/phoenix came back 3 times: something makes them again"):
        removal.sweep(cluster, f"{RUN_LABEL}=again")
    cluster.delete(secret)


def test_an_api_server_that_is_away_for_a_moment_is_waited_for(cluster, monkeypatch):
    left(cluster, "away")
    request, refused = cluster.request, []

    def away(method, path, **more):
        if method == "DELETE" and len(refused) < 3:
            refused.append(path)
            raise ClusterError(more["doing"], "the connection was refused")
        return request(method, path, **more)

    monkeypatch.setattr(cluster, "request", away)
    swept = removal.sweep(cluster, f"{RUN_LABEL}=away", within=20)
    assert (swept.removed, swept.kept, len(refused)) == (4, (), 3)
