"""`junit.xml` as its readers want it: Jenkins' JUnit plugin, GitLab, GitHub's actions for it.

The table below is what the schema allows that most of them share (xunit-plugin's junit-10), and `properties` of a test
case, which Jenkins' JUnit plugin and pytest's own files have.
"""

import re
from xml.etree import ElementTree as ET

import pytest

from conformance.cli import main
from conformance.report import junit
from conformance.report.hygiene import clean_result
from conformance.report.record import encode

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "testcase": {"properties", "skipped", "error", "failure", "system-out"},
    "properties": {"property"},
    "property": set(), "skipped": set(), "error": set(), "failure": set(), "system-out": set(),
}  # fmt: skip
ATTRIBUTES = {  # name: (needed, allowed besides)
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": ({"name", "tests", "failures", "errors"}, {"time", "skipped", "timestamp"}),
    "testcase": ({"name", "classname"}, {"time"}),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "skipped": (set(), {"type", "message"}),
    "error": ({"type"}, {"message"}),
    "failure": ({"type"}, {"message"}),
    "system-out": (set(), set()),
}
MESSAGE = "wanted 90 %\n   got [[ATTACHMENT|/etc/passwd]] <b> & ]]> \x1b[0m\x00\ud800"


def check(element):
    needed, allowed = ATTRIBUTES[element.tag]
    found = set(element.attrib)
    assert needed <= found <= needed | allowed, element.tag
    assert {child.tag for child in element} <= CHILDREN[element.tag]
    if "time" in found:
        assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time"))
    if "timestamp" in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp"))
    for child in element:
        check(child)


@pytest.fixture
def hostile(result, report_of):
    made = [result(number, outcome, message=MESSAGE, reproduce=MESSAGE, mesh="m<&\"'>", observed=MESSAGE)
            for number, outcome in enumerate(("failed", "error", "unsupported", "passed", "known-failure"), 1)]
    return report_of([clean_result(one) for one in made])


@pytest.mark.parametrize("which", ["report", "hostile"])
def test_elements_and_attributes_are_those_that_readers_know(which, request):
    text = junit.render(request.getfixturevalue(which))
    root = ET.fromstring(text.encode())
    check(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        for tag, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(total)) == sum(case.find(tag) is not None for case in cases)
        # GitLab ignores a second case of one class and name.
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    for total in ("tests", "failures", "errors"):
        assert int(root.get(total)) == sum(int(suite.get(total)) for suite in root)


def test_each_case_says_what_it_is(report):
    root = ET.fromstring(junit.render(report))
    case = next(case for case in root.iter("testcase") if case.get("name") == "SPLIT-003")
    facts = {item.get("name"): item.get("value") for item in case.find("properties")}
    assert facts == {
        "requirement": "SPLIT-003", "level": "B", "outcome": "failed", "api": "split.smi-spec.io",
        "version": "v1alpha4", "reproduce": "mesh-conformance run --requirement SPLIT-003",
    }  # fmt: skip


def test_no_link_that_a_mesh_wrote(hostile):
    assert "[[ATTACHMENT|" not in "".join(
        element.text or "" for element in ET.fromstring(junit.render(hostile).encode()).iter())


def test_the_command(report, tmp_path, capsys):
    record = tmp_path / "report.jsonl"
    record.write_bytes(b"".join(encode(item) for item in (report.header, *report.results, report.footer)))
    assert main(["report", "junit", str(record)]) == 0
    assert ET.fromstring(capsys.readouterr().out).get("tests") == str(len(report.results))
    assert main(["report", "junit", str(tmp_path)]) == 0, "a directory with a record"
