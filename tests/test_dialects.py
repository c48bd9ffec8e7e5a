"""Dialects: what real meshes ship is served so, and each gets the outcomes and verdicts that one would expect of it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from conformance import dialect, mesh, smi
from conformance.dialect import DialectError
from conformance.exit_code import ExitCode
from conformance.options import OptionError, settings
from conformance.place import mesh_in
from conformance.report import record
from conformance.smi import ACCESS, DEFINITIONS, METRICS, SPECS, SPLIT
from conformance.verdict import verdicts

ROUTES = ("HRG-006", "TCP-001", "UDP-001")
SELECTED = ("SPLIT-007", "SPLIT-025", "TARGET-002", *ROUTES, "METRIC-001", "CRD-*", "CONV-001")
FULL, PARTIAL, NONE = "conformant, full", "conformant, partial", "incomplete, none"
BAD, WORST = "nonconformant, partial", "nonconformant, none"

# Of each dialect: the version of each group, the verdict on the selected requirements, what did not pass, exit code.
NOT_IN_V3 = "TCP-001 UDP-001 CRD-008"
EXPECTED = {
    "v1alpha4": (
        {SPLIT: ("v1alpha4", FULL), SPECS: ("v1alpha4", FULL), ACCESS: ("v1alpha3", FULL), METRICS: ("v1alpha1", FULL),
         DEFINITIONS: ("v1", FULL)},
        {"not-applicable": "CONV-001"}, ExitCode.CONFORMANT),
    "v1alpha3": (
        {SPLIT: ("v1alpha3", FULL), SPECS: ("v1alpha3", FULL), ACCESS: ("v1alpha2", FULL), METRICS: ("v1alpha1", FULL),
         DEFINITIONS: ("v1", FULL)},
        {"not-applicable": f"CONV-001 {NOT_IN_V3}"}, ExitCode.CONFORMANT),
    "v1alpha2": (
        {SPLIT: ("v1alpha2", FULL), SPECS: ("v1alpha2", FULL), ACCESS: ("v1alpha1", FULL), METRICS: ("v1alpha1", FULL),
         DEFINITIONS: ("v1", FULL)},
        {"not-applicable": f"CONV-001 SPLIT-025 CRD-004 {NOT_IN_V3}"}, ExitCode.CONFORMANT),
    "v1alpha1": (
        {SPLIT: ("v1alpha1", FULL), SPECS: ("v1alpha1", FULL), ACCESS: ("v1alpha1", FULL), METRICS: ("v1alpha1", FULL),
         DEFINITIONS: ("v1", FULL)},
        {"not-applicable": f"CONV-001 SPLIT-025 CRD-003 CRD-004 CRD-007 HRG-006 {NOT_IN_V3}"}, ExitCode.CONFORMANT),
    "osm": (
        {SPLIT: ("v1alpha2", FULL), SPECS: ("v1alpha4", PARTIAL), ACCESS: ("v1alpha3", FULL),
         METRICS: ("v1alpha1", NONE), DEFINITIONS: ("v1", FULL)},
        {"not-applicable": "CONV-001 SPLIT-025 CRD-004", "unsupported": "METRIC-001 UDP-001"}, ExitCode.CONFORMANT),
    "osm-permissive": (
        {SPLIT: ("v1alpha2", FULL), SPECS: ("v1alpha4", "incomplete, partial"),
         ACCESS: ("v1alpha3", "incomplete, partial"), METRICS: ("v1alpha1", NONE), DEFINITIONS: ("v1", FULL)},
        {"not-applicable": "CONV-001 SPLIT-025 CRD-004", "unsupported": "METRIC-001 UDP-001",
         "error": "TARGET-002 HRG-006 TCP-001"}, ExitCode.ERROR),
    "linkerd": (
        {SPLIT: ("v1alpha2", FULL), SPECS: ("v1alpha4", NONE), ACCESS: ("v1alpha3", NONE), METRICS: ("v1alpha1", NONE),
         DEFINITIONS: ("v1", BAD)},
        {"not-applicable": "SPLIT-025 CRD-004", "failed": "CONV-001",
         "unsupported": "METRIC-001 TARGET-002 HRG-006 TCP-001 UDP-001 CRD-005 CRD-006 CRD-007 CRD-008"},
        ExitCode.NONCONFORMANT),
    "traefik": (
        {SPLIT: ("v1alpha3", FULL), SPECS: ("v1alpha3", FULL), ACCESS: ("v1alpha2", FULL), METRICS: ("v1alpha1", NONE),
         DEFINITIONS: ("v1", BAD)},
        {"not-applicable": NOT_IN_V3, "failed": "CONV-001", "unsupported": "METRIC-001"}, ExitCode.NONCONFORMANT),
    "nginx": (
        {SPLIT: ("v1alpha3", FULL), SPECS: ("v1alpha3", FULL), ACCESS: ("v1alpha2", FULL), METRICS: ("v1alpha1", FULL),
         DEFINITIONS: ("v1", FULL)},
        {"not-applicable": f"CONV-001 {NOT_IN_V3}"}, ExitCode.CONFORMANT),
    "istio-adapter": (
        {SPLIT: ("v1alpha2", BAD), SPECS: ("v1alpha1", WORST), ACCESS: ("v1alpha1", WORST), METRICS: ("v1alpha1", NONE),
         DEFINITIONS: ("v1", BAD)},
        {"not-applicable": f"CONV-001 SPLIT-025 CRD-004 CRD-007 HRG-006 {NOT_IN_V3}", "unsupported": "METRIC-001",
         "failed": "CRD-002 CRD-003 CRD-005 CRD-006 CRD-010", "error": "TARGET-002"}, ExitCode.NONCONFORMANT),
    "sdk": (
        {SPLIT: ("v1alpha4", FULL), SPECS: ("v1alpha4", FULL), ACCESS: ("v1alpha3", FULL), METRICS: ("v1alpha1", NONE),
         DEFINITIONS: ("v1", FULL)},
        {"unsupported": "METRIC-001"}, ExitCode.CONFORMANT),
    "consul": (
        {SPLIT: ("v1alpha4", NONE), SPECS: ("v1alpha4", NONE), ACCESS: ("v1alpha1", PARTIAL),
         METRICS: ("v1alpha1", NONE), DEFINITIONS: ("v1", FULL)},
        {"not-applicable": "CONV-001",
         "unsupported": "METRIC-001 TARGET-002 HRG-006 TCP-001 UDP-001 SPLIT-007 SPLIT-025 CRD-002 CRD-003 CRD-004 "
                        "CRD-006 CRD-007 CRD-008"}, ExitCode.CONFORMANT),
}


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """Run the selection on dialects, two at a time, as a user would; gives what came of one of them."""
    base = tmp_path_factory.mktemp("dialects")
    pool = ThreadPoolExecutor(2)

    def run(name):
        command = [sys.executable, "-m", "conformance.cli", "run", "-q", "--smi", name,
                   "--requirement", ",".join(SELECTED), "--report-dir", str(base / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        return done, record.read(base / name / "report.jsonl")

    asked = [item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")]
    running = {name: pool.submit(run, name) for name in EXPECTED if name in asked}
    yield lambda name: running.setdefault(name, running.get(name) or pool.submit(run, name)).result()
    pool.shutdown(cancel_futures=True)


def test_every_dialect_is_expected_to_do_something():
    assert set(EXPECTED) == set(dialect.names())


@pytest.mark.parametrize("name", EXPECTED)
def test_outcomes_and_verdicts(runs, name):
    groups, others, code = EXPECTED[name]
    done, report = runs(name)
    wanted = {row: outcome for outcome, rows in others.items() for row in rows.split()}
    found = {result.requirement: result.outcome for result in report.results
             if result.outcome not in ("passed", "observed")}
    assert found == wanted, "\n".join(f"{result.requirement}: {result.message}" for result in report.results)
    # The verdicts on what was selected; the record's own know that the rest was left out.
    assert {verdict.api: (verdict.version, f"{verdict.compliance}, {verdict.capability}")
            for verdict in verdicts(report.results)} == groups
    assert done.returncode == report.footer.exit_code == code
    assert all(f"--smi {name}" in result.reproduce for result in report.results) is (name != smi.GENERATIONS[0])


def test_a_permissive_mesh_is_named_with_its_setting(runs):
    _, report = runs("osm-permissive")
    message = next(result.message for result in report.results if result.requirement == "TARGET-002")
    assert "permissive" in message
    assert "--access deny" in message


def test_schemas_that_differ_are_told(runs):
    _, report = runs("nginx")
    observed = next(result.observed for result in report.results if result.requirement == "CRD-001")
    assert "spec.matches[].headers: type object instead of array" in observed
    assert "spec.backends[].weight: type integer instead of number" in observed


# --- descriptions ---


def test_versions_are_served_and_stored_as_described():
    found = {definition["spec"]["names"]["kind"]: definition for definition in dialect.load("linkerd").definitions()}
    assert set(found) == {"TrafficSplit"}
    versions = found["TrafficSplit"]["spec"]["versions"]
    assert [version["name"] for version in versions if version["served"]] == ["v1alpha2", "v1alpha1"]
    assert [version["name"] for version in versions if version["storage"]] == ["v1alpha1"]


def test_the_sandbox_mesh_claims_what_the_dialect_serves():
    chosen = settings({"conformance_smi": "osm"})
    found = mesh_in(chosen, "reference")
    assert found.apis == {SPLIT: ("v1alpha2",), SPECS: ("v1alpha4",), ACCESS: ("v1alpha3",)}
    assert not found.access.exempt
    assert mesh.load("reference").access.exempt
    assert "--smi osm" in chosen.command()


def test_close_names_are_told():
    with pytest.raises(OptionError, match="Did you mean linkerd"):
        settings({"conformance_smi": "linkrd"})
    with pytest.raises(OptionError, match="v1alpha4, v1alpha3"):
        settings({"conformance_smi": "v9"})


VALID = {"title": "Demo", "source": "https://example.invalid", "conversion": "none", "metrics": False, "access": "deny",
         "exempt": True, "kinds": {"TrafficSplit": {"served": ["v1alpha2"], "storage": "v1alpha2"}}}


@pytest.mark.parametrize(("change", "complaint"), [
    ({"access": "maybe"}, "access: 'maybe'"),
    ({"kinds": {"TrafficSplit": {"served": [], "storage": "v1alpha2"}}}, "kinds.TrafficSplit.served"),
    ({"kinds": {"TrafficCop": {"served": ["v1alpha2"], "storage": "v1alpha2"}}}, "kinds: .*TrafficCop"),
    ({"kinds": {"UDPRoute": {"served": ["v1alpha3"], "storage": "v1alpha3"}}}, "UDPRoute has no version v1alpha3"),
    ({"extra": 1}, "the top level: .*extra"),
])
def test_a_wrong_description_is_refused_with_file_and_field(tmp_path, change, complaint):
    file = tmp_path / "demo.yaml"
    file.write_text(yaml.safe_dump(VALID))
    assert dialect.parse(file).apis() == {SPLIT: ("v1alpha2",)}
    file.write_text(yaml.safe_dump(VALID | change))
    with pytest.raises(DialectError, match=complaint):
        dialect.parse(file)
    file.write_text("a: [")
    with pytest.raises(DialectError, match="cannot be read"):
        dialect.parse(file)
