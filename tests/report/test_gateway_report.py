"""The report in the shape of the Gateway API's ConformanceReport."""

import dataclasses

import pytest
import yaml

from conformance.cli import main
from conformance.report.gateway_report import Implementer, render
from conformance.report.model import Catalogue, Described
from conformance.report.record import encode
from conformance.requirement import Level
from conformance.verdict import verdict

API = "split.smi-spec.io"


def documents(report, **options):
    return {document["implementation"]["project"]: document
            for document in yaml.safe_load_all(render(report, **options))}


def profile(report, mesh="reference"):
    (found,) = documents(report)[mesh]["profiles"]
    return found


def test_one_document_a_mesh_with_the_fields_of_the_type(report):
    found = documents(report, implementers={"reference": Implementer("org", "https://example.org", ("@me",))})
    assert set(found) == {"another", "reference"}
    document = found["reference"]
    assert list(document) == ["apiVersion", "kind", "implementation", "date", "mode", "apis", "profiles"]
    assert document["kind"] == "ConformanceReport"
    assert document["apiVersion"] == "mesh-conformance/v1", "these are not the Gateway API's tests"
    assert document["implementation"] == {"organization": "org", "project": "reference", "url": "https://example.org",
                                          "version": "1.2.3", "contact": ["@me"]}
    assert document["date"] == "2026-11-20T10:00:00.000Z"


def test_outcomes_become_statistics(report):
    found = profile(report)
    assert found["name"] == f"{API}/v1alpha4"
    assert found["summary"].startswith("nonconformant, capability partial: violates SPLIT-003, SPLIT-008")
    assert found["core"] == {
        "result": "failure", "statistics": {"Failed": 2, "Passed": 1, "Skipped": 3},
        "failedTests": ["SPLIT-003", "SPLIT-008"], "skippedTests": ["SPLIT-004", "SPLIT-005", "SPLIT-007"],
    }  # fmt: skip
    assert "extended" not in found, "there was no should"


def test_a_whole_pass_is_a_success(result, report_of):
    found = profile(report_of([result(1, "passed", "M"), result(2, "passed"), result(3, "not-applicable")]))
    assert found["core"] == {"result": "success", "statistics": {"Failed": 0, "Passed": 2, "Skipped": 0}}


@pytest.mark.parametrize("outcome", ["unsupported", "skipped", "error"])
def test_what_was_not_judged_is_no_success(result, report_of, outcome):
    found = profile(report_of([result(1, "passed"), result(2, outcome)]))
    assert found["core"]["result"] == "partial"
    assert found["core"]["skippedTests"] == ["SPLIT-002"]


def test_nothing_judged_is_no_success(result, report_of):
    assert profile(report_of([result(1, "not-applicable")]))["core"]["result"] == "partial"
    assert profile(report_of([result(1, "unsupported")]))["core"]["result"] == "partial"


def test_shoulds_are_extended_and_features_follow_from_outcomes(result, report_of):
    found = profile(report_of([
        result(1, "passed"), result(2, "passed", "S"), result(3, "failed", "S"), result(4, "unsupported", "S"),
        result(5, "observed", "O"),
    ]))  # fmt: skip
    assert found["core"]["result"] == "success"
    assert found["extended"]["result"] == "failure"
    assert found["extended"]["supportedFeatures"] == ["SPLIT-002"]
    assert found["extended"]["unsupportedFeatures"] == ["SPLIT-003", "SPLIT-004"]


def test_a_run_that_lost_results_or_left_some_out_is_no_success(result, report_of):
    whole = report_of([result(1, "passed")])
    rows = {f"SPLIT-00{number}": Described("", "", "", level, API, ("v1alpha4",))
            for number, level in ((1, Level.BEHAVIOUR), (2, Level.MUST), (3, Level.SHOULD))}
    header = dataclasses.replace(whole.header, catalogue=Catalogue("sha256:0", rows))
    lost = verdict("reference", API, "v1alpha4", whole.results, missing=2)
    found = profile(dataclasses.replace(
        whole, header=header, footer=dataclasses.replace(whole.footer, verdicts=(lost,))))
    assert found["core"]["skippedTests"] == ["SPLIT-002"]
    assert found["extended"]["skippedTests"] == found["extended"]["unsupportedFeatures"] == ["SPLIT-003"]
    narrowed = verdict("reference", API, "v1alpha4", whole.results, left_out=9)
    found = profile(dataclasses.replace(whole, footer=dataclasses.replace(whole.footer, verdicts=(narrowed,))))
    assert found["core"]["result"] == "partial"
    stopped = profile(dataclasses.replace(whole, footer=dataclasses.replace(whole.footer, interrupted=True)))
    assert stopped["core"]["result"] == "partial"
    assert stopped["summary"].endswith("The run was interrupted.")


@pytest.mark.parametrize("text", [
    "--- !!python/object/apply:os.system [x]", "a: b", "*alias", "&anchor", "yes", "0x10", "2026-11-20", "'", '"',
    "a\nkind: Evil", "...\n---\nkind: Evil", "null", "~", "\u2028", "# comment", "{", "[",
])
def test_hostile_text_stays_text(result, report_of, text):
    whole = report_of([result(1, "passed", mesh=text or "m")])
    header = dataclasses.replace(whole.header, kubernetes=text,
                                 meshes=tuple(dataclasses.replace(m, version=text) for m in whole.header.meshes))
    (document,) = documents(dataclasses.replace(whole, header=header), mode=text,
                            implementers={text: Implementer(text, text, (text,))}).values()
    assert document["implementation"] == {"organization": text, "project": text, "url": text, "version": text,
                                          "contact": [text]}
    assert (document["mode"], document["kind"]) == (text, "ConformanceReport")


def test_the_command(report, tmp_path, capsys):
    record = tmp_path / "report.jsonl"
    record.write_bytes(b"".join(encode(item) for item in (report.header, *report.results, report.footer)))
    assert main(["report", "yaml", str(record), "--organization", "org", "--contact", "@a", "--contact", "@b"]) == 0
    (_, document) = yaml.safe_load_all(capsys.readouterr().out)
    assert document["implementation"]["contact"] == ["@a", "@b"]
    assert document["implementation"]["url"] == "", "a page of this project's documents is no address"
    assert main(["report", "yaml", str(tmp_path / "none")]) == 2
