"""`mesh-conformance report show | matrix | combine`: what each prints, how it ends, and how they compose."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.outcome import Known
from conformance.report import console
from conformance.report.model import Catalogue, MeshUnderTest
from conformance.report.record import load, read
from conformance.report.views import show

API, VERSION = "split.smi-spec.io", "v1alpha4"
DIGEST = f"sha256:{'1' * 64}"


# --- show ---


def test_show_prints_what_the_console_shows(record, results, report_command, report):
    code, out, _ = report_command("show", record("a", results))
    assert code == 0
    again = dataclasses.replace(report, results=tuple(sorted(report.results, key=lambda r: r.case)))
    assert out == console.render(again)


def test_show_in_every_format_and_narrowed(record, results, report_command, piped):
    path = record("a", results)
    code, out, _ = report_command("show", path, "--format", "markdown", "--outcome", "failed")
    assert code == 0
    assert "SPLIT-003" in out
    assert "| SPLIT-005" not in out
    _, out, _ = report_command("show", path, "--format", "html")
    assert out.lower().startswith("<!doctype html>")
    piped(Path(path).read_bytes())
    _, out, _ = report_command("show", "-", "--format", "json", "--mesh", "another")
    document = json.loads(out)
    assert [r["mesh"] for r in document["results"]] == ["another"]
    assert document["header"]["catalogue"]["digest"] == DIGEST
    assert document["footer"]["counts"]["passed"] == 2
    _, out, _ = report_command("show", path, "--format", "json", "--requirement", "split-00[13]")
    assert {r["requirement"] for r in json.loads(out)["results"]} == {"SPLIT-001", "SPLIT-003"}


def test_show_of_too_many_prints_numbers(record, result, report_command, monkeypatch):
    monkeypatch.setattr(show, "LISTED", 3)
    path = record("a", [result(number, "passed") for number in range(1, 6)])
    for form in ("pretty", "markdown"):
        code, out, _ = report_command("show", path, "--format", form)
        assert code == 0
        assert "5 results are too many to list" in out
        assert "SPLIT-001" not in out
    code, out, _ = report_command("show", path, "--requirement", "SPLIT-001")
    assert "SPLIT-001" in out


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the record is empty"),
        (b"\x00\xff", "line 1: ends in the middle"),
        (b'{"type":"header","schema":9}\n', "line 1: the record has schema version 9"),
        (b'{"type":"header","schema":1,"\\u001b[31m":1}\n', "line 1: is not a valid header"),
    ],
    ids=["empty", "bytes", "newer", "hostile"],
)
@pytest.mark.parametrize("command", ["show", "matrix", "diff", "combine"])
def test_what_is_no_record_is_refused_by_every_command(tmp_path, report_command, command, data, says):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(data)
    code, out, err = report_command(command, path, *([path] if command == "diff" else []))
    assert code == 2
    assert says in err
    assert out == ""
    assert "\x1b" not in err


def test_a_file_that_is_not_there_and_a_run_that_broke_off(record, results, report_command, tmp_path):
    code, _, err = report_command("show", tmp_path / "none.jsonl")
    assert (code, "cannot be read: No such file" in err) == (2, True)
    path = Path(record("a", results))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    code, _, err = report_command("show", path)
    assert (code, "the run broke off" in err) == (2, True)


# --- matrix ---


def test_the_matrix_in_every_format(record, result, report_command):
    path = record(
        "a",
        [
            result(1, "passed"),
            result(1, "failed", mesh="other"),
            result(2, "passed"),
            result(3, "failed"),
            result(3, "failed", mesh="other"),
        ],
    )
    code, out, _ = report_command("matrix", path)
    assert code == 0
    assert "reference 1.2.3" in out
    (row,) = [line for line in out.splitlines() if line.startswith("SPLIT-001")]
    assert row.split() == ["SPLIT-001", "B", "a", "title", "failed", "passed"]
    (row,) = [line for line in out.splitlines() if line.startswith("SPLIT-002")]
    assert row.split()[-2:] == ["-", "passed"]
    _, out, _ = report_command("matrix", path, "--only", "disagreements", "--format", "markdown")
    assert "SPLIT\\-001" in out or "SPLIT-001" in out
    assert "SPLIT-003" not in out
    _, out, _ = report_command("matrix", path, "--only", "failures", "--format", "json")
    document = json.loads(out)
    assert [row["id"] for row in document["requirements"]] == ["SPLIT-001", "SPLIT-003"]
    assert document["requirements"][0]["results"]["other"] == {VERSION: "failed"}
    _, out, _ = report_command("matrix", path, "--format", "html")
    assert out.lower().startswith("<!doctype html>")


# --- combine ---


def combined(report_command, *words):
    code, out, err = report_command("combine", *words)
    assert code == 0, err
    return load(io.BytesIO(out.encode()))


def test_records_of_different_meshes(record, result, report_command):
    whole = combined(
        report_command, record("a", [result(1, "passed", mesh="a")]), record("b", [result(1, "failed", mesh="b")])
    )
    assert [(r.mesh, r.outcome.value) for r in whole.results] == [("a", "passed"), ("b", "failed")]
    assert [mesh.name for mesh in whole.header.meshes] == ["a", "b"]
    assert [part.meshes[0].name for part in whole.header.parts] == ["a", "b"]
    assert whole.header.catalogue.digest == DIGEST
    assert whole.header.catalogue.requirements["SPLIT-001"].title == "a title"
    assert whole.footer.exit_code == 1


def test_versions_of_one_mesh_are_told_apart(record, result, report_command):
    whole = combined(
        report_command,
        record("a", [result(1, "passed")], version="v1.27.0"),
        record("b", [result(1, "failed")], version="1.28.0+Build 7"),
    )
    assert {(r.mesh, r.outcome.value) for r in whole.results} == {
        ("reference-v1.27.0", "passed"),
        ("reference-1.28.0-build-7", "failed"),
    }
    assert {v.mesh for v in whole.footer.verdicts} == {m.name for m in whole.header.meshes}


def test_what_was_combined_can_be_combined_again(record, result, report_command, tmp_path):
    first = tmp_path / "first.jsonl"
    _, out, _ = report_command(
        "combine", record("a", [result(1, "passed", mesh="a")]), record("b", [result(1, "passed", mesh="b")])
    )
    first.write_text(out)
    whole = combined(report_command, first, record("c", [result(1, "passed", mesh="c")]))
    assert [part.meshes[0].name for part in whole.header.parts] == ["a", "b", "c"]


def test_shards_of_a_run_are_one_mesh_with_one_verdict(record, result, report_command):
    whole = combined(
        report_command,
        record("a", [result(1, "passed")], gaps=(0, 2)),
        record("b", [result(2, "passed")], gaps=(0, 2)),
        record("c", [result(3, "passed")], gaps=(0, 2)),
    )
    (found,) = whole.footer.verdicts
    assert (found.compliance.value, found.capability.value, found.left_out, found.missing) == (
        "conformant",
        "full",
        0,
        0,
    )
    part = combined(
        report_command, record("a", [result(1, "passed")], gaps=(0, 2)), record("b", [result(2, "passed")], gaps=(0, 2))
    )
    assert (part.footer.verdicts[0].left_out, part.footer.verdicts[0].compliance.value) == (1, "incomplete")


def test_a_stale_list_of_known_failures_stays_one(record, result, report_command):
    stale = result(1, "passed", known=Known("r", "https://example.org/1", "1"))
    whole = combined(report_command, record("a", [stale]), record("b", [result(1, "passed", mesh="b")]))
    assert whole.footer.exit_code == 1


def test_two_results_for_one_case_are_refused_unless_told_apart(record, result, report_command):
    first, second = (
        record("a", [result(1, "passed")]),
        record("b", [result(1, "failed")], started="2026-11-21T00:00:00Z"),
    )
    code, _, err = report_command("combine", first, second)
    assert code == 2
    assert "b.jsonl, line 2: is a second result of SPLIT-001 on reference" in err
    whole = combined(report_command, first, second, "--apart", "date")
    assert {r.mesh for r in whole.results} == {"reference-2026-11-20", "reference-2026-11-21"}
    newer = record("c", [result(1, "failed")], kubernetes="v1.35.0")
    whole = combined(report_command, first, newer, "--apart", "kubernetes")
    assert {r.mesh for r in whole.results} == {"reference-v1.34.0", "reference-v1.35.0"}


def test_different_catalogues_are_refused_unless_told(record, result, report_command):
    other = record("b", [result(1, "passed", mesh="b")], catalogue=Catalogue(f"sha256:{'2' * 64}", {}))
    first = record("a", [result(1, "passed", mesh="a")])
    code, out, err = report_command("combine", first, other)
    assert (code, out) == (2, "")
    assert "different catalogues" in err
    assert combined(report_command, first, other, "--different-catalogues").header.catalogue.digest == ""
    assert report_command("combine", "-", "-")[0] == 2


def test_commands_compose_by_pipes(record, result, tmp_path):
    a, b = record("a", [result(1, "passed", mesh="a")]), record("b", [result(1, "failed", mesh="b")])
    tool = f"{sys.executable} -m conformance.cli report"
    script = f"set -o pipefail; {tool} combine {a} {b} | {tool} diff - --mesh a --mesh b --format markdown"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "passed" in done.stdout
    assert done.stderr == ""


def test_a_reader_that_ends_early_is_no_traceback(record, result):
    path = record("a", [result(1, "passed", message="x" * 5_000, mesh=f"m{number}") for number in range(400)])
    tool = f"{sys.executable} -m conformance.cli report"
    for view in (f"show {path} --format json", f"combine {path}"):
        done = subprocess.run(
            ["bash", "-c", f"{tool} {view} | head -c 1; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_told(record, result):
    path = record("a", [result(1, "passed")])
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "conformance.cli", "report", "combine", path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env=dict(os.environ),
        )
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mesh_with_an_instance_can_be_recorded(record, result):
    path = record("a", [result(1, "passed", mesh="istio@canary")])
    assert read(Path(path)).header.meshes == (
        MeshUnderTest("istio@canary", "1.2.3", read(Path(path)).header.meshes[0].proxy),
    )
