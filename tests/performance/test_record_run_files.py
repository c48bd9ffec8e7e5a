"""performance.json: whole, without loss, and safe to read from anyone. About 2 s."""

import dataclasses
import json
import math
import os
import random

import pytest
from sample_runs import figure, full_run, load, run_of

from conformance.performance import record
from conformance.performance.histogram import Histogram
from conformance.performance.model import Figure, Run
from conformance.performance.record import RecordError


@pytest.fixture(scope="module")
def run():
    return full_run()


@pytest.fixture
def document(tmp_path, run):
    path = tmp_path / "written.json"
    record.write(path, run)
    return json.loads(path.read_text())


def parse(document):
    return record.parse(json.dumps(document).encode())


def flat(run):
    """Histograms compare by what they hold."""
    return dataclasses.replace(run, results=tuple(
        dataclasses.replace(result, loads=tuple(
            dataclasses.replace(one, service=one.service.to_json(), response=one.response.to_json())
            for one in result.loads)) for result in run.results))


def test_a_run_comes_back_as_it_was(tmp_path, run):
    path = tmp_path / "performance.json"
    record.write(path, run)
    again = record.read(path)
    assert flat(again) == flat(run)
    assert again.results[0].loads[0].response.percentile(0.99) == run.results[0].loads[0].response.percentile(0.99)
    record.write(tmp_path / "again.json", again)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_an_empty_run_and_an_empty_histogram_come_back(tmp_path):
    empty = run_of("empty")
    silent = load(random.Random(1), service=Histogram(), response=Histogram(), timeline=(), requested=None)
    odd = Run(empty.header, (dataclasses.replace(empty.results[0], loads=(silent,)),))
    record.write(tmp_path / "performance.json", odd)
    assert flat(record.read(tmp_path / "performance.json")) == flat(odd)


def test_control_characters_are_spelt_out(tmp_path):
    hostile = run_of("run\x1b[2J", mesh_title="mesh\u202eevil\ud800", labels={"release": "a\x00b"})
    record.write(tmp_path / "performance.json", hostile)
    header = record.read(tmp_path / "performance.json").header
    assert (header.run, header.mesh_title, header.labels) == (
        "run\\x1b[2J", "mesh\\x202eevil\\xd800", {"release": "a\\x00b"})


@pytest.mark.parametrize("changed", [
    {"value": math.nan}, {"value": math.inf}, {"samples": (1.0, math.nan)}, {"low": math.nan, "high": 2.0},
    {"low": 3.0, "high": 2.0}, {"high": None}, {"unit": "ms"}, {"better": "up"}, {"name": "Latency!"},
])
def test_a_figure_that_cannot_be_is_not_written(tmp_path, changed):
    path = tmp_path / "performance.json"
    path.write_text("as it was")
    broken = dataclasses.replace(Figure("latency", "s", 1.0, 0.5, 2.0, 0.99, (1.0, 2.0)), **changed)
    with pytest.raises(RecordError, match=r"figures\[0\]"):
        record.write(path, run_of("run", broken))
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(tmp_path, run, monkeypatch):
    path = tmp_path / "performance.json"
    record.write(path, run_of("before"))

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        record.write(path, run)
    assert record.read(path).header.run == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path, run):
    with pytest.raises(RecordError, match=r"nowhere/performance\.json: cannot be written: No such file"):
        record.write(tmp_path / "nowhere" / "performance.json", run)


def put(document, *path, value):
    *rest, last = path
    for step in rest:
        document = document[step]
    document[last] = value


HOSTILE = [
    (("version",), 2, r"\$\.version: has version 2 and this mesh-conformance reads version 1; read it with"),
    (("format",), "fortio", "is no performance record"),
    (("header", "run"), "", r"\$\.header\.run"),
    (("header", "extra"), 1, r"\$\.header.*extra"),
    (("header", "started"), -5, r"\$\.header\.started"),
    (("header", "labels"), {"": "x"}, r"\$\.header\.labels"),
    (("header", "environment", "nodes", 0, "cores"), 1.5, r"nodes\[0\]\.cores"),
    (("results", 0, "figures", 1, "value"), "fast", r"\$\.results\[0\]\.figures\[1\]\.value"),
    (("results", 0, "figures", 1, "value"), True, r"figures\[1\]\.value"),
    (("results", 0, "figures", 1, "low"), None, "part of an interval"),
    (("results", 0, "figures", 1, "unit"), "ms", r"figures\[1\]\.unit"),
    (("results", 0, "loads", 0, "service", "count"), 3, r"loads\[0\]\.service: a histogram of 3 values"),
    (("results", 0, "loads", 0, "service", "sum"), 3, r"loads\[0\]\.service: is a histogram whose sum"),
    (("results", 0, "loads", 0, "service", "max"), 10**17, r"loads\[0\]\.service"),
    (("results", 0, "loads", 0, "response", "counts"), [["a", 1]], r"loads\[0\]\.response: no bucket"),
    (("results", 0, "loads", 0, "response", "counts"), [7], r"loads\[0\]\.response"),
    (("results", 0, "loads", 0, "timeline", 3), [1, 0, -1, 0, 0], r"timeline\[3\]"),
    (("results", 0, "loads", 0, "timeline", 3), [1, 0, True, 0, 0], r"timeline\[3\]"),
    (("results", 0, "loads", 0, "errors"), {"timeout": -1}, r"errors\.timeout"),
    (("results", 1, "probe"), "latency-overhead", "the probe latency-overhead stands twice"),
    (("results", 0, "notes"), ["x" * 20_000], r"notes\[0\]"),
]


@pytest.mark.parametrize(("path", "value", "said"), HOSTILE, ids=[f"{n}-{row[0][-1]}" for n, row in enumerate(HOSTILE)])
def test_what_is_wrong_is_named_with_its_place(document, path, value, said):
    put(document, *path, value=value)
    with pytest.raises(RecordError, match=said) as raised:
        parse(document)
    assert len(str(raised.value)) < 1500


def test_a_figure_twice_is_refused(document):
    document["results"][1]["figures"].append(document["results"][0]["figures"][0])
    with pytest.raises(RecordError, match=r"the figure latency.*stands twice"):
        parse(document)


@pytest.mark.parametrize(("data", "said"), [
    (b"", "is not JSON"),
    (b"\xff\xfe", "is not UTF-8 text at byte 0"),
    (b'{"format": "mesh-conformance/performance", "version": 1, "hea', "truncated: copy it again"),
    (b'{"format": "a", "format": "b"}', "'format' stands twice"),
    (b'{"value": NaN}', "NaN is no number"),
    (b'{"value": 1e999}', "too large"),
    (b'{"value": ' + b"9" * 5000 + b"}", "is not JSON that a record may hold"),
    (b"[" * 200_000, "is not JSON that a record may hold|is not JSON"),
    (b"[]", "is no performance record"),
    (b"null", "is no performance record"),
])
def test_what_is_no_record_is_refused(data, said):
    with pytest.raises(RecordError, match=said):
        record.parse(data)


def test_every_truncation_is_an_error(tmp_path):
    path = tmp_path / "performance.json"
    record.write(path, run_of("run", figure("latency", [1, 2, 3])))
    data = path.read_bytes()
    for length in range(0, len(data) - 2, 7):
        with pytest.raises(RecordError):
            record.parse(data[:length])


def test_a_giant_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "performance.json"
    with path.open("wb") as stream:
        stream.truncate(record.MAX_BYTES + 5)
    with pytest.raises(RecordError, match="larger than a record may be"):
        record.read(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordError, match="is no file"):
        record.read(tmp_path / "pipe")
    with pytest.raises(RecordError, match=r"absent\.json: cannot be read: No such file"):
        record.read(tmp_path / "absent.json")
