"""The forms of the report: Markdown, JUnit and the console, with honest and with hostile text."""

import dataclasses
import io
import re
from xml.etree import ElementTree as ET

import pytest

from conformance.report import console, html, junit, summary
from conformance.report.hygiene import clean_result
from conformance.report.rows import one_line, sample_line
from conformance.verdict import verdict

HOSTILE = (
    "| cell |\n# heading\n```\nout of the fence\n<script>alert(1)</script> ![x](http://evil) ]]> & \x1b[2J\x00 "
    "\ud800\ufffe @everyone `code` <!-- "
)


@pytest.fixture
def hostile(result, report_of):
    made = [
        result(1, "failed", message=HOSTILE, reproduce=HOSTILE),
        result(2, "observed", "N", observed=HOSTILE),
        result(3, "unsupported", message=HOSTILE),
        result(4, "error", message=HOSTILE),
    ]
    return report_of([clean_result(one) for one in made])


def test_summary_says_what_matters(report):
    page = summary.render(report)
    wanted = (
        "| reference | split.smi-spec.io | v1alpha4 | nonconformant | partial |",
        "mesh-conformance run --mesh reference",
        "wanted 90 %\n   got 84 %",
        "mesh-conformance run --requirement SPLIT-003",
        "path and method are honoured as well",
        "the mesh does not claim it, or the cluster does not serve the API",
        "0.12 s",
        "2000",
    )
    for text in wanted:
        assert text in page
    assert page.index("## Verdict") < page.index("## Violations") < page.index("## Known failures")


def test_summary_of_an_interrupted_or_empty_run(report_of):
    page = summary.render(report_of([], interrupted=True))
    assert "The run was interrupted" in page
    assert "Nothing was executed: not a pass." in page


def test_hostile_text_changes_no_structure_of_the_summary(hostile):
    page = summary.render(hostile)
    fenced = False
    mark = ""
    for line in page.split("\n"):
        fence = re.match(r"`{3,}", line)
        if fence and (not fenced or line == mark):
            fenced, mark = not fenced, fence[0]
        elif not fenced:
            assert not re.match(r"#+ heading", line)
            assert not re.search(r"(?<!\\)<(script|!--)", line), line
            assert not re.search(r"(?<!\\)!\[|(?<!\\)\]\(", line), line
            if line.startswith("| SPLIT-"):
                cells = len(re.findall(r"(?<!\\)\|", line)) - 1
                assert cells in {4, 7}, line
    assert not fenced
    assert "\x1b" not in page
    page.encode()


def test_a_fence_is_longer_than_any_run_in_the_text():
    lines = summary.fence("a ```` b")
    assert lines[0] == "`````text"
    assert lines[-1] == "`````"


def test_junit_has_a_suite_a_mesh_and_a_case_a_requirement(report):
    root = ET.fromstring(junit.render(report))
    assert [suite.get("name") for suite in root] == ["another", "reference"]
    suite = root[1]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8", "failures": "1", "errors": "1", "skipped": "4",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    kinds = {name: [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
             for name, case in cases.items()}  # fmt: skip
    assert kinds == {
        "SPLIT-001": [], "SPLIT-003": ["failure"], "SPLIT-004": ["error"], "SPLIT-005": ["skipped"],
        "SPLIT-006": ["skipped"], "SPLIT-007": ["skipped"], "SPLIT-008": ["skipped"], "SPLIT-027": [],
    }  # fmt: skip
    assert cases["SPLIT-007"].find("skipped").get("message") == "skipped: left out with --level M"
    assert cases["SPLIT-008"].find("skipped").get("message") == "known-failure: linkerd/linkerd2#1"
    assert "repeat it: mesh-conformance run --requirement SPLIT-003" in cases["SPLIT-003"].find("failure").text
    assert "honoured" in cases["SPLIT-027"].findtext("system-out")
    verdicts = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert verdicts["verdict split.smi-spec.io v1alpha4"] == "nonconformant, capability partial"


def test_junit_of_hostile_text_is_well_formed(hostile):
    root = ET.fromstring(junit.render(hostile).encode())
    failure = root.find(".//failure")
    assert r"<script>alert(1)</script>" in failure.text
    assert r"\x1b[2J\x00 \ud800\ufffe" in failure.text


def test_console_shows_tables_verdicts_and_a_command_for_each_failure(report):
    text = console.render(report)
    assert re.search(r"SPLIT-001 +M +passed +0.50 s +0.12 s", text)
    assert re.search(
        r"reference +split.smi-spec.io +v1alpha4 +nonconformant +partial +violates SPLIT-003, SPLIT-008", text
    )
    assert "  repeat it: mesh-conformance run --requirement SPLIT-003" in text
    assert "SPLIT-004 ended in an error on reference:" in text
    assert text.rstrip().endswith("1 known-failure, 1 observed")


def test_console_says_of_what_was_not_selected_that_and_no_more(result, report_of):
    results = [result(1, "passed"), dataclasses.replace(result(3, "observed", "N"), api="specs.smi-spec.io")]
    left = [verdict("reference", api, "v1", (), left_out=3) for api in ("access.smi-spec.io", "metrics.smi-spec.io")]
    claimed = verdict("reference", "gone.smi-spec.io", "v1", [result(9, "unsupported")])
    whole = report_of(results)
    footer = dataclasses.replace(whole.footer, verdicts=(*whole.footer.verdicts, claimed, *left))
    text = console.render(dataclasses.replace(whole, footer=footer))
    assert "\nnot selected: access.smi-spec.io, metrics.smi-spec.io\n" in text
    assert "3 not selected" not in text
    assert re.search(r"specs.smi-spec.io +v1alpha4 +incomplete +- ", text)
    assert re.search(r"gone.smi-spec.io +v1 +incomplete +none ", text)
    other = verdict("other", "access.smi-spec.io", "v1", (), left_out=3)
    several = dataclasses.replace(footer, verdicts=(*footer.verdicts, other))
    text = console.render(dataclasses.replace(whole, footer=several))
    assert "metrics.smi-spec.io on reference, access.smi-spec.io on other\n" in text


def test_a_mesh_that_was_broken_on_purpose_is_told_first(report):
    assert "broken on purpose" not in console.render(report)
    header = dataclasses.replace(report.header, command="mesh-conformance run --mutant weights-84-16",
                                 meshes=report.header.meshes[-1:])
    told = "reference, broken on purpose: weights-84-16"
    assert console.render(dataclasses.replace(report, header=header)).startswith(f"{told}\n\n")
    combined = dataclasses.replace(report.header, parts=(header, header))
    text = console.render(dataclasses.replace(report, header=combined))
    assert text.count("broken on purpose") == 1
    page = html.page(dataclasses.replace(report, header=header))
    assert f'<p class="warning" role="note">{told}</p>' in page


def test_console_of_an_empty_run_is_no_pass(report_of):
    assert "Nothing was executed: not a pass." in console.render(report_of([]))


def test_hostile_text_moves_no_terminal_and_no_line_begins_with_it(hostile):
    text = console.render(hostile)
    assert all(character.isprintable() or character in "\n\t" for character in text)
    assert not any(line.startswith(("#", "```", "out of")) for line in text.split("\n"))


def test_a_console_that_cannot_show_a_character_still_gets_the_report(report_of, result, run):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    run(console.Console(stream), report_of([result(1, "failed", message="größer")]))
    assert rb"gr\xf6\xdfer" in raw.getvalue()


def test_lines_about_samples(report):
    (sample,) = report.results[1].samples
    assert sample_line(sample) == (
        "2000 requests from client: v1 1680 (wanted 1731..1862), v2 320 (wanted 138..269), 0 failed: reset; p = 3.5e-16"
    )
    assert one_line("a\n  b " + "c" * 100, 10) == "a b ccccc…"
