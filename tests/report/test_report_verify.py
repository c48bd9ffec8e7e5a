"""`report verify`: what may be published, and each thing that stands against it."""

import dataclasses
import hashlib
import json

import pytest

from conformance.cli import main
from conformance.report.model import Catalogue, Component, Described, MeshUnderTest
from conformance.report.record import encode
from conformance.report.verifying import exposed, sums, verify
from conformance.requirement import Level

API = "split.smi-spec.io"


@pytest.fixture
def lines(report_of, result):
    """The lines of a record that may be published."""
    results = [result(1, "passed"), result(2, "failed", message="got 84 %", reproduce="mesh-conformance run …")]
    whole = report_of(results)
    explained = {r.requirement: Described("t", "It is so.", "s", Level.BEHAVIOUR, API, ("v1alpha4",)) for r in results}
    header = dataclasses.replace(whole.header, catalogue=Catalogue(f"sha256:{'1' * 64}", explained))
    return [header, *results, whole.footer]


@pytest.fixture
def findings(tmp_path):
    """What `verify` finds in a record of these lines, as text."""

    def look(lines, known=()):
        path = tmp_path / "report.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else encode(line) for line in lines))
        return [str(finding) for finding in verify(path, known)]

    return look


def changed(lines, at, **values):
    return [dataclasses.replace(line, **values) if number == at else line for number, line in enumerate(lines)]


def test_a_record_that_may_be_published(lines, findings):
    assert findings(lines) == []
    assert findings(lines, ["SPLIT-001", "SPLIT-002"]) == []


@pytest.mark.parametrize(
    "version", ["unknown", "", "0.2.0.dev3", "1.0-SNAPSHOT", "latest", "1.2.0-rc1", "main-3f2c1a9"]
)
def test_versions_that_are_not_released(lines, findings, version):
    (found,) = findings(changed(lines, 0, harness=Component("mesh-conformance", version)))
    assert found.startswith("report.jsonl:1: mesh-conformance")
    assert "is no released version" in found
    (found,) = findings(changed(lines, 0, meshes=(MeshUnderTest("reference", version),)))
    assert "reference" in found


@pytest.mark.parametrize("version", ["1.27.1", "v1.4", "edge-24.11.8", "1.19.0-debian", "2.9.1+k3s1"])
def test_versions_that_are_released(lines, findings, version):
    assert findings(changed(lines, 0, meshes=(MeshUnderTest("reference", version),))) == []


def test_unknown_requirements(lines, findings):
    header = lines[0]
    some = Catalogue(header.catalogue.digest, {"SPLIT-001": header.catalogue.requirements["SPLIT-001"]})
    assert findings(changed(lines, 0, catalogue=some)) == [
        "report.jsonl:1: SPLIT-002 is an unknown requirement: the record's catalogue does not explain it"
    ]
    assert findings(lines, ["SPLIT-001"]) == [
        "report.jsonl:1: SPLIT-002 is an unknown requirement: mesh-conformance 0.1.0 has none of this id"
    ]
    assert any(
        "by which catalogue" in found
        for found in findings(changed(lines, 0, catalogue=Catalogue("", header.catalogue.requirements)))
    )


def test_a_failure_that_nobody_can_repeat(lines, findings):
    assert findings(changed(lines, 2, reproduce=" ")) == [
        "report.jsonl:3: SPLIT-002 failed on reference, and nothing says how to repeat it"
    ]
    assert findings(changed(lines, 0, command="")) == ["report.jsonl:1: nothing says how to repeat the run"]


@pytest.mark.parametrize(
    "text",
    [
        "dial 93.184.216.34:443",
        "dial [2606:2800:220:1:248:1893:25c8:1946]:443",
        "-----BEGIN CERTIFICATE-----\nMII",
        "see https://ci.corp.acme.com/job/1",
        "postgres://user@db.acme.io/x",
    ],
)
def test_what_is_nobody_elses_business(lines, findings, text):
    (found,) = findings(changed(lines, 2, message=text))
    assert found.startswith("report.jsonl:3: SPLIT-002: ")
    (found,) = findings(changed(lines, 0, snapshot={"nodes": [{"note": text}]}))
    assert found.startswith("report.jsonl:1: ")


@pytest.mark.parametrize(
    "text",
    [
        "dial 10.0.0.7:8080",
        "GET http://t5-root:8080/ from 127.0.0.1",
        "http://root.mesh-conformance-s1:8080",
        "http://root.demo.svc.cluster.local:8080",
        "Envoy 1.40.0",
        "version 1.2.3.4.5",
        "12:30:45",
        "fe80::1",
        "::1",
        "v1:8080 and v2:8080",
        "http://10.1.2.3/x",
    ],
)
def test_what_is_the_runs_own(text):
    assert list(exposed([text])) == []


def test_what_had_to_be_cleaned(lines, findings):
    for at, field in ((0, "command"), (2, "message")):
        document = json.loads(encode(lines[at])) | {field: "Authorization: Bearer abcdefghijklmnop"}
        bad = [json.dumps(document).encode() + b"\n" if number == at else line for number, line in enumerate(lines)]
        (found,) = findings(bad)
        assert found.startswith(f"report.jsonl:{at + 1}: has secrets, control characters")


def test_faults_of_the_record_itself(lines, findings):
    assert "the run broke off" in findings(lines[:-1])[0]
    assert findings([]) == ["report.jsonl: the record is empty"]
    assert "report.jsonl:2: is not JSON" in findings([lines[0], b"{\n"])[0]
    assert "interrupted" in findings(changed(lines, -1 % len(lines), interrupted=True))[0]
    assert any(
        "no result" in found for found in findings([lines[0], dataclasses.replace(lines[-1], counts={}, verdicts=())])
    )
    lost = findings([lines[0], lines[1], lines[-1]])
    assert "lines were lost or added" in lost[0]


def test_checksums_beside_the_record(lines, findings, tmp_path):
    findings(lines)
    whole = (tmp_path / "report.jsonl").read_bytes()
    right = f"{hashlib.sha256(whole).hexdigest()}  report.jsonl\n"
    (tmp_path / "SHA256SUMS").write_text(right)
    assert sums(tmp_path) == []
    (tmp_path / "link").symlink_to(tmp_path / "report.jsonl")
    (tmp_path / "SHA256SUMS").write_text(
        right.replace(right[:2], "00" if right[:2] != "00" else "11")
        + f"{'0' * 64}  none\n{'0' * 64}  ../escape\nwords\n"
        + right.replace("report.jsonl", "link")
    )
    told = [str(finding) for finding in sums(tmp_path)]
    assert [line.partition(": ")[0] for line in told] == [f"SHA256SUMS:{number}" for number in range(1, 6)]
    assert "is not the file that was summed up" in told[0]
    assert "cannot be read" in told[1]
    assert "is not `SHA-256  NAME`" in told[2]
    assert "is a link" in told[4]


def test_what_publishing_refuses_is_found(lines, findings, tmp_path, piped, report_command, monkeypatch):
    command = "mesh-conformance run --mutant weights-84-16"
    findings(changed(lines, 0, command=command, harness=Component("mesh-conformance", "0.0.9")))
    path = tmp_path / "report.jsonl"
    told = ": --mutant: the mesh was broken on purpose\n1 finding: not to be published\n"
    assert report_command("verify", path) == (1, f"report.jsonl{told}", "")
    piped(path.read_bytes())
    assert report_command("verify", "-") == (1, f"standard input{told}", "")
    path.write_bytes(path.read_bytes()[:-1])
    code, out, _ = report_command("verify", path)
    assert (code, out.count("\n")) == (1, 2), "a record that cannot be read is told of once"
    monkeypatch.setattr("conformance.report.publishing.rules.MAX_RECORD", 100)
    assert "is larger than what is published (100 bytes)" in report_command("verify", path)[1]


def test_a_record_whose_place_could_not_be_named(lines, findings, tmp_path, report_command):
    meshes = (MeshUnderTest("reference", "1.2.3"), MeshUnderTest("other", "1.2.3"))
    findings(changed(lines, 0, meshes=meshes, harness=Component("mesh-conformance", "0.0.9")))
    code, out, _ = report_command("verify", tmp_path)
    assert code == 1
    assert "a published report is of one mesh" in out


def test_the_command(lines, findings, tmp_path, capsys):
    findings(changed(lines, 0, harness=Component("mesh-conformance", "0.0.9")))
    assert main(["report", "verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "nothing stands against publishing it\n"
    findings(changed(lines, 2, reproduce=""))
    assert main(["report", "verify", str(tmp_path / "report.jsonl"), "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["line"] == 3
    assert main(["report", "verify", str(tmp_path / "none.jsonl")]) == 2
