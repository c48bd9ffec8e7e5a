"""The version that a run is going to install is known before it is there, or said not to be."""

from __future__ import annotations

import shutil

import pytest
import yaml

from conformance import cli, mesh, paths
from conformance.exit_code import ExitCode
from conformance.lifecycle import pinned
from conformance.outcome import Outcome
from conformance.report import record


@pytest.fixture
def variant(tmp_path):
    """Describe the reference mesh once more, under another name and with changes."""
    def describe(**changes):
        directory = tmp_path / "variant"
        shutil.copytree(paths.fixtures() / "meshes" / "reference", directory, dirs_exist_ok=True)
        data = yaml.safe_load((directory / "mesh.yaml").read_text()) | {"name": "variant", "title": "Variant"} | changes
        (directory / "mesh.yaml").write_text(yaml.safe_dump(data))
        return mesh.load.__wrapped__(str(directory / "mesh.yaml"))

    return describe


def test_it_is_read_off_what_would_be_applied(cluster):
    assert pinned.version(mesh.load("reference"), cluster) == "0.1.0"


@pytest.mark.parametrize("install", [
    [{"command": ["no-such-program", "install"], "applies_output": True}],
    [{"command": ["false"]}],
])
def test_it_is_not_made_up(cluster, variant, install):
    assert pinned.version(variant(install=install), cluster) is None


def test_a_program_that_prints_manifests_is_asked(cluster, variant, tmp_path, monkeypatch):
    objects = mesh.load("reference").install_objects()
    (tmp_path / "printed").write_text(yaml.safe_dump_all(objects))
    program = tmp_path / "meshctl"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/printed\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = variant(install=[{"command": ["meshctl", "render"], "applies_output": True}])
    assert pinned.version(found, cluster) == "0.1.0"


def test_the_header_has_the_versions_of_meshes_that_are_yet_to_be_installed(sandbox, variant, tmp_path, capsys):
    later = str(variant().directory / "mesh.yaml")
    code = cli.main(["run", "--kubeconfig", str(sandbox.kubeconfig), "--provision", "--mesh", f"reference,{later}",
                     "--requirement", "SPLIT-006", "--report-dir", str(tmp_path / "report")])
    report = record.read(tmp_path / "report" / "report.jsonl")
    assert code == ExitCode.CONFORMANT, capsys.readouterr().out
    assert [(found.name, found.version) for found in report.header.meshes] == [("reference", "0.1.0"),
                                                                               ("variant", "0.1.0")]
    assert {result.mesh: result.outcome for result in report.results} == {
        "reference": Outcome.PASSED, "variant": Outcome.UNSUPPORTED}


def test_a_mesh_that_does_not_come_up_leaves_the_header_what_is_known(sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr("conformance.lifecycle.install.AVAILABLE_WITHIN", 0.5)
    monkeypatch.setattr("conformance.lifecycle.availability.lacking", lambda _: "it is out of luck")
    code = cli.main(["run", "--kubeconfig", str(sandbox.kubeconfig), "--provision", "--requirement", "SPLIT-006",
                     "--report-dir", str(tmp_path / "report")])
    report = record.read(tmp_path / "report" / "report.jsonl")
    assert (code, report.results[0].outcome) == (ExitCode.ERROR, Outcome.ERROR)
    assert report.header.meshes[0].version == "0.1.0"
    assert report.header.kubernetes.startswith("v1.")
