"""Publishing: a report that may be published goes to its place, whole, and to no other; the index follows."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import re
import subprocess

import pytest

from conformance import cli
from conformance.outcome import Known, Outcome
from conformance.report import record
from conformance.report.codec import encode
from conformance.report.model import Catalogue, Component, Described, Header, MeshUnderTest
from conformance.report.publishing import command, contents, index, own, place, rules, shelf
from conformance.report.writing import ReportError
from conformance.requirement import Level
from conformance.verdict import verdicts

AGAIN = "mesh-conformance run --requirement SPLIT-003"
DIGEST = "sha256:" + 64 * "0"
HOSTILE = "<script>alert(1)</script>|[x](javascript:alert(1))`"


@pytest.fixture
def write(tmp_path, result, report_of):
    """Write a record of one mesh that may be published, or one that differs in its header or results."""
    count = iter(range(1000))

    def go(results=None, *, footer=None, **header):
        results = results or (result(1, "passed", "M"), result(3, "failed", message="wanted"))
        whole = report_of(tuple(dataclasses.replace(one, reproduce=one.reproduce or AGAIN) for one in results))
        command = header.pop("command", "mesh-conformance run")
        rows = {name: Described(name, "Demands something.", "", Level.MUST, "split.smi-spec.io", ("v1alpha4",))
                for name in whole.header.selected}
        explained = {"catalogue": Catalogue(header.pop("digest", DIGEST), rows)} | header
        made = dataclasses.replace(whole.header, command=command, **explained)
        directory = tmp_path / f"run-{next(count)}"
        directory.mkdir()
        file = directory / "report.jsonl"
        ended = dataclasses.replace(whole.footer, **(footer or {}))
        file.write_bytes(b"".join(encode(item) for item in (made, *whole.results, ended)))
        return file

    return go


@pytest.fixture
def publish(tmp_path):
    """Publish as the command line does, into `reports`."""

    def go(*words):
        return cli.main(["report", "publish", "--to", str(tmp_path / "reports"), *map(str, words)])

    return go


@pytest.fixture
def home(tmp_path):
    return tmp_path / "reports"


def test_a_report_is_published_as_it_was_generated(write, publish, home, capsys):
    file = write()
    assert publish(file) == 0
    there = home / "reference" / "1.2.3+v1alpha4"
    assert f"{there}: published" in capsys.readouterr().out
    assert (there / "report.jsonl").read_bytes() == file.read_bytes()
    assert sorted(found.name for found in there.iterdir()) == [
        "README.md", "SHA256SUMS", "report.html", "report.jsonl", "summary.md"]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=there, check=True, capture_output=True)
    page = (there / "README.md").read_text()
    assert "## Reproduce" in page
    assert "With mesh-conformance 0.1.0:\n\n```sh\nmesh-conformance run\n```\n" in page
    assert publish("--check") == 0


def test_a_directory_of_a_run_will_do_and_twice_is_once(write, publish, home, capsys):
    file = write()
    assert publish(file.parent, "--no-html") == 0
    assert publish(file, "--no-html") == 0
    assert "stands there already" in capsys.readouterr().out
    assert not (home / "reference" / "1.2.3+v1alpha4" / "report.html").exists()


def test_another_report_of_the_same_version_replaces_none_unasked(write, publish, home, result, capsys):
    first, other = write(), write((result(1, "failed", "M"),))
    there = home / "reference" / "1.2.3+v1alpha4" / "report.jsonl"
    assert publish(first) == 0
    assert publish(other) == command.REFUSED
    assert "another report stands in" in capsys.readouterr().err
    assert there.read_bytes() == first.read_bytes()
    assert publish(other, "--as", "old-kernel") == 0
    assert (home / "reference" / "1.2.3+old-kernel").is_dir()
    assert publish(other, "--replace") == 0
    assert there.read_bytes() == other.read_bytes()
    assert not list(home.glob(".*")), "nothing is left of what was replaced"


def test_the_index_has_every_report_and_is_made_again(write, publish, home, result):
    meshes = (MeshUnderTest("istio", "1.29.0"),)
    istio = write((result(1, "passed", "M", mesh="istio"),), meshes=meshes)
    broken = (result(1, "error", "M", mesh="istio"), result(2, "passed", mesh="istio"))
    older = write(broken, meshes=(MeshUnderTest("istio", "1.9.0"),))
    assert publish(write(), istio, older) == 0
    page, text = (home / index.PAGE).read_text(), (home / index.README).read_text()
    assert re.findall(r"^\| (\w+) \| (\S+) ", text, re.MULTILINE) == [
        ("mesh", "version"), ("istio", r"1.9.0"), ("istio", r"1.29.0"), ("reference", r"1.2.3\+v1alpha4")]
    assert "✓ conformant, full" in text.replace("\\", "")
    assert "✗ nonconformant, partial" in text.replace("\\", "")
    assert "? incomplete, partial" in text.replace("\\", "")
    for link in ("istio/1.29.0/report.jsonl", "reference/1.2.3+v1alpha4/report.html"):
        assert link in text
        assert link in page
    assert 'src="' not in page
    assert "http" not in page.replace("http-equiv", "")
    (home / index.README).write_text("changed")
    assert publish("--check") == command.REFUSED
    assert publish() == 0
    assert publish("--check") == 0


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"command": "mesh-conformance run --mutant zero-is-one"}, "the mesh was broken on purpose"),
    ({"command": "mesh-conformance run --level=M"}, "only requirements of some levels"),
    ({"command": "curl x | sh"}, "is none of mesh-conformance"),
    ({"footer": {"interrupted": True}}, "the run was interrupted"),
    ({"meshes": (MeshUnderTest("reference", "unknown"),)}, "is no released version"),
    ({"meshes": (MeshUnderTest("reference", "1.2-rc.1"),)}, "is no released version"),
    ({"harness": Component("mesh-conformance", "0.2.0.dev1")}, "is no released version"),
    ({"snapshot": {"a": "https://me.example.net.internal.acme.com/"}}, "line 1: names the host"),
    ({"catalogue": Catalogue(DIGEST)}, "SPLIT-001 is an unknown requirement"),
    ({"meshes": (MeshUnderTest("reference", "../../etc1"),)}, "cannot be the name of a directory"),
    ({"meshes": (MeshUnderTest("reference", "a..1"),)}, "cannot be the name of a directory"),
    ({"meshes": (MeshUnderTest("reference", "1/2"),)}, "cannot be the name of a directory"),
    ({"meshes": (MeshUnderTest("reference", ".git1"),)}, "cannot be the name of a directory"),
    ({"meshes": (MeshUnderTest("reference", "1"), MeshUnderTest("another", "2"))}, "of one mesh, this record of 2"),
    ({"command": "mesh-conformance run --smi ../../x"}, "cannot tell a report from others"),
])
def test_what_may_not_be_published_is_refused_and_nothing_is_written(write, publish, home, capsys, changes, complaint):
    assert publish(write(**changes)) == command.REFUSED
    assert complaint in capsys.readouterr().err
    assert not home.exists()


def test_a_part_of_an_api_group_is_not_published(write, publish, result, report_of, capsys):
    results = (result(1, "passed", "M"),)
    left = {dataclasses.replace(results[0].case, requirement="SPLIT-002")}
    assert publish(write(results, footer={"verdicts": verdicts(results, left_out=left)})) == command.REFUSED
    assert "split.smi-spec.io: 1 of its requirements" in capsys.readouterr().err


def test_a_run_that_judged_nothing_or_has_a_stale_list_is_not_published(write, publish, result, capsys):
    assert publish(write((result(1, "unsupported"),))) == command.REFUSED
    assert "nothing was judged" in capsys.readouterr().err
    stale = result(1, "passed", message="stale: SPLIT-001 passes now", known=Known("r", "https://e.invalid/", "1"))
    assert publish(write((stale,))) == command.REFUSED
    assert "stale: SPLIT-001 passes now" in capsys.readouterr().err


def test_of_several_records_none_is_published_where_one_may_not_be(write, publish, home):
    assert publish(write(), write(footer={"interrupted": True})) == command.REFUSED
    assert not home.exists()


@pytest.mark.parametrize("spoil", [
    lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data + data, lambda data: b"\x00" * 10,
    lambda data: data.rpartition(b"\n{")[0] + b"\n",
], ids=["cut", "empty", "twice", "zeros", "no footer"])
def test_what_is_no_whole_record_is_refused(write, publish, home, spoil, capsys):
    file = write()
    file.write_bytes(spoil(file.read_bytes()))
    assert publish(file) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not home.exists()


def test_a_record_that_is_too_large_for_a_repository_is_refused(write, publish, monkeypatch, capsys):
    monkeypatch.setattr(rules, "MAX_RECORD", 100)
    assert publish(write()) == 2
    assert "larger than what is published" in capsys.readouterr().err


@pytest.mark.parametrize("link", ["reference", "reference/1.2.3+v1alpha4"])
def test_no_link_leads_out_of_the_directory(write, publish, home, tmp_path, link, capsys):
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / link).parent.mkdir(parents=True)
    (home / link).symlink_to(outside)
    assert publish(write(), "--replace") == 3
    assert "is a link" in capsys.readouterr().err
    assert not list(outside.iterdir())


def test_a_failure_in_the_middle_leaves_the_old_report(write, publish, home, result, monkeypatch):
    assert publish(write()) == 0
    there = home / "reference" / "1.2.3+v1alpha4"
    before = {file.name: file.read_bytes() for file in there.iterdir()}
    whole = shelf.write_whole

    def full(path, content):
        if path.name == contents.SUMMARY:
            raise OSError(28, "No space left on device")
        whole(path, content)

    monkeypatch.setattr(shelf, "write_whole", full)
    assert publish(write((result(1, "failed", "M"),)), "--replace") == 3
    assert {file.name: file.read_bytes() for file in there.iterdir()} == before
    assert not list(home.glob(".*"))


def test_two_at_once_do_not_disturb_each_other(write, publish, home, capsys):
    home.mkdir()
    handle = os.open(home, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert publish(write()) == 3
    finally:
        os.close(handle)
    assert "is being written to by another publish" in capsys.readouterr().err
    assert publish(write()) == 0, "the lock goes with its process"


def test_what_a_killed_publish_left_is_told_and_half_a_report_is_removed_by_the_next(write, publish, home, capsys):
    assert publish(write()) == 0
    for name in (".publishing-0123", ".replaced-0123"):
        (home / name).mkdir()
    assert publish("--check") == command.REFUSED
    assert ".replaced-0123 was left by a publish that was killed" in capsys.readouterr().err
    assert publish() == 0
    assert sorted(found.name for found in home.glob(".*")) == [".replaced-0123"], "it may be the only copy"


def test_a_file_in_the_way_is_told(write, publish, home, capsys):
    home.mkdir()
    (home / "reference").write_text("")
    assert publish(write()) == 3
    assert "is no directory" in capsys.readouterr().err


def test_what_was_changed_after_it_was_published_is_found(write, publish, home, capsys):
    assert publish(write()) == 0
    there = home / "reference" / "1.2.3+v1alpha4"
    (there / "summary.md").write_text("all is well")
    (there / "more.txt").write_text("")
    assert publish("--check") == command.REFUSED
    told = capsys.readouterr().err
    assert "summary.md is not as its SHA256SUMS says" in told
    assert "more.txt is not as its SHA256SUMS says" in told
    (there / "SHA256SUMS").unlink()
    assert publish("--check") == command.REFUSED


def test_a_report_in_another_place_than_its_own_is_found(write, publish, home, capsys):
    assert publish(write()) == 0
    (home / "reference" / "1.2.3+v1alpha4").rename(home / "reference" / "2.0.0")
    assert publish("--check") == 3
    assert "belongs into" in capsys.readouterr().err


def test_a_new_run_is_held_to_what_is_published_by_what_does_not_change(write, publish, result, capsys):
    results = (result(1, "passed", "M"), result(3, "failed"))
    assert publish(write(results)) == 0
    again = tuple(dataclasses.replace(one, duration=9.0, message="other words") for one in results)
    assert publish("--check", write(again, started="2026-12-24T10:00:00.000Z")) == 0
    assert publish("--check", write((result(1, "passed", "M"), result(3, "passed")))) == command.REFUSED
    assert "SPLIT-003 was failed, is passed" in capsys.readouterr().err
    other = write(results, digest="sha256:" + 64 * "1")
    assert publish("--check", other) == command.REFUSED
    assert "the requirements is not as published" in capsys.readouterr().err
    assert publish("--check", write(results, command="mesh-conformance run --smi osm")) == command.REFUSED
    assert "nothing is published of this version" in capsys.readouterr().err


def test_what_a_mesh_put_into_a_record_is_text_in_every_file(write, publish, home, result):
    known = Known(HOSTILE, "https://example.invalid/1", HOSTILE)
    results = (result(1, "failed", message=HOSTILE, reproduce=HOSTILE, observed=HOSTILE),
               result(2, "known-failure", message=HOSTILE, known=known))
    file = write(results, kubernetes=HOSTILE, snapshot={"nodes": {"items": [{"count": HOSTILE, "osImage": HOSTILE}]}},
                 harness=Component("mesh-conformance", HOSTILE), command=f"mesh-conformance run --context '{HOSTILE}'")
    assert publish(file) == 0
    there = home / "reference" / "1.2.3+v1alpha4"
    assert "<script>alert(1)" not in (home / index.PAGE).read_text()
    assert not re.search(r"""(href|src)=["']?javascript:""", (home / index.PAGE).read_text())
    for page in (home / index.README, there / "README.md"):
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert "<script>" not in text
        assert "](javascript" not in text
        assert not re.search(r"(?<!\\)\|\[x", text)


@pytest.mark.parametrize("snapshot", [{"nodes": 3}, {"nodes": {"items": 3}}, {"nodes": {"items": [3, None]}}, {}])
def test_a_snapshot_of_any_shape_costs_no_publication(write, publish, snapshot):
    assert publish(write(snapshot=snapshot)) == 0


def test_where_a_report_goes():
    def header(mesh, version, command="mesh-conformance run"):
        return Header(Component("mesh-conformance", "1"), "", command, 0, "", (MeshUnderTest(mesh, version),), {}, ())

    assert place.of(header("istio", "1.29.0")) == ("istio", "1.29.0")
    assert place.of(header("istio@canary", "1.29.0"), "gke") == ("istio@canary", "1.29.0+gke")
    assert place.of(header("reference", "1", "mesh-conformance run --smi osm")) == ("reference", "1+osm")
    assert place.of(header("reference", "1", "mesh-conformance run --smi=osm -n 2")) == ("reference", "1+osm")
    assert place.of(header("istio", "1", "mesh-conformance run --suite gateway")) == ("istio", "1+gateway")
    both = "mesh-conformance run --suite smi --suite gateway"
    assert place.of(header("reference", "1", both)) == ("reference", "1+v1alpha4-smi-gateway")
    assert place.of(header("reference", "1", "an 'open quote")) == ("reference", "1+v1alpha4")
    with pytest.raises(place.Unpublishable):
        place.of(header("istio", "1"), "../x")


# --- the project's own reports ---


def test_own_reports_are_run_once_and_made_again_where_something_changed(write, home, result, monkeypatch, capsys):
    def made(outcome):
        file = write((result(1, outcome, "M"),), command="mesh-conformance run --smi osm")

        def run(words, **_):
            target = words[words.index("--report-dir") + 1]
            os.link(file, os.path.join(target, "report.jsonl"))  # noqa: PTH118 - as the run would
            return subprocess.CompletedProcess(words, 0, "", "")

        return run

    monkeypatch.setattr(own.subprocess, "run", made("passed"))
    assert command.publish_own(home, ["osm"]) == 0
    assert command.publish_own(home, ["osm"]) == 0
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()] == ["published", "is current"]
    monkeypatch.setattr(own.subprocess, "run", made("failed"))
    assert command.publish_own(home, ["osm"]) == 0
    there = record.read(home / "reference" / "1.2.3+osm" / "report.jsonl")
    assert there.results[0].outcome is Outcome.FAILED
    assert not (home / "reference" / "1.2.3+osm" / "report.html").exists()


def test_an_own_run_that_breaks_is_told_with_what_it_said(home, monkeypatch):
    monkeypatch.setattr(own.subprocess, "run",
                        lambda words, **_: subprocess.CompletedProcess(words, 2, "", "no such thing"))
    with pytest.raises(ReportError, match=r"(?s)with osm judged nothing, exit code 2.*no such thing"):
        command.publish_own(home, ["osm"])

    def slow(words, **_):
        raise subprocess.TimeoutExpired(words, own.TIME)

    monkeypatch.setattr(own.subprocess, "run", slow)
    with pytest.raises(ReportError, match="did not end within"):
        command.publish_own(home, ["osm"])


def test_an_unknown_dialect_is_refused(publish, capsys):
    assert publish("--own", "osmm") == 3
    assert "Did you mean" in capsys.readouterr().err
    assert publish("--own", "--check", "osmm") == 3


def test_an_own_report_of_other_requirements_is_outdated(write, publish, home, result, capsys):
    assert publish(write((result(1, "passed", "M"),), meshes=(MeshUnderTest("reference", "0.1.0"),),
                         command="mesh-conformance run --smi osm")) == 0
    assert publish("--own", "--check", "osm", "sdk") == command.REFUSED
    told = capsys.readouterr().err
    assert "osm: the requirements have changed since; run `mesh-conformance report publish --own osm`" in told
    assert "sdk: there is no report of the reference mesh 0.1.0" in told
