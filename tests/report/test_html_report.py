"""The HTML report as text: what stands in it, what cannot get into it, how large it becomes."""

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from html_reports import PAYLOAD, field, hostile, performance_run

from conformance.outcome import Known, SampleSummary
from conformance.performance import record
from conformance.report.codec import RecordError
from conformance.report.html import MAX_RESULTS, charts, page, performance_beside
from conformance.report.html.matrix import build
from conformance.report.page import Page


class Reader(HTMLParser):
    """Collects elements and text."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.said = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def evidence(text):
    packed = re.search(r'id="evidence">([^<]*)</script>', text)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_verdicts_cells_failures_and_commands_are_there_without_script(report):
    text = page(report)
    said = "".join(Reader(text).said)
    for wanted in ("nonconformant", "partial capability", "violates SPLIT-003", "wanted 90 %\n   got 84 %",
                   "1731 to 1862", "outside", "mesh-conformance run --requirement SPLIT-003", "kind: TrafficSplit",
                   "path and method are honoured as well", "left out with --level M", "envoy 1.40.0", "seed 42"):
        assert wanted in said, wanted
    assert [a for a in Reader(text).named("div") if a.get("id") == "SPLIT-003/reference"]


def test_every_outcome_has_a_word_and_a_symbol_not_only_a_colour(report):
    said = re.findall(r'<i aria-hidden="true">(.)</i> ([a-z ]+)</a>', page(report))
    assert {word for _, word in said} == {
        "passed", "failed", "error", "unsupported", "not applicable", "skipped", "known failure", "observed"}
    assert len(set(said)) == 8


def test_all_results_travel_with_their_evidence_and_objects_stand_there_once(report):
    found = evidence(page(report))
    assert len(found["results"]) == len(report.results)
    failed = next(one for one in found["results"] if one["key"] == "SPLIT-003/reference")
    assert failed["samples"][0]["answers"] == [
        ["v1", "1680", "1731 to 1862", "outside"], ["v2", "320", "138 to 269", "outside"]]
    assert [found["objects"][place][0] for place in failed["applied"]] == ["TrafficSplit split-003"]
    assert "managedFields" not in json.dumps(found)


def test_equal_objects_stand_there_once(report_of, result):
    thing = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "root"}}
    results = [result(1, "passed", applied=(thing, thing)), result(2, "passed", applied=(thing,))]
    found = evidence(page(report_of(results)))
    assert len(found["objects"]) == 1
    assert [one["applied"] for one in found["results"]] == [[0, 0], [0]]


def test_an_interval_is_not_held_against_a_count_of_another_name(report_of, result):
    sample = SampleSummary("1", "client", "GET /", 10, {"v1:8080": 9, "v2:8080": 1}, {}, {"stable": (8, 10)}, 1e-6, 0.4)
    one = evidence(page(report_of([result(3, "passed", samples=(sample,))])))["results"][0]
    assert one["samples"][0]["answers"] == [
        ["stable", "", "8 to 10", ""], ["v1:8080", "9", "", ""], ["v2:8080", "1", "", ""]]


def test_an_interval_of_several_servers_is_held_against_their_sum(report_of, result):
    sample = SampleSummary("1", "client", "GET /", 10, {"v1:80": 4, "v2:80": 5}, {"reset": 1}, {"v1:80, v2:80": (9, 9)})
    one = evidence(page(report_of([result(3, "passed", samples=(sample,))])))["results"][0]
    assert one["samples"][0]["answers"][1] == ["v1:80, v2:80", "9", "9 to 9", "within"]
    assert one["samples"][0]["failures"] == [["reset", 1]]


def test_a_selected_requirement_without_a_result_is_not_passed_over(report_of, result):
    report = report_of([result(1, "passed")], interrupted=True)
    object.__setattr__(report.header, "selected", ("SPLIT-001", "SPLIT-002"))
    text = page(report)
    assert "no result" in text
    assert "was interrupted" in text


def test_disagreement_is_of_judgements_alone(report_of, result):
    report = report_of([
        result(1, "passed"), result(1, "failed", mesh="another"), result(2, "passed"),
        result(2, "unsupported", mesh="another"), result(3, "failed"), result(3, "known-failure", mesh="another"),
    ])
    rows = [row for group in build(report).groups for row in group.rows]
    assert [(row.requirement, row.failing, row.disagreement) for row in rows] == [
        ("SPLIT-001", True, True), ("SPLIT-002", False, False), ("SPLIT-003", True, False)]


def test_known_failures_link_to_where_they_were_reported_and_nowhere_else(report_of, result):
    def links(link):
        known = result(8, "known-failure", known=Known("weights are percents", link, "1.2"))
        text = page(report_of([known]))
        assert "weights are percents" in text
        return [a["href"] for a in Reader(text).named("a") if not a.get("href", "#").startswith("#")]

    assert links("https://example.org/issues/1") == ["https://example.org/issues/1"]
    assert links("javascript:alert(1)") == []
    assert links("data:text/html,x") == []


def test_a_stale_entry_in_the_list_of_known_failures_is_shown(report_of, result):
    text = page(report_of([result(8, "passed", known=Known("weights", "https://example.org/1", "1.2"))]))
    assert "passed, stale" in text
    assert 'id="SPLIT-008/reference"' in text


def test_versions_of_one_mesh_stand_side_by_side(report_of, result):
    report = report_of([result(1, "passed"), result(1, "failed")])
    object.__setattr__(report.results[1], "version", "v1alpha3")
    text = page(report)
    assert 'href="#SPLIT-001/reference/v1alpha3"' in text
    assert "✓</i> passed v1alpha4" in text


def test_nothing_in_a_record_becomes_markup():
    text = page(hostile())
    reader = Reader(text)
    scripts = reader.named("script")
    assert len(scripts) == 2
    assert not {"img", "iframe", "svg", "textarea"} & {name for name, _ in reader.elements}
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    assert not [a for a in reader.named("a") if not a.get("href", "#").startswith("#")]
    assert "{{ 7 * 7 }}" in "".join(reader.said)
    misleading = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
    assert not misleading.search(text)
    assert not misleading.search(json.dumps(evidence(text), ensure_ascii=False))


def test_the_policy_names_the_one_script_and_the_one_style_sheet_by_their_hashes(report):
    text = page(report)
    policy = next(a["content"] for a in Reader(text).named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    for tag in ("script", "style"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r'\sstyle="', text)


def test_the_page_needs_nothing_else(report):
    reader = Reader(page(report))
    loaded = [a[key] for _, a in reader.elements for key in ("src", "href", "data", "action") if key in a]
    assert all(one.startswith(("#", "data:,")) for one in loaded)


def test_the_same_report_gives_the_same_page(report):
    assert page(report) == page(report)


def test_fifteen_meshes_take_at_most_two_megabytes():
    text = page(field())
    assert len(text.encode()) <= 2_000_000
    assert len(evidence(text)["results"]) == 15 * 130


def test_accounts_without_script_are_bounded(report_of, result):
    long = "x" * 15_000
    report = report_of([result(number, "failed", message=long) for number in range(1, 60)])
    text = page(report)
    assert len(text.encode()) < 1_000_000
    assert re.search(r"\d+ more: open them in the matrix", text)
    # What has no account has no link to one.
    ids = {a["id"] for _, a in Reader(text).elements if "id" in a}
    assert all(a["href"][1:] in ids for a in Reader(text).named("a") if "data-n" in a and "href" in a)


def test_more_results_than_a_browser_takes_are_refused(report, monkeypatch):
    monkeypatch.setattr("conformance.report.html.rendering.MAX_RESULTS", 3)
    with pytest.raises(RecordError, match="has 9 results, and a page shows at most 3; combine fewer records"):
        page(report)
    assert MAX_RESULTS == 20_000


def test_an_empty_report_is_no_pass(report_of):
    text = page(report_of([]))
    assert "Nothing was executed: not a pass." in text


def test_the_writer_writes_it_when_the_run_has_ended(report, run, tmp_path):
    writer = Page(tmp_path / "report.html")
    run(writer, report)
    assert writer.target == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_a_snapshot_is_shown(report):
    object.__setattr__(report.header, "snapshot", {"nodes": [{"kernel": "6.1"}]})
    assert "kernel: &#39;6.1&#39;" in page(report)


def test_snapshots_that_would_burst_the_page_are_left_out(report, monkeypatch):
    monkeypatch.setattr("conformance.report.html.rendering.MAX_SNAPSHOTS", 50)
    parts = tuple(dataclasses.replace(report.header, snapshot={"nodes": "x" * size}) for size in (20, 20, 20))
    object.__setattr__(report.header, "parts", parts)
    text = page(report)
    assert text.count("nodes: xxx") == 1
    assert text.count("it stands in the record") == 2


def test_a_performance_record_beside_is_drawn_into_the_page(report, run, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "performance").mkdir()
    record.write(tmp_path / "performance" / "performance.json", performance_run())
    run(Page(tmp_path / "report.html"), report)
    text = (tmp_path / "report.html").read_text()
    assert "<svg" in text
    assert not re.search(r'\sstyle="', text)
    assert len(Reader(text).named("style")) == 1
    assert "Performance of" in text


def test_a_performance_record_that_cannot_be_read_keeps_nobody_from_a_page(tmp_path):
    assert performance_beside(tmp_path) == ()
    (tmp_path / "performance").mkdir()
    (tmp_path / "performance" / "performance.json").write_text("{")
    assert performance_beside(tmp_path) == ()


def test_pictures_become_attributes_and_lose_what_is_no_property():
    svg = charts.without_styles(
        '<svg xmlns="http://www.w3.org/2000/svg"><style>*{}</style>'
        '<path style="fill: none; stroke: #fff; behavior: url(x); stroke-width: 0.8"/></svg>')
    assert 'fill="none" stroke="#fff" stroke-width="0.8"' in svg
    assert "behavior" not in svg
    assert "style" not in svg


def test_large_pictures_are_left_out_and_the_page_says_so(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(charts, "MAX_PICTURES", 100)
    part = charts.parts([performance_run()])[0]
    assert not any(probe.pictures for probe in part.probes)
    assert "left out" in part.remark


def test_without_the_plotting_library_figures_stand_alone(monkeypatch):
    def missing(_):
        raise charts.PicturesMissing

    monkeypatch.setattr(charts, "illustrated", missing)
    part = charts.parts([performance_run()])[0]
    assert part.probes[0].figures
    assert "pip install 'mesh-conformance[performance]'" in part.remark


def test_the_payload_is_what_it_should_be():
    assert "\u202e" in PAYLOAD
    assert "\x1b" in PAYLOAD
