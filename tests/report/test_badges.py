"""Badges: green is conformant and nothing else, and no name gets out of its file or its picture."""

import dataclasses
import itertools
import json
from xml.etree import ElementTree as ET

import pytest

from conformance.cli import main
from conformance.outcome import Outcome
from conformance.report.badges import badges, written
from conformance.report.record import encode
from conformance.verdict import Capability, Compliance, Verdict

GREEN = ("brightgreen", "yellowgreen")
API = "split.smi-spec.io"


@pytest.fixture
def footer(report):
    """A maker of footers: of verdicts, and of a run that was broken off or not."""
    return lambda *verdicts, interrupted=False: dataclasses.replace(
        report.footer, verdicts=verdicts, interrupted=interrupted)


def verdict(compliance, capability="full", mesh="m", api=API, **changes):
    return Verdict(mesh, api, "v1alpha4", Capability(capability), Compliance(compliance), **changes)


@pytest.mark.parametrize(("compliance", "capability", "interrupted"), list(itertools.product(
    Compliance, Capability, [False, True])))
def test_only_a_conformant_verdict_is_green(footer, compliance, capability, interrupted):
    found = badges(footer(verdict(compliance, capability), interrupted=interrupted))
    green = compliance is Compliance.CONFORMANT and not interrupted
    assert len(found) == 2
    for badge in found:
        assert (badge.colour in GREEN) == green
        assert ("conformant" in badge.message.removeprefix("non")) == (green or badge.message == "nonconformant")
        document = json.loads(badge.shields)
        assert document.get("isError", False) != green, "or an address could ask for another colour"
        assert (badge.colour == "brightgreen") == (green and capability is Capability.FULL)


def test_a_violation_is_told_of_a_run_that_was_broken_off_as_well(footer):
    found = badges(footer(verdict("nonconformant"), interrupted=True))
    assert {(badge.message, badge.colour) for badge in found} == {("nonconformant", "red")}


def test_a_mesh_is_as_good_as_the_worst_of_its_groups(footer):
    good, bad, open_ = verdict("conformant", api="a"), verdict("nonconformant", api="b"), verdict("incomplete", api="c")
    unsupported = verdict("incomplete", "none", api="d", counts={Outcome.UNSUPPORTED: 3, Outcome.NOT_APPLICABLE: 1})

    def overall(*verdicts):
        return badges(footer(*verdicts))[0].message

    assert overall(good) == "conformant"
    assert overall(good, unsupported) == "conformant in part"
    assert overall(good, open_) == "incomplete"
    assert overall(good, open_, bad) == "nonconformant"
    assert overall(unsupported) == "not supported"
    lost = dataclasses.replace(unsupported, missing=1)
    assert overall(good, lost) == "incomplete", "what has no result is not what a mesh does not have"


def test_shields_reads_four_fields(footer):
    found = {name: json.loads(text) for name, text in written(badges(footer(verdict("conformant")))).items()
             if name.endswith(".json")}
    assert found == {
        "m.json": {"schemaVersion": 1, "label": "m", "message": "conformant", "color": "brightgreen"},
        f"m-{API}-v1alpha4.json": {"schemaVersion": 1, "label": f"m {API} v1alpha4", "message": "conformant",
                                   "color": "brightgreen"},
    }


def test_a_picture_says_in_words_what_it_shows(footer):
    badge = badges(footer(verdict("nonconformant")))[1]
    root = ET.fromstring(badge.svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("aria-label") == root.findtext(f"{space}title") == f"m {API} v1alpha4: nonconformant"
    assert [text.text for text in root.iter(f"{space}text")] == [f"m {API} v1alpha4", "nonconformant"]
    assert {element.tag.removeprefix(space) for element in root.iter()} == {
        "svg", "title", "clipPath", "rect", "g", "text"}


HOSTILE = ['"><script>alert(1)</script>', "../../etc/passwd", "/etc/passwd", "..", "", "CON\\..\\x", "a\u202eb",
           "a" * 500, "&amp;", "]]>", "${x}", "{{ 7 * 7 }}", "{% raw %}"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_file_and_in_their_text(footer, name):
    for file, text in written(badges(footer(verdict("conformant", mesh=name, api=name)))).items():
        assert "/" not in file
        assert "\\" not in file
        assert not file.startswith(".")
        assert len(file) < 120
        if file.endswith(".svg"):
            root = ET.fromstring(text)
            assert {element.tag.partition("}")[2] for element in root.iter()} == {
                "svg", "title", "clipPath", "rect", "g", "text"}
            assert not any(key.startswith("on") for element in root.iter() for key in element.keys())  # noqa: SIM118
            assert "49" not in (root.findtext("{http://www.w3.org/2000/svg}title") or "")
        else:
            assert json.loads(text)["schemaVersion"] == 1


def test_two_meshes_never_share_a_file(footer):
    names = ["a/b", "a-b", "A-b", "a b"]
    found = badges(footer(*(verdict("conformant", mesh=name) for name in names)))
    assert len({badge.name.lower() for badge in found}) == len(found) == 2 * len(names)


@pytest.fixture
def record(report, tmp_path):
    path = tmp_path / "report.jsonl"
    path.write_bytes(b"".join(encode(item) for item in (report.header, *report.results, report.footer)))
    return path


def test_the_command(record, tmp_path, capsys):
    assert main(["report", "badge", str(record), "-o", str(tmp_path / "b")]) == 0
    assert "b/reference.svg, .json: reference: nonconformant" in capsys.readouterr().out
    assert (tmp_path / "b" / "reference-split.smi-spec.io-v1alpha4.svg").is_file()
    (tmp_path / "file").write_text("")
    assert main(["report", "badge", str(record), "-o", str(tmp_path / "file")]) == 3
    assert "the badges cannot be written to" in capsys.readouterr().err


def test_a_record_without_a_verdict_gets_no_badge(report_of, tmp_path, capsys):
    empty = report_of([])
    path = tmp_path / "report.jsonl"
    path.write_bytes(encode(empty.header) + encode(empty.footer))
    assert main(["report", "badge", str(path), "-o", str(tmp_path / "b")]) == 3
    assert "the record has no verdict: nothing was executed" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_record_that_cannot_be_read_is_usage(tmp_path, capsys):
    assert main(["report", "badge", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl cannot be read" in capsys.readouterr().err
