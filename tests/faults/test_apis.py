"""Definitions that are missing, half there, unknown, another mesh's or nonsense: each is told, and the rest goes on."""

from __future__ import annotations

import copy

import pytest

from conformance import dialect, smi
from conformance.exit_code import ExitCode
from conformance.mesh import Mesh
from conformance.outcome import Outcome
from conformance.sandbox.lifecycle import Sandbox
from conformance.smi import Serving

PASSED, FAILED, ERROR, UNSUPPORTED = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.UNSUPPORTED


@pytest.fixture
def cluster_has(monkeypatch):
    """Give the cluster other definitions than those of the dialect, which is what the mesh claims."""
    start = Sandbox.__init__

    def change(function):
        def begin(sandbox, *, crds=(), **more):
            start(sandbox, crds=function([copy.deepcopy(crd) for crd in crds]), **more)

        monkeypatch.setattr(Sandbox, "__init__", begin)

    return change


@pytest.fixture
def outcomes(run, capsys):
    """Run these requirements, and look ahead first; returns exit code, outcomes, messages and the preview."""
    def go(*requirements, served="v1alpha4"):
        selected = ("--smi", served, "--requirement", ",".join(requirements))
        assert run(*selected, "--dry-run") == (ExitCode.CONFORMANT, None)
        lines = capsys.readouterr().out.splitlines()
        preview = {line.split()[0]: line for line in lines if line.startswith(tuple(requirements))}
        code, report = run(*selected)
        assert "Traceback" not in capsys.readouterr().out
        found = {result.requirement: result.outcome for result in report.results}
        return code, found, {result.requirement: result.message for result in report.results}, preview

    return go


def only(*kinds):
    return lambda crds: [crd for crd in crds if crd["spec"]["names"]["kind"] in kinds]


def of(kind, change):
    def changed(crds):
        for crd in crds:
            if crd["spec"]["names"]["kind"] == kind:
                change(crd)
        return crds
    return changed


def test_no_definitions_at_all(cluster_has, outcomes):
    cluster_has(only())
    code, found, messages, preview = outcomes("SPLIT-003", "TARGET-002", "HRG-003", "CRD-001", "CRD-002", "CONV-001")
    assert set(found.values()) == {UNSUPPORTED}
    assert code == ExitCode.NOTHING
    assert messages["SPLIT-003"] == "split.smi-spec.io: the cluster does not serve it"
    assert "no definition in split.smi-spec.io, specs.smi-spec.io, access.smi-spec.io" in messages["CRD-001"]
    assert messages["SPLIT-003"] in preview["SPLIT-003"]


def test_splits_alone(cluster_has, outcomes):
    cluster_has(only("TrafficSplit"))
    code, found, messages, preview = outcomes("SPLIT-006", "SPLIT-025", "TARGET-002", "CRD-001", "CRD-009")
    assert code == ExitCode.CONFORMANT
    assert found == {"SPLIT-006": PASSED, "SPLIT-025": UNSUPPORTED, "TARGET-002": UNSUPPORTED, "CRD-001": PASSED,
                     "CRD-009": Outcome.OBSERVED}
    assert "HTTPRouteGroup" in messages["SPLIT-025"]
    assert "be judged" in preview["SPLIT-006"]
    for row in ("SPLIT-025", "TARGET-002"):
        assert messages[row] in preview[row]


def test_routes_without_targets(cluster_has, outcomes):
    cluster_has(only("TrafficSplit", "HTTPRouteGroup"))
    code, found, messages, preview = outcomes("HRG-003", "TCP-001", "SPLIT-025", "CRD-006", "CRD-008")
    assert code == ExitCode.CONFORMANT
    assert found == {"HRG-003": UNSUPPORTED, "TCP-001": UNSUPPORTED, "SPLIT-025": PASSED, "CRD-006": PASSED,
                     "CRD-008": UNSUPPORTED}
    assert "TrafficTarget" in messages["HRG-003"]
    assert "TCPRoute" in messages["TCP-001"]
    for row in ("HRG-003", "TCP-001", "CRD-008"):
        assert messages[row] in preview[row]


def test_a_version_that_nobody_knows(cluster_has, outcomes):
    def rename(crds):
        for crd in crds:
            crd["spec"]["versions"] = [version for version in crd["spec"]["versions"] if version["served"]]
            crd["spec"]["versions"][0]["name"] = "v1beta9"
        return crds

    cluster_has(rename)
    code, found, messages, preview = outcomes("SPLIT-003", "TARGET-002", "CRD-001", "CRD-005")
    assert set(found.values()) == {UNSUPPORTED}
    assert code == ExitCode.NOTHING
    assert "serves only v1beta9, which no release of SMI has" in messages["SPLIT-003"]
    assert "v1beta9" in preview["TARGET-002"]


def test_another_mesh_has_installed_its_versions(cluster_has, outcomes):
    """The mesh under test claims v1alpha4; what is served is NGINX's."""
    cluster_has(lambda _: dialect.load("nginx").definitions())
    code, found, messages, preview = outcomes("SPLIT-003", "TARGET-002", "CRD-001", "CRD-010")
    assert found == {"SPLIT-003": UNSUPPORTED, "TARGET-002": UNSUPPORTED, "CRD-001": PASSED, "CRD-010": PASSED}
    assert code == ExitCode.CONFORMANT
    assert messages["SPLIT-003"] == "Reference mesh does not claim split.smi-spec.io/v1alpha3"
    assert messages["SPLIT-003"] in preview["SPLIT-003"]


def test_another_mesh_has_added_newer_versions(cluster_has, run):
    """What the mesh claims is served as well, and is what it is judged in."""
    def newer(crds):
        split = smi.custom_resource_definition("TrafficSplit", Serving(("v1alpha4", "v1alpha2"), "v1alpha4"))
        return [split, *(crd for crd in crds if crd["spec"]["names"]["kind"] != "TrafficSplit")]

    cluster_has(newer)
    code, report = run("--smi", "linkerd", "--requirement", "SPLIT-006,SPLIT-025,CRD-003")
    assert code == ExitCode.CONFORMANT
    assert {result.requirement: (result.version, result.outcome) for result in report.results} == {
        "SPLIT-006": ("v1alpha2", PASSED), "CRD-003": ("v1alpha2", PASSED),
        "SPLIT-025": ("v1alpha2", Outcome.NOT_APPLICABLE)}


def test_another_mesh_has_installed_its_schemas(cluster_has, run):
    """Same versions, other shapes: the harness writes what is served, and tells the difference."""
    cluster_has(lambda _: dialect.load("nginx").definitions())
    code, report = run("--smi", "v1alpha3", "--requirement", "SPLIT-025,CRD-001,CRD-003")
    assert code == ExitCode.CONFORMANT
    assert {result.outcome for result in report.results} == {PASSED}
    observed = next(result.observed for result in report.results if result.requirement == "CRD-001")
    assert "HTTPRouteGroup v1alpha3 differs from SMI's definition" in observed


def test_a_schema_that_is_nonsense(cluster_has, outcomes):
    def nonsense(crd):
        for version in crd["spec"]["versions"]:
            version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["cheese"], "properties": {"cheese": {"type": "boolean"}}}}}

    cluster_has(of("TrafficSplit", nonsense))
    code, found, messages, _ = outcomes("SPLIT-003", "CRD-001", "CRD-002", "CRD-003", "CRD-004", "CRD-006", "CRD-010")
    assert found == {"SPLIT-003": ERROR, "CRD-001": PASSED, "CRD-002": FAILED, "CRD-003": FAILED, "CRD-004": FAILED,
                     "CRD-006": PASSED, "CRD-010": FAILED}
    assert code == ExitCode.NONCONFORMANT
    assert "spec.cheese: Required value" in messages["CRD-002"]
    assert "spec.cheese: Required value" in messages["SPLIT-003"]


def test_a_name_that_is_taken(cluster_has, outcomes):
    """Two definitions of one kind: the second is never established, and is told apart by its name."""
    def twice(crds):
        [split] = [copy.deepcopy(crd) for crd in crds if crd["spec"]["names"]["kind"] == "TrafficSplit"]
        split["metadata"]["name"] = "splits.split.smi-spec.io"
        split["spec"]["names"]["plural"] = "splits"
        return [*crds, split]

    cluster_has(twice)
    code, found, messages, _ = outcomes("SPLIT-006", "CRD-001")
    assert found == {"SPLIT-006": PASSED, "CRD-001": FAILED}
    assert code == ExitCode.NONCONFORMANT
    assert "splits.split.smi-spec.io, Namespaced, not established" in messages["CRD-001"]


def test_metrics_that_are_registered_and_not_there(outcomes, monkeypatch):
    objects = Mesh.install_objects

    def without_server(mesh):
        return [obj for obj in objects(mesh) if obj["metadata"]["name"] != "reference-metrics"]

    monkeypatch.setattr(Mesh, "install_objects", without_server)
    code, found, messages, preview = outcomes("METRIC-001", "METRIC-002", "SPLIT-006")
    assert found["METRIC-001"] is FAILED
    assert found["METRIC-002"] in (FAILED, ERROR)
    assert found["SPLIT-006"] is PASSED
    assert code == ExitCode.NONCONFORMANT
    assert "Available" in messages["METRIC-001"]
    assert "be judged" in preview["METRIC-001"]
