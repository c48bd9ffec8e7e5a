"""What two meshes need that the harness installed goes with the last of them; nothing is taken from under the other."""

from __future__ import annotations

import cluster_contents
import pytest
import yaml
from made_up_definition import WIDGETS

from conformance import mesh as meshes
from conformance.cluster import Cluster
from conformance.lifecycle import cleaning
from conformance.lifecycle.install import Installer
from conformance.lifecycle.labels import mesh_of, run_of
from conformance.lifecycle.setup import Setup
from conformance.lifecycle.uninstall import remove
from conformance.mesh.description import parse

LEFT = {"apiVersion": "v1", "kind": "ConfigMap", "name": "left-behind"}


def deployment(name, labels=None):
    pod = {"containers": [{"name": "main", "image": "made-up:1.2"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels or {}},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}}


REAL = pytest.param("testbed", marks=pytest.mark.testbed)
BOTH = pytest.mark.parametrize("cluster", ["sandbox", REAL], indirect=True)


@pytest.fixture
def cluster(request):
    real = getattr(request, "param", "sandbox") == "testbed"
    where = request.getfixturevalue("real_kubeconfig") if real else request.getfixturevalue("sandbox").kubeconfig
    opened = Cluster.from_kubeconfig(where)
    yield opened
    opened.close()


@pytest.fixture
def describe(tmp_path):
    """Describe a mesh that is one Deployment without pods, and brings the definition of widgets."""
    def go(name, revision="", **more):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for word in ("", "some", "canary"):
            own = deployment(f"{name}-{word}" if word else name)
            (folder / f"{word or 'usual'}.yaml").write_text(yaml.safe_dump_all([own, WIDGETS]))
        (folder / "mesh.yaml").write_text(yaml.safe_dump({
            "name": name, "title": name.title(), "homepage": "https://example.org", "status": "maintained",
            "detect": [{"kind": "Deployment", "name": name, "namespaces": ["shared-home"]}],
            "inject": {}, "apis": {}, "install": [{"manifests": ["usual.yaml"]}], "leftovers": [LEFT], **more}))
        return parse(folder / "mesh.yaml", revision)

    return go


@pytest.fixture
def install(cluster):
    def go(mesh):
        told = []
        installer = Installer(cluster, Setup(mesh), tell=told.append)
        installer.refuse()
        installer.provision()
        return installer.run, told

    return go


@pytest.fixture
def take_away(cluster):
    def go(mesh):
        told = []
        assert remove(cluster, mesh, tell=told.append)
        return told

    return go


@pytest.fixture
def unchanged(cluster):
    with cluster_contents.unchanged(cluster):
        yield


def definition(cluster):
    return cluster.get(WIDGETS["apiVersion"], WIDGETS["kind"], WIDGETS["metadata"]["name"])


@BOTH
@pytest.mark.usefixtures("unchanged")
def test_the_first_mesh_goes_and_the_second_keeps_what_both_need(cluster, describe, install, take_away):
    first, second = describe("first"), describe("second")
    _, told = install(first)
    assert told == []
    run, told = install(second)
    assert told == [f"{what} is there for first: it is used as it is, and goes with the last"
                    for what in ("Namespace shared-home", "CustomResourceDefinition widgets.example.org")]
    told = take_away(first)
    assert "CustomResourceDefinition widgets.example.org stays: second needs it as well" in told
    assert "Namespace shared-home stays: second needs it as well" in told
    assert second.version(cluster) == "1.2"
    assert first.version(cluster) is None
    found = definition(cluster)
    assert (mesh_of(found), run_of(found)) == ("second", run)
    assert not [key for key in found["metadata"]["labels"] if key.startswith("needed-by")]
    assert take_away(second) == []


@pytest.mark.usefixtures("unchanged")
def test_the_second_mesh_goes_and_the_first_can_go_after_it(cluster, describe, install, take_away):
    first, second = describe("first"), describe("second")
    run, _ = install(first)
    install(second)
    assert take_away(second) == []
    found = definition(cluster)
    assert (mesh_of(found), run_of(found)) == ("first", run)
    assert take_away(first) == []


@pytest.mark.usefixtures("unchanged")
def test_of_three_the_last_one_takes_it_away(cluster, describe, install, take_away):
    found = [describe(name) for name in ("one", "two", "three")]
    for mesh in found:
        install(mesh)
    assert any("stays: three, two needs it as well" in line for line in take_away(found[0]))
    assert any("stays: two needs it as well" in line for line in take_away(found[2]))
    assert take_away(found[1]) == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_cleanup_of_one_run_leaves_what_another_needs_and_of_both_nothing(cluster, describe, install, order):
    runs = [install(describe(name))[0] for name in ("first", "second")]
    gone, stays = (runs[number] for number in order)
    [remains], _ = cleaning.remains(cluster, gone)
    cleaning.clean(cluster, remains)
    assert run_of(definition(cluster)) == stays
    [remains], _ = cleaning.remains(cluster)
    assert remains.run == stays
    assert cleaning.clean(cluster, remains).kept == ()


@pytest.mark.usefixtures("unchanged")
def test_definitions_of_somebody_else_get_no_label(cluster, describe, install, take_away):
    cluster.create(WIDGETS)
    try:
        install(describe("first"))
        assert "labels" not in definition(cluster)["metadata"]
        assert take_away(describe("first")) == []
        assert definition(cluster)
    finally:
        cluster.delete(WIDGETS)


INSTANCE = {"means": "revision", "detect": [{"kind": "Deployment", "name": "first-{instance}"}],
            "control_plane": [{"kind": "Deployment", "name": "first-{instance}", "namespace": "shared-home"}],
            "install": [{"manifests": ["{instance}.yaml"]}]}


@pytest.mark.parametrize(("removed", "stays"), [("canary", ""), ("", "canary")])
def test_leftovers_that_another_instance_uses_are_kept_and_said_to_be(
    cluster, describe, install, take_away, removed, stays,
):
    before = cluster_contents.everything(cluster)
    described = {name: describe("first", name, instance=INSTANCE) for name in ("", "canary")}
    for mesh in described.values():
        install(mesh)
    left = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "left-behind", "namespace": "default"}}
    cluster.create(left)
    other = f"first-{stays}" if stays else "first"
    assert (f"1 leftovers of {described[removed].title}, such as ConfigMap default/left-behind, are kept: {other} in "
            "shared-home needs them") in take_away(described[removed])
    assert cluster.exists(left)
    assert described[stays].version(cluster) == "1.2"
    take_away(described[stays])
    assert cluster_contents.everything(cluster) == before


def test_an_instance_is_found_by_its_kin_alone_whatever_it_is_called(cluster):
    istio = meshes.load("istio@canary")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    stable = deployment("istiod-stable", {"app": "istiod", "istio.io/rev": "stable"})
    stable["metadata"]["namespace"] = "istio-system"
    cluster.create(namespace)
    cluster.create(stable)
    try:
        assert [found.workload for found in istio.kin(cluster)] == ["istiod-stable"]
        assert istio.installations(cluster) == ()
        assert meshes.load("osm@canary").kin(cluster) == ()
    finally:
        cluster.delete(stable)
        cluster.delete(namespace)
