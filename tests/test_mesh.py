"""Meshes are data: a wrong description is refused with the file and the field."""

from __future__ import annotations

import pytest
import yaml

from conformance import mesh

VALID = {
    "name": "demo", "title": "Demo", "homepage": "https://example.invalid", "status": "maintained",
    "detect": [{"kind": "Deployment", "name": "control", "namespaces": ["demo-system"]}],
    "inject": {"namespace": {"labels": {"inject": "yes"}}, "pod_template": "patch.yaml"},
    "convergence": 10, "apis": {"split.smi-spec.io": ["v1alpha2"]},
}
PATCH = {"metadata": {"labels": {"proxy": "yes"}},
         "spec": {"containers": [{"name": "proxy"}, {"name": "agent", "env": [{"name": "A", "value": "1"}]}]}}


def write(tmp_path, **changes):
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump({**VALID, **changes}))
    (tmp_path / "patch.yaml").write_text(yaml.safe_dump(PATCH))
    return file


def test_every_mesh_that_ships_is_valid():
    for name in mesh.names():
        assert mesh.load(name).name == name


def test_injection_merges_named_lists_and_leaves_the_template_alone(tmp_path):
    found = mesh.parse(write(tmp_path))
    template = {"metadata": {"labels": {"app": "echo"}}, "spec": {"containers": [{"name": "agent", "image": "python"}]}}
    injected = found.inject(template)
    assert injected["metadata"]["labels"] == {"app": "echo", "proxy": "yes"}
    assert [container["name"] for container in injected["spec"]["containers"]] == ["agent", "proxy"]
    agent = {"name": "agent", "image": "python", "env": [{"name": "A", "value": "1"}]}
    assert injected["spec"]["containers"][0] == agent
    assert len(template["spec"]["containers"]) == 1


def test_claims_are_by_group_and_version(tmp_path):
    found = mesh.parse(write(tmp_path))
    assert found.claims("split.smi-spec.io", "v1alpha2")
    assert not found.claims("split.smi-spec.io", "v1alpha4")
    assert not found.claims("access.smi-spec.io", "v1alpha2")


@pytest.mark.parametrize(("change", "complaint"), [
    ({"convergence": -1}, "convergence"),
    ({"status": "great"}, "status"),
    ({"detect": []}, "detect"),
    ({"surprise": 1}, "surprise"),
    ({"name": "../up"}, "name"),
])
def test_a_wrong_description_names_the_field(tmp_path, change, complaint):
    with pytest.raises(mesh.MeshError, match=complaint):
        mesh.parse(write(tmp_path, **change))


def test_an_unknown_mesh_is_answered_with_the_known_ones():
    with pytest.raises(mesh.MeshError, match="Did you mean 'reference'"):
        mesh.load("referense")
    with pytest.raises(mesh.MeshError, match="no mesh description"):
        mesh.load("/nowhere/mesh.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "kind: Deployment\n", "{apiVersion: v1, kind: Pod, metadata: 3}"])
def test_a_malformed_manifest_is_refused(tmp_path, text):
    file = tmp_path / "install.yaml"
    file.write_text(text)
    with pytest.raises(mesh.MeshError, match=r"install\.yaml"):
        mesh.load_manifests(file)
