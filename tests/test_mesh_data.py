"""The meshes that ship: the facts that others rely on are there, and the page says what the data says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance import mesh, paths
from conformance.mesh.model import FACTS
from conformance.mesh.steps import CommandStep, HelmStep, ManifestStep
from conformance.mesh.table import to_markdown
from conformance.requirement import catalogue

ROOT = Path(__file__).resolve().parents[1]
NAMES = mesh.shipped()
ADAPTERS = {
    "istio": 10000, "linkerd": 10001, "consul": 10002, "octarine": 10003, "nsm": 10004, "app-mesh": 10005,
    "traefik-mesh": 10006, "kuma": 10007, "citrix": 10008, "osm": 10009, "nginx-sm": 10010, "tanzu": 10011,
    "cilium": 10012,
}
"""The ports that Meshery gave to its adapters."""


def test_every_mesh_that_meshery_has_an_adapter_for_is_there():
    ports = {found.name: found.adapter.port for found in map(mesh.load, NAMES) if found.adapter}
    assert ports == ADAPTERS
    assert set(NAMES) == {*ADAPTERS, "reference"}


@pytest.mark.parametrize("name", NAMES)
def test_a_mesh_says_where_its_status_and_its_facts_are_from(name):
    found = mesh.load(name)
    assert found.status_source or name == "reference"
    assert set(found.evidence) <= set(FACTS)
    if found.install:
        assert found.known("install").source or found.known("install").basis == "cluster"
        assert found.control_plane
    if found.apis:
        assert found.known("apis").basis != "unverified"


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_pinned_and_the_images_to_mirror_are_of_the_pinned_version(name):
    for step in mesh.load(name).install:
        if isinstance(step, HelmStep):
            assert re.fullmatch(r"\d+\.\d+\.\d+", step.version)
        elif isinstance(step, CommandStep):
            words = " ".join(step.arguments)
            assert re.search(r"tag=\d|linkerdVersion=edge-\d|ref=v\d|--crds", words), f"{words} pins nothing"
        else:
            assert isinstance(step, ManifestStep)
            assert all(mesh.load_manifests(file) for file in step.files)


@pytest.mark.parametrize("name", NAMES)
def test_a_known_failure_is_of_a_requirement_that_there_is(name):
    known = {row.id for row in catalogue(paths.suites())}
    assert {failure.requirement for failure in mesh.load(name).known_failing} <= known
    assert (paths.fixtures() / "meshes" / name / "known-failing.yaml").is_file()


def test_a_mesh_with_sidecars_that_can_be_installed_leaves_the_control_port_alone():
    for found in map(mesh.load, NAMES):
        if found.install and found.proxy and found.name != "reference":
            template = {"spec": {"containers": [{"name": "agent", "ports": [
                {"name": "http", "containerPort": 8080}, {"name": "control", "containerPort": 19000}]}]}}
            injected = found.inject(template)
            assert "19000" in injected["metadata"]["annotations"].values(), found.name
            assert template["spec"]["containers"][0]["ports"][1] == {"name": "control", "containerPort": 19000}


def test_how_services_are_addressed():
    host = mesh.load("traefik-mesh").host
    assert host.format(service="echo", namespace="demo") == "echo.demo.traefik.mesh"


def test_the_page_is_current():
    written = (ROOT / "docs" / "meshes.md").read_text()
    assert written == to_markdown(map(mesh.load, NAMES)), "run `python -m conformance.mesh > docs/meshes.md`"
    for found in map(mesh.load, NAMES):
        assert found.title in written
