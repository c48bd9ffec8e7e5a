"""The tutorial on adding a mesh is followed as it stands: its files are written, its commands run on an API server."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from conformance import cli, mesh
from conformance.cluster import Cluster
from conformance.exit_code import ExitCode
from conformance.sandbox import Sandbox
from conformance.smi import custom_resource_definitions

PAGE = Path(__file__).resolve().parents[1] / "docs" / "adding-a-mesh.md"
BLOCKS = re.findall(r"^```(yaml|sh|text)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Start a cluster, and be in an empty directory with its kubeconfig."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(crds=custom_resource_definitions()) as sandbox:
        (tmp_path / "cluster.yaml").write_bytes(sandbox.kubeconfig.read_bytes())
        yield tmp_path


def test_the_tutorial_works_as_it_is_written(place, capsys):
    printed = ""
    for language, text in BLOCKS:
        if language == "yaml":
            mesh.load.cache_clear()
            first, _, rest = text.partition("\n")
            file = place / first.removeprefix("# ").partition(",")[0]
            file.parent.mkdir(exist_ok=True)
            file.write_text((file.read_text() if "continued" in first else "") + rest)
            if file.name == "mesh.yaml" and "install:\n" not in text:
                mesh.parse(file)
        elif language == "sh":
            printed = ""
            for line in text.splitlines():
                program, *words = shlex.split(line)
                assert program == "mesh-conformance"
                assert cli.main(words) == ExitCode.CONFORMANT, capsys.readouterr()
                printed += capsys.readouterr().out
        else:
            for line in text.splitlines():
                assert line in printed
    cluster = Cluster.from_kubeconfig(place / "cluster.yaml")
    namespaces = {found["metadata"]["name"] for found in cluster.list("v1", "namespaces")[0]}
    cluster.close()
    assert "quiet-system" not in namespaces
    found = mesh.parse(place / "quiet" / "mesh.yaml", "blue")
    assert found.control_plane[0].namespace == "blue"
    assert found.known("detect").basis == "cluster"


def test_the_tutorial_names_every_field_that_there_is():
    page = PAGE.read_text()
    for field in ("control_plane", "leftovers", "known-failing.yaml", *mesh.model.FACTS):
        assert field in page
