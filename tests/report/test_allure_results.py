"""Allure results: what its generators read."""

import dataclasses
import json
import re
from datetime import datetime

import pytest
import yaml

from conformance.outcome import Known
from conformance.report import spec
from conformance.report.allure import Allure, Timeline
from conformance.report.model import Catalogue, Described
from conformance.requirement import Level


@pytest.fixture
def directory(report, run, tmp_path):
    path = tmp_path / "allure-results"
    described = {"SPLIT-003": Described("traffic is divided by weight", "Requests <b>reach</b> backends by weight.",
                                        "Specification: weight", Level.BEHAVIOUR, "split.smi-spec.io", ("v1alpha4",))}
    header = dataclasses.replace(report.header, catalogue=Catalogue("sha256:0", described))
    run(Allure(path, ended=lambda _: 1_000_000.0), dataclasses.replace(report, header=header))
    return path


@pytest.fixture
def written(directory):
    documents = [json.loads(path.read_text()) for path in directory.glob("*-result.json")]
    return {(labels(d)["mesh"], labels(d)["requirement"]): d for d in documents}


def labels(document):
    return {label["name"]: label["value"] for label in document["labels"]}


def attachment(directory, document, name):
    (found,) = [a for a in document["attachments"] if a["name"] == name]
    return found["type"], (directory / found["source"]).read_text()


def test_outcomes_map_to_what_allure_knows(written):
    assert {name: document["status"] for (mesh, name), document in written.items() if mesh == "reference"} == {
        "SPLIT-001": "passed", "SPLIT-003": "failed", "SPLIT-004": "broken", "SPLIT-005": "skipped",
        "SPLIT-006": "skipped", "SPLIT-007": "skipped", "SPLIT-008": "failed", "SPLIT-027": "skipped",
    }  # fmt: skip
    known = written["reference", "SPLIT-008"]["statusDetails"]
    assert known == {"message": "known-failure: linkerd/linkerd2#1", "trace": "linkerd/linkerd2#1", "known": True}
    observed = written["reference", "SPLIT-027"]["statusDetails"]["message"]
    assert observed == "observed: path and method are honoured as well"
    details = written["reference", "SPLIT-003"]["statusDetails"]
    assert details["trace"] == "repeat it: mesh-conformance run --requirement SPLIT-003"


def test_a_known_failure_that_is_none_any_more_is_no_pass(result, report_of, run, tmp_path):
    known = Known("it counts wrong", "https://example.org/issues/7", "1.0")
    failed = result(1, "known-failure", message="wanted 1\n   got 2", known=known, reproduce="repeat")
    stale = result(2, "passed", message="stale: SPLIT-002 passes now", known=known)
    run(Allure(tmp_path), report_of([failed, stale]))
    by_name = {d["name"]: d for d in (json.loads(p.read_text()) for p in tmp_path.glob("*-result.json"))}
    assert by_name["SPLIT-002"]["status"] == "broken"
    assert labels(by_name["SPLIT-002"])["outcome"] == "stale"
    details = by_name["SPLIT-001"]["statusDetails"]
    assert details["message"] == "known-failure: it counts wrong (https://example.org/issues/7, since 1.0)"
    assert details["trace"] == "wanted 1\n   got 2\nrepeat it: repeat"
    assert {"type": "issue", "url": known.link, "name": "known failure"} in by_name["SPLIT-001"]["links"]


def test_a_link_that_is_no_address_is_no_link(result, report_of, run, tmp_path):
    hostile = Known("why", "javascript:alert(1)//https://example.org", "1.0")
    run(Allure(tmp_path), report_of([result(1, "known-failure", message="no", known=hostile)]))
    (document,) = (json.loads(path.read_text()) for path in tmp_path.glob("*-result.json"))
    assert [link["type"] for link in document["links"]] == ["link"]


def test_a_failed_should_is_told_from_a_violation(result, report_of, run, tmp_path):
    failed = [result(1, "failed", "S", message="wanted"), result(2, "failed", message="wanted")]
    run(Allure(tmp_path), report_of(failed))
    found = {d["name"]: d["statusDetails"]["message"]
             for d in (json.loads(path.read_text()) for path in tmp_path.glob("*-result.json"))}
    assert found == {"SPLIT-001": "should: wanted", "SPLIT-002": "wanted"}


def test_the_requirement_is_explained_and_linked(written):
    document = written["reference", "SPLIT-003"]
    assert document["name"] == "SPLIT-003 traffic is divided by weight"
    assert "> Requests \\<b\\>reach\\</b\\> backends by weight." in document["description"]
    assert "Section of the specification: Specification: weight" in document["description"]
    assert document["description"].endswith("```sh\nmesh-conformance run --requirement SPLIT-003\n```")
    (link,) = document["links"]
    assert link["url"].endswith("/apis/traffic-split/v1alpha4/traffic-split.md")
    found = labels(document)
    assert (found["epic"], found["feature"], found["story"]) == ("split.smi-spec.io", "Specification", "weight")
    tags = {label["value"] for label in document["labels"] if label["name"] == "tag"}
    assert tags == {"split.smi-spec.io/v1alpha4", "behaviour", "failed"}
    plain = labels(written["reference", "SPLIT-001"])
    assert (plain["feature"], plain["story"]) == ("SPLIT", "SPLIT-001"), "without a catalogue"


def test_pages_of_the_specification():
    assert spec.page("split.smi-spec.io", "v1alpha4/../../evil") == ""
    assert spec.page("example.org", "v1") == ""
    assert spec.page("gateway.networking.k8s.io", "v1").startswith("https://gateway-api.sigs.k8s.io/")


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


def test_steps_carry_what_was_applied_and_seen(written, directory):
    failed = written["reference", "SPLIT-003"]
    applied, sample = failed["steps"]
    assert applied["name"] == "apply TrafficSplit split-003"
    kind, objects = attachment(directory, applied, "applied objects")
    assert kind == "application/yaml"
    assert next(iter(yaml.safe_load_all(objects)))["kind"] == "TrafficSplit"
    assert sample["name"].startswith("GET http://root:8080/: 2000 requests from client")
    assert sample["status"] == "failed", "its counts are not in their intervals"
    kind, counts = attachment(directory, sample, "sample split-003-1")
    assert kind == "application/json"
    assert json.loads(counts)["counts"] == {"v1": 1680, "v2": 320}
    assert failed["stop"] - failed["start"] == 500
    (step,) = written["reference", "SPLIT-001"]["steps"]
    assert step["name"] == "the split is in effect: in effect after 0.12 s (5 probes)"
    assert step["stop"] - step["start"] == 120
    (seen,) = written["reference", "SPLIT-027"]["steps"]
    assert attachment(directory, seen, "observed")[1] == "path and method are honoured as well"


def test_what_a_failed_check_dumped_is_attached(result, report_of, run, tmp_path):
    dump = tmp_path / "failures" / "SPLIT-001"
    dump.mkdir(parents=True)
    (dump / "exchanges.txt").write_bytes(b"GET /\nAuthorization: Bearer abcdefghijklmnop\n\x1b[2J\xff" + b"x" * 2**20)
    (dump / "events.txt").write_text("\n")
    made = [result(1, "failed", message="no"), result(2, "failed", message="no"), result(3, "passed")]
    run(Allure(tmp_path / "allure-results"), report_of(made))
    by_name = {d["name"]: d for d in
               (json.loads(path.read_text()) for path in (tmp_path / "allure-results").glob("*-result.json"))}
    _, text = attachment(tmp_path / "allure-results", by_name["SPLIT-001"], "exchanges")
    assert text.startswith("GET /\nAuthorization: Bearer [redacted: token]\n\\x1b[2J")
    assert len(text) <= 256 * 1024
    assert len(by_name["SPLIT-001"]["attachments"]) == 1, "the empty one is left out"
    assert not by_name["SPLIT-002"].get("attachments")


def test_every_attachment_is_referred_to(written, directory):
    referred = {a["source"] for document in written.values() for item in (document, *document.get("steps", ()))
                for a in item.get("attachments", ())}
    assert referred == {path.name for path in directory.glob("*-attachment.*")}


def test_each_result_is_in_the_category_of_its_outcome(written, directory):
    """As Allure 2 does: the first category that fits by status and by an expression for the whole message."""
    categories = json.loads((directory / "categories.json").read_text())

    def category(document):
        message = document["statusDetails"].get("message", "")
        return next(c["name"] for c in categories if document["status"] in c["matchedStatuses"]
                    and re.fullmatch(c.get("messageRegex", "[\\s\\S]*"), message))

    found = {name: category(document) for (mesh, name), document in written.items()
             if mesh == "reference" and document["status"] != "passed"}
    assert found == {
        "SPLIT-003": "Nonconformance", "SPLIT-004": "Errors of the harness or the cluster",
        "SPLIT-005": "Not claimed by the mesh or not served", "SPLIT-006": "Not in the served version",
        "SPLIT-007": "Left out by the user", "SPLIT-008": "Known failures", "SPLIT-027": "Observed, not judged",
    }  # fmt: skip


def test_environment_and_executor(directory):
    lines = (directory / "environment.properties").read_text().splitlines()
    assert "mesh.reference=1.2.3" in lines
    assert "proxy.reference=envoy 1.40.0" in lines
    assert "kubernetes=v1.34.0" in lines
    assert any(line.startswith("verdict.reference.split.smi-spec.io/v1alpha4=") for line in lines)
    executor = json.loads((directory / "executor.json").read_text())
    assert executor["buildName"] == "mesh-conformance 0.1.0, 2026-11-20T10:00:00.000Z"
    assert not {"url", "buildUrl", "reportUrl"} & set(executor)


def test_a_record_is_laid_out_in_time(report):
    ended = Timeline(report.header)
    first, second = report.results[0], report.results[1]
    begin = datetime.fromisoformat("2026-11-20T10:00:00Z").timestamp()
    assert (ended(first), ended(second)) == (begin + 0.5, begin + 1.0), "one worker's checks, one after the other"
    other = dataclasses.replace(first, worker="gw1")
    assert ended(other) == begin + 0.5
    assert Timeline(dataclasses.replace(report.header, started="?"))(first) == 0.5


def test_history_of_earlier_reports_is_kept(report, run, directory):
    (directory / "history").mkdir()
    (directory / "history" / "history.json").write_text("{}")
    run(Allure(directory), report)
    assert (directory / "history" / "history.json").exists()
    assert len(list(directory.glob("*-result.json"))) == len(report.results)
