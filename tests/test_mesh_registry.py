"""Where meshes come from: the harness, packages that bring some along, a path; and one of several instances."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from conformance import mesh
from conformance.mesh import registry

DESCRIPTION = {
    "name": "theirs", "title": "Theirs", "homepage": "https://example.invalid", "status": "maintained", "inject": {},
    "detect": [{"kind": "DaemonSet", "name": "theirs", "namespaces": ["theirs"]}], "apis": {},
}
INSTANCE = {"means": "namespace", "detect": [{"kind": "DaemonSet", "name": "theirs", "namespaces": ["{instance}"]}]}


def folder(parent, name="theirs", **changes):
    directory = parent / name
    directory.mkdir(parents=True)
    (directory / "mesh.yaml").write_text(yaml.safe_dump({**DESCRIPTION, **changes}))
    return directory / "mesh.yaml"


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """Give a function that installs a package with meshes, as far as entry points are concerned."""
    points = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def bring(source, attribute=""):
        module = f"brought{len(points)}_{tmp_path.name.replace('-', '_')}"
        package = tmp_path / module
        package.mkdir()
        (package / "__init__.py").write_text(source)
        points.append(EntryPoint(f"meshes{len(points)}", module + attribute, registry.ENTRY_POINTS))
        registry.load.cache_clear()
        return package

    yield bring
    registry.load.cache_clear()


def test_a_package_brings_meshes_along(brought):
    package = brought("")
    file = folder(package)
    assert registry.files()["theirs"] == file
    assert mesh.load("theirs").title == "Theirs"
    assert "theirs" in mesh.names()
    assert "theirs" not in mesh.shipped()


def test_a_function_of_a_package_says_where_its_meshes_are(brought, tmp_path):
    folder(tmp_path / "elsewhere")
    brought(f"def where():\n    return {str(tmp_path / 'elsewhere')!r}\n", ":where")
    assert mesh.load("theirs").name == "theirs"


def test_two_meshes_of_one_name_are_both_named(brought):
    package = brought("")
    file = folder(package, "istio")
    with pytest.raises(mesh.MeshError, match="two meshes have the name 'istio'") as caught:
        mesh.load("istio")
    assert str(file) in str(caught.value)
    assert str(Path("meshes") / "istio" / "mesh.yaml") in str(caught.value)


@pytest.mark.parametrize(("source", "attribute", "complaint"), [
    ("raise RuntimeError('broken inside')", "", "RuntimeError: broken inside"),
    ("", ":missing", "AttributeError"),
    ("def where():\n    return 3\n", ":where", "TypeError"),
    ("def where():\n    return '/nowhere/at/all'\n", ":where", "is no directory"),
    ("", "", "there is no"),
])
def test_a_broken_package_is_named(brought, source, attribute, complaint):
    brought(source, attribute)
    with pytest.raises(mesh.MeshError, match=complaint) as caught:
        mesh.load("reference")
    assert "meshes0" in str(caught.value)


def test_a_path_needs_no_package(tmp_path):
    assert mesh.load(str(folder(tmp_path))).control_plane == (mesh.ControlPlane("DaemonSet", "theirs", "theirs"),)


def test_an_instance_takes_the_place_of_what_is_usual(tmp_path):
    file = folder(tmp_path, instance=INSTANCE)
    assert mesh.load(str(file)).detect[0].namespaces == ("theirs",)
    found = mesh.load(f"{file}@blue")
    assert (found.name, found.base, found.title) == ("theirs@blue", "theirs", "Theirs (blue)")
    assert found.detect[0].namespaces == ("blue",)
    assert found.control_plane == (mesh.ControlPlane("DaemonSet", "theirs", "blue"),)


def test_an_instance_is_of_a_mesh_that_has_some(tmp_path):
    with pytest.raises(mesh.MeshError, match="kuma has no instances"):
        mesh.load("kuma@blue")
    with pytest.raises(mesh.MeshError, match="names no instance"):
        mesh.load("istio@")
    for word in ("Blue", "a/b", "-a", "a" * 64, "{x}"):
        with pytest.raises(mesh.MeshError, match="small letters"):
            mesh.load(f"istio@{word}")
    with pytest.raises(mesh.MeshError, match=r"unknown mesh 'isto'.*Did you mean 'istio'"):
        mesh.load("isto@canary")


def test_the_parts_of_instances_are_validated_before_somebody_needs_them(tmp_path):
    wrong = {"means": "namespace", "detect": [{"kind": "DaemonSet", "name": "{instance}", "namespaces": []}]}
    file = folder(tmp_path, instance=wrong)
    with pytest.raises(mesh.MeshError, match=r"mesh\.yaml: detect\.0\.namespaces: .*with the parts of 'instance'"):
        mesh.load(str(file))
