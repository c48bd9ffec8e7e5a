"""What must never happen to a cluster that is somebody's: each of these would take away what nobody asked to remove."""

from __future__ import annotations

import pytest
import yaml
from made_up_definition import WIDGETS

from conformance import cli
from conformance import mesh as meshes
from conformance.cluster import Cluster
from conformance.exit_code import ExitCode
from conformance.lifecycle import cleaning, removal
from conformance.lifecycle.install import Installer, provisioned
from conformance.lifecycle.inventory import Found
from conformance.lifecycle.labels import MESH_LABEL, labelled
from conformance.lifecycle.setup import Setup
from conformance.lifecycle.uninstall import remove
from conformance.mesh.description import parse
from conformance.topology import RUN_LABEL, ProvisionError
from conformance.waiting import NotYet, eventually

WIDGET = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "theirs", "namespace": "default"}}
ROOTS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trust-roots", "namespace": "default"}}


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture
def cluster(sandbox):
    opened = Cluster.from_kubeconfig(sandbox.kubeconfig)
    yield opened
    for left in cleaning.remains(opened)[0]:
        cleaning.clean(opened, left)
    opened.close()


@pytest.fixture
def describe(tmp_path):
    """Describe a mesh that is one Deployment without pods, and brings the definition of widgets."""
    def go(**more):
        folder = tmp_path / "first"
        folder.mkdir(exist_ok=True)
        pod = {"metadata": {"labels": {"app": "first"}}, "spec": {"containers": [{"name": "main", "image": "a:1.2"}]}}
        own = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "first"},
               "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "first"}}, "template": pod}}
        (folder / "usual.yaml").write_text(yaml.safe_dump_all([own, WIDGETS]))
        (folder / "mesh.yaml").write_text(yaml.safe_dump({
            "name": "first", "title": "First", "homepage": "https://example.org", "status": "maintained",
            "detect": [{"kind": "Deployment", "name": "first", "namespaces": ["home"]}],
            "inject": {}, "apis": {}, "install": [{"manifests": ["usual.yaml"]}], **more}))
        meshes.load.cache_clear()
        return parse(folder / "mesh.yaml")

    yield go
    meshes.load.cache_clear()


def quiet(_):
    pass


def test_a_renewal_that_fails_leaves_the_mesh_that_stood_there(cluster, command, describe, tmp_path):
    mesh, file = describe(), str(tmp_path / "first" / "mesh.yaml")
    assert command("provision", cluster.source, "--mesh", file)[0] == ExitCode.CONFORMANT
    describe(install=[{"command": ["no-such-program"], "applies_output": True}, {"manifests": ["usual.yaml"]}])
    code, told = command("provision", cluster.source, "--mesh", file)
    assert code == ExitCode.ERROR
    assert "what was there of First is left standing" in told
    assert "no-such-program is needed to install this mesh" in told
    assert mesh.installations(cluster)


def test_a_second_run_of_the_same_mesh_is_refused_and_takes_nothing_away(cluster, describe):
    mesh, told = describe(), []

    def meanwhile(objects):
        """The first run has made its namespace, and not yet its workload."""
        with pytest.raises(ProvisionError) as refused, provisioned(Installer(cluster, Setup(mesh), tell=quiet)):
            pass
        told.append(str(refused.value))
        return objects

    first = Installer(cluster, Setup(mesh, change=meanwhile), tell=quiet)
    with provisioned(first):
        [refusal] = told
        assert refusal == (f"Namespace home is there for First by run {first.run}, which may still go on. Wait for its "
                           f"end; where it was killed: `mesh-conformance cleanup --run {first.run}`")
        assert mesh.installations(cluster)
    assert not mesh.installations(cluster)


def test_a_second_run_that_got_past_the_first_look_is_refused_by_what_it_meets(cluster, describe, monkeypatch):
    mesh = describe()
    first, second = (Installer(cluster, Setup(mesh), tell=quiet) for _ in range(2))
    first.provision()
    monkeypatch.setattr(Installer, "refuse", lambda _: None)
    with pytest.raises(ProvisionError, match=f"by run {first.run}"), provisioned(second):
        pass
    assert mesh.installations(cluster)


def test_what_a_run_removes_is_what_it_made(cluster, describe):
    """Another run's objects of the mesh stay, and with them what knows no runs: leftovers, programs."""
    mesh = describe(leftovers=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "trust-roots"}])
    installer = Installer(cluster, Setup(mesh), tell=quiet)
    installer.provision()
    other = labelled({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": "default"}},
                     "other", "first")
    cluster.create(other)
    cluster.create(ROOTS)
    assert remove(cluster, mesh, run=installer.run, tell=quiet)
    assert cluster.exists(other)
    assert cluster.exists(ROOTS)
    assert not remove(cluster, mesh, run=installer.run, tell=quiet)
    assert remove(cluster, mesh, tell=quiet)
    assert not cluster.exists(other)
    assert not cluster.exists(ROOTS)


@pytest.mark.parametrize("run", ["", "a,b", "!x", "A", "a" * 64])
def test_cleanup_of_a_run_that_has_no_name_is_not_of_all(cluster, command, capsys, run):
    cluster.create(namespace("mc-aaa-app", **{RUN_LABEL: "aaa"}))
    with pytest.raises(SystemExit) as ended:
        command("cleanup", cluster.source, f"--run={run}")
    assert ended.value.code == ExitCode.USAGE
    assert "is no id of a run" in capsys.readouterr().err
    assert cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]


def test_a_namespace_of_a_user_that_has_the_label_stays(cluster, command):
    shop = cluster.create(namespace("shop", **{RUN_LABEL: "aaa"}))
    copied = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "agent", "namespace": "default", "labels": {RUN_LABEL: "aaa"}}})
    cluster.create(namespace("mc-aaa-app", **{RUN_LABEL: "aaa"}))
    assert command("cleanup", cluster.source)[0] == ExitCode.CONFORMANT
    assert cluster.exists(shop)
    assert cluster.exists(copied)
    assert len(cluster.list("v1", "namespaces", labels=RUN_LABEL)[0]) == 1
    for obj in (shop, copied):
        cluster.delete(obj)


def test_what_was_there_before_the_mesh_is_no_leftover(cluster, describe):
    own = Found(cluster.kind("v1", "ConfigMap"), cluster.create(ROOTS))
    token = 0

    def later():
        """Times are in whole seconds."""
        nonlocal token
        token += 1
        one = cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": f"clock-{token}", "namespace": "default"}})
        cluster.delete(one)
        if Found(own.kind, one).made <= own.made:
            raise NotYet("the same second")

    eventually(later, what="the next second", within=10, consecutive=1)
    mesh, told = describe(leftovers=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "trust-roots"}]), []
    with provisioned(Installer(cluster, Setup(mesh), tell=told.append)):
        cluster.create(home := {**ROOTS, "metadata": {"name": "trust-roots", "namespace": "kube-public"}})
    assert told == ["ConfigMap default/trust-roots is kept: it was there before First"]
    assert cluster.exists(ROOTS)
    assert not cluster.exists(home)
    cluster.delete(ROOTS)


def test_cleanup_by_age_spares_meshes_unless_they_are_asked_for(cluster, command, describe):
    mesh = describe()
    Installer(cluster, Setup(mesh), tell=quiet, run="aaa").provision()
    cluster.create(namespace("mc-bbb-app", **{RUN_LABEL: "bbb"}))
    code, told = command("cleanup", cluster.source, "--older-than", "0s")
    assert (code, "sparing first of run aaa, which may be in use (--meshes" in told) == (ExitCode.CONFORMANT, True)
    assert mesh.installations(cluster)
    assert not cluster.list("v1", "namespaces", labels=f"{RUN_LABEL}=bbb")[0]
    assert command("cleanup", cluster.source, "--older-than", "0s", "--meshes")[0] == ExitCode.CONFORMANT
    assert not cluster.list("v1", "namespaces", labels=MESH_LABEL)[0]


def test_a_definition_that_gets_an_object_of_others_while_the_rest_goes_is_kept(cluster, describe, monkeypatch):
    mesh, made, told, delete = describe(), [], [], removal._delete
    Installer(cluster, Setup(mesh), tell=quiet).provision()

    def and_meanwhile(*arguments):
        if not made:
            made.append(cluster.create(WIDGET))
        return delete(*arguments)

    monkeypatch.setattr(removal, "_delete", and_meanwhile)
    assert remove(cluster, mesh, tell=told.append)
    assert told == ["widgets.example.org is kept: there are objects of others, such as Widget default/theirs"]
    assert cluster.exists(WIDGETS)
    with provisioned(Installer(cluster, Setup(mesh), tell=quiet)):
        assert cluster.exists(WIDGET), "a definition that was kept is no reason to refuse"
    assert cluster.exists(WIDGET)
    cluster.delete(WIDGET)


def test_the_current_context_of_several_is_not_taken(tmp_path, capsys):
    file = tmp_path / "config"
    names = ("dev", "prod")
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "prod", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": name, "cluster": {"server": "http://127.0.0.1:1"}} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in names]}))
    for command in ("cleanup", "remove", "provision", "preflight", "run"):
        assert cli.main([command, "--kubeconfig", str(file)]) == ExitCode.USAGE
        assert "choose one of ['dev', 'prod'] with --context" in capsys.readouterr().err
