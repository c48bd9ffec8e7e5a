"""Allure results: what its generators read."""

import json

import pytest
import yaml

from conformance.report.allure import Allure


@pytest.fixture
def directory(report, run, tmp_path):
    path = tmp_path / "allure-results"
    run(Allure(path, clock=lambda: 1_000_000.0), report)
    return path


@pytest.fixture
def written(directory):
    documents = [json.loads(path.read_text()) for path in directory.glob("*-result.json")]
    return {(labels(d)["mesh"], d["name"]): d for d in documents}


def labels(document):
    return {label["name"]: label["value"] for label in document["labels"]}


def attachment(directory, document, name):
    (found,) = [a for a in document["attachments"] if a["name"] == name]
    return found["type"], (directory / found["source"]).read_text()


def test_outcomes_map_to_what_allure_knows(written):
    assert {name: document["status"] for (mesh, name), document in written.items() if mesh == "reference"} == {
        "SPLIT-001": "passed", "SPLIT-003": "failed", "SPLIT-004": "broken", "SPLIT-005": "skipped",
        "SPLIT-006": "skipped", "SPLIT-007": "skipped", "SPLIT-008": "failed", "SPLIT-027": "passed",
    }  # fmt: skip
    known = written["reference", "SPLIT-008"]["statusDetails"]
    assert known == {"message": "known-failure: linkerd/linkerd2#1", "known": True}
    assert written["reference", "SPLIT-027"]["statusDetails"]["message"] == "path and method are honoured as well"
    details = written["reference", "SPLIT-003"]["statusDetails"]
    assert details["trace"] == "repeat it: mesh-conformance run --requirement SPLIT-003"


def test_the_mesh_is_the_parent_suite_and_a_label(written):
    found = labels(written["another", "SPLIT-001"])
    assert (found["parentSuite"], found["mesh"], found["suite"]) == ("another", "another", "split.smi-spec.io")
    assert (found["requirement"], found["level"], found["severity"]) == ("SPLIT-001", "M", "critical")
    assert "host" not in found


def test_one_requirement_is_one_case_with_a_history_for_each_mesh(written, report, run, tmp_path):
    one, two = written["another", "SPLIT-001"], written["reference", "SPLIT-001"]
    assert one["testCaseId"] == two["testCaseId"]
    assert one["historyId"] != two["historyId"]
    again = tmp_path / "again"
    run(Allure(again), report)
    histories = {json.loads(path.read_text())["historyId"] for path in again.glob("*-result.json")}
    assert histories == {document["historyId"] for document in written.values()}


def test_steps_attachments_and_times(written, directory):
    failed = written["reference", "SPLIT-003"]
    kind, samples = attachment(directory, failed, "samples")
    assert kind == "application/json"
    assert json.loads(samples)[0]["counts"] == {"v1": 1680, "v2": 320}
    kind, objects = attachment(directory, failed, "applied objects")
    assert kind == "application/yaml"
    assert next(iter(yaml.safe_load_all(objects)))["kind"] == "TrafficSplit"
    assert failed["steps"][0]["name"].startswith("GET http://root:8080/: 2000 requests from client")
    assert failed["stop"] - failed["start"] == 500
    (step,) = written["reference", "SPLIT-001"]["steps"]
    assert step["name"] == "the split is in effect: in effect after 0.12 s (5 probes)"
    assert step["stop"] - step["start"] == 120


def test_every_attachment_is_referred_to(written, directory):
    referred = {a["source"] for document in written.values() for a in document.get("attachments", ())}
    assert referred == {path.name for path in directory.glob("*-attachment.*")}


def test_categories_and_environment(directory):
    categories = json.loads((directory / "categories.json").read_text())
    assert {status for category in categories for status in category["matchedStatuses"]} == {
        "failed", "broken", "skipped",
    }  # fmt: skip
    lines = (directory / "environment.properties").read_text().splitlines()
    assert "mesh.reference=1.2.3" in lines
    assert "proxy.reference=envoy 1.40.0" in lines
    assert "kubernetes=v1.34.0" in lines
    assert any(line.startswith("verdict.reference.split.smi-spec.io/v1alpha4=") for line in lines)


def test_history_of_earlier_reports_is_kept(report, run, directory):
    (directory / "history").mkdir()
    (directory / "history" / "history.json").write_text("{}")
    run(Allure(directory), report)
    assert (directory / "history" / "history.json").exists()
    assert len(list(directory.glob("*-result.json"))) == len(report.results)
