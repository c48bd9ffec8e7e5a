"""Our results under Allure's own generators, 2 and 3, as `tests/generators` pins them: `tox -e generators`."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from conformance.outcome import Known
from conformance.report import allure_generator, allure_report
from conformance.report.allure import Allure

PROGRAMS = Path(__file__).parents[1] / "generators" / "node_modules"
PROGRAM = {2: PROGRAMS / "allure-commandline" / "bin" / "allure", 3: PROGRAMS / "allure" / "cli.js"}
CATEGORIES = {
    "Nonconformance", "Errors of the harness or the cluster", "Known failures", "Not in the served version",
    "Stale in the list of known failures", "Recommendations not followed", "Observed, not judged",
    "Not claimed by the mesh or not served", "Left out by the user",
}  # fmt: skip

pytestmark = pytest.mark.generators


@pytest.fixture
def whole(results, result, report_of):
    """A report with every outcome that there is."""
    known = Known("it counts wrong", "https://example.org/issues/7", "1.0")
    more = [result(9, "failed", "S", message="wanted"), result(10, "passed", message="stale: it passes", known=known)]
    return report_of([*results, *(dataclasses.replace(one, message=one.message or "no message") for one in more)])


def make(major, whole, run, tmp_path, **options):
    assert PROGRAM[major].is_file(), "npm ci --prefix tests/generators --ignore-scripts"
    generator = allure_generator.find(str(PROGRAM[major]))
    assert generator.major == major
    run(Allure(tmp_path / "results"), whole)
    output = tmp_path / "report"
    return output, allure_report.make(generator, tmp_path / "results", output,
                                      **{"single_file": False, "seconds": 120.0} | options)


def read(path):
    return json.loads(path.read_text())


def names_of_categories(major, output):
    found = read(output / "widgets" / "categories.json")
    if major == 2:
        return {item["name"] for item in found["items"]}
    return {node["name"] for node in found["nodes"].values() if node["type"] == "category"}


def check_privacy(output, tmp_path):
    """Nothing is asked of another host, and no path of this machine stands in the report."""
    for path in output.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert str(tmp_path) not in text, path
            if path.suffix == ".html":
                assert not re.search(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", text), path
                assert "googletagmanager" not in text


def test_allure_3_makes_a_report_with_a_history(whole, run, tmp_path):
    assert make(3, whole, run, tmp_path)[1] == 1
    output, number = make(3, whole, run, tmp_path)
    assert number == 2
    assert len((output / "history.jsonl").read_text().splitlines()) == 2
    assert {item["name"] for item in read(output / "widgets" / "environments.json")} >= {"another", "reference"}
    # Allure shows the first nine outcomes in nine categories: each was found by its labels.
    assert names_of_categories(3, output) == CATEGORIES
    total = read(output / "widgets" / "statistic.json")
    assert total["total"] == len(whole.results)
    assert (total["passed"], total["failed"], total["broken"], total["skipped"]) == (2, 3, 2, 4)
    cases = [read(path) for path in (output / "data" / "test-results").glob("*.json")]
    failed = next(case for case in cases if case["name"].startswith("SPLIT-003"))
    assert failed["environment"]
    assert {item["name"]: item["value"] for item in failed["parameters"]} == {
        "mesh": "reference", "version": "v1alpha4"}
    assert len(failed["history"]) == 1, "the run before is found again"
    check_privacy(output, tmp_path)


def test_allure_2_makes_a_report_with_trends(whole, run, tmp_path):
    assert make(2, whole, run, tmp_path)[1] == 1
    output, number = make(2, whole, run, tmp_path)
    assert number == 2
    trend = read(output / "widgets" / "history-trend.json")
    assert [point["buildOrder"] for point in trend] == [2, 1]
    assert names_of_categories(2, output) == CATEGORIES
    facts = {item["name"]: item["values"] for item in read(output / "widgets" / "environment.json")}
    assert facts["mesh.reference"] == ["1.2.3"]
    assert read(output / "widgets" / "summary.json")["statistic"]["total"] == len(whole.results)
    check_privacy(output, tmp_path)


@pytest.mark.parametrize("major", [2, 3])
def test_one_page(whole, run, tmp_path, major):
    output, _ = make(major, whole, run, tmp_path, single_file=True)
    assert (output / "index.html").stat().st_size > 1_000_000
    assert not (output / "data").exists()
    check_privacy(output, tmp_path)


def test_a_hostile_name_of_a_mesh_is_a_name(result, report_of, run, tmp_path):
    name = '"}}; process.exit(1); // ../../etc <script>'
    output, _ = make(3, report_of([result(1, "failed", mesh=name, message="no")]), run, tmp_path)
    assert len(read(output / "widgets" / "environments.json")) >= 1
    (path,) = (output / "data" / "test-results").glob("*.json")
    assert {"name": "mesh", "value": name} in [
        {key: item.get(key) for key in ("name", "value")} for item in read(path)["parameters"]]


def test_what_a_generator_cannot_read_is_shown(run, whole, tmp_path):
    run(Allure(tmp_path / "results"), whole)
    generator = allure_generator.Generator(str(PROGRAM[3]), "2.0.0")  # asked as if it were the other one
    with pytest.raises(allure_report.ReportError, match="It said:"):
        allure_generator.generate(generator, tmp_path / "results" / "none", tmp_path, single_file=False, seconds=60.0)
