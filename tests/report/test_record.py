"""The record: what is written is read back, and what is not a record is refused with its line."""

import contextlib
import dataclasses
import io
import json
import random
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from conformance.outcome import Outcome
from conformance.report import codec
from conformance.report.jsonl import JsonLines
from conformance.report.record import MAX_LINE, MissingFooter, RecordError, encode, environment, load, now, read
from conformance.verdict import Capability, Compliance


@pytest.fixture
def lines(report):
    return [encode(item) for item in (report.header, *report.results, report.footer)]


def parse(lines):
    return load(io.BytesIO(b"".join(lines)))


def change(line, **values):
    return json.dumps(json.loads(line) | values).encode() + b"\n"


def test_what_is_written_is_read_back(report, run, tmp_path):
    path = tmp_path / "report.jsonl"
    run(JsonLines(path), report)
    again = read(path)
    assert again.header == report.header
    assert again.footer == report.footer
    assert [r.case for r in again.results] == [r.case for r in report.results]
    by_id = {r.requirement: r for r in again.results}
    assert by_id["SPLIT-003"].samples == report.results[1].samples
    assert by_id["SPLIT-003"].applied[0]["metadata"] == {"name": "split-003", "namespace": "demo"}
    # Reading cleans what was read; a second round changes nothing more.
    second = tmp_path / "second.jsonl"
    run(JsonLines(second), again)
    assert second.read_bytes() == path.read_bytes()


def test_the_schema_is_one_and_describes_every_line(lines):
    text = (codec.files("conformance.report") / "schema" / "record-v1.json").read_text()
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    for line in lines:
        Draft202012Validator(schema).validate(json.loads(line))


def test_a_run_that_broke_off_is_told_from_a_broken_record(lines, report):
    with pytest.raises(MissingFooter, match="cannot be published") as caught:
        parse(lines[:-1])
    assert caught.value.header == report.header
    assert len(caught.value.results) == len(report.results)
    with pytest.raises(MissingFooter):
        parse(lines[:1])


def test_every_truncation_is_noticed(lines):
    whole = b"".join(lines)
    source = random.Random(5)
    for cut in {0, 1, len(whole) - 1, *source.sample(range(len(whole)), 150)}:
        with pytest.raises(RecordError) as caught:
            load(io.BytesIO(whole[:cut]))
        if not isinstance(caught.value, MissingFooter) and cut:
            assert caught.value.line == whole[:cut].count(b"\n") + 1


def test_damaged_bytes_never_escape_as_another_exception(lines):
    whole = bytearray(b"".join(lines))
    source = random.Random(6)
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        # Damage within a text can go unseen; anything else must be told as what it is.
        with contextlib.suppress(RecordError):
            load(io.BytesIO(bytes(damaged)))


@pytest.mark.parametrize(("bad", "says"), [
    (b"not json\n", "is not JSON"),
    (b"\xff\xfe\n", "is not JSON"),
    (b"[1]\n", "has no known type"),
    (b'{"type": "surprise"}\n', "has no known type"),
    (b'{"type": ["header"]}\n', "has no known type"),
    (b'{"type": "result", "type": "result"}\n', "stands twice"),
    (b'{"type": "result", "duration": NaN}\n', "is no number of JSON"),
    (b'{"type": "result", "duration": 1e999}\n', "is not a valid result"),
    (b'{"type": "result"}\n', "is not a valid result.*required"),
    (b'{"type": "footer", "duration": -1}\n', "is not a valid footer"),
    (b'{"type": "result", "applied": ' + b"[" * 100_000 + b"\n", "is not JSON|nested too deeply"),
    (b'{"type": "result", "seed": 1' + b"0" * 5000 + b"}\n", "is not JSON"),
], ids=[str(number) for number in range(12)])  # fmt: skip
def test_malformed_lines_are_named(lines, bad, says):
    with pytest.raises(RecordError, match=rf"^line 2: .*({says})") as caught:
        parse([lines[0], bad, *lines[1:]])
    assert len(str(caught.value)) < 800


def test_another_version_of_the_record_is_refused(lines):
    with pytest.raises(RecordError, match=r"line 1: the record has schema version 2 .* reads version 1"):
        parse([change(lines[0], schema=2), *lines[1:]])


def test_an_oversized_line_is_refused_before_it_is_parsed(lines):
    huge = b'{"type": "result", "message": "' + b"x" * MAX_LINE + b'"}\n'
    with pytest.raises(RecordError, match="line 2: is longer than a line may be"):
        parse([lines[0], huge])


def test_lines_are_held_to_each_other(lines):
    header, first, *_, footer = lines
    for record, says in (
        ([], "the record is empty"),
        ([first], "line 1: stands before the header"),
        ([header, header], "line 2: is a second header"),
        ([header, first, first], "line 3: is a second result of SPLIT-001 on reference"),
        ([*lines, first], f"line {len(lines) + 1}: stands after the footer"),
        ([header, first, footer], "line 3: the footer counts .*lines were lost or added"),
        ([header, change(first, requirement="SPLIT-099")], "line 2: .*SPLIT-099, which the header does not select"),
        ([header, change(first, mesh="stranger")], "line 2: .*stranger, a mesh that the header does not name"),
        ([header, change(first, outcome="observed")], "line 2: .*is judged: its outcome cannot be"),
        ([header, change(first, surprise=1)], "line 2: is not a valid result: .*surprise"),
    ):
        with pytest.raises(RecordError, match=says):
            parse(record)


def test_a_verdict_that_does_not_follow_from_the_results_is_refused(lines, report):
    other, verdict = report.footer.verdicts
    for better in (
        dataclasses.replace(verdict, compliance=Compliance.CONFORMANT),
        dataclasses.replace(verdict, capability=Capability.FULL),
    ):
        forged = dataclasses.replace(report.footer, verdicts=(other, better))
        with pytest.raises(RecordError, match="the verdict does not follow from the results"):
            parse([*lines[:-1], encode(forged)])
    hidden = dataclasses.replace(report.footer, verdicts=(other,))
    with pytest.raises(RecordError, match="no verdict on reference"):
        parse([*lines[:-1], encode(hidden)])


def test_a_result_that_cannot_be_recorded_is_an_error_of_the_harness(result, report):
    with pytest.raises(RecordError, match=r"valid result: \$.duration"):
        encode(result(1, "passed", duration=-1.0))
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        encode(result(1, "passed", duration=float("inf")))
    with pytest.raises(RecordError, match=r"valid header: \$.started"):
        encode(dataclasses.replace(report.header, started="yesterday"))


def test_an_unreadable_file_is_no_traceback(tmp_path):
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(RecordError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_a_killed_writer_leaves_whole_lines(report, tmp_path):
    """SIGKILL after a result: what was found is there, and it is known not to be all."""
    path = tmp_path / "report.jsonl"
    path.write_bytes(encode(report.header))
    program = (
        "import os, pathlib, sys\n"
        "from conformance.report.jsonl import JsonLines\n"
        "from conformance.report.codec import decode\n"
        "writer = JsonLines(pathlib.Path(sys.argv[1]))\n"
        "writer.result(decode(sys.stdin.buffer.readline()))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, path], input=encode(report.results[0]), check=False, timeout=30)
    with pytest.raises(MissingFooter) as caught:
        read(path)
    assert [r.requirement for r in caught.value.results] == ["SPLIT-001"]


def test_environment_names_no_machine_and_dates_fit_the_schema(report):
    assert set(environment()) == {"python", "platform"}
    assert len(environment()["platform"].split()) == 2
    encode(dataclasses.replace(report.header, started=now()))


def test_counts_are_by_outcome(report):
    assert report.footer.counts[Outcome.PASSED] == 2
    assert sum(report.footer.counts.values()) == len(report.results)
