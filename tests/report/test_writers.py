"""The writers together: what they leave behind, and what happens when they cannot write."""

import errno
import io
import os
from pathlib import Path

import pytest

from conformance.report.record import read
from conformance.report.writers import FORMATS, Writers, clear, writers
from conformance.report.writing import ReportError
from conformance.writing import write_whole


class Recorder:
    """A writer that keeps what it is told, and fails when asked to."""

    target = "a recorder"

    def __init__(self, error=None):
        self.told = []
        self.error = error

    def _tell(self, event):
        self.told.append(event)
        if self.error:
            raise self.error

    start = result = finish = _tell


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_all_formats_are_written_from_one_stream(report, run, tmp_path):
    stream = io.StringIO()
    run(writers(tmp_path / "deep" / "report", stream=stream), report)
    assert names(tmp_path / "deep" / "report") == [
        "allure-results", "junit.xml", "report.html", "report.jsonl", "summary.md",
    ]
    assert read(tmp_path / "deep" / "report" / "report.jsonl").footer == report.footer
    assert "SPLIT-003 violated by reference" in stream.getvalue()


def test_an_earlier_runs_files_are_cleared_whatever_their_format_and_no_others(report, run, tmp_path):
    clear(tmp_path / "none")
    run(writers(tmp_path), report)
    (tmp_path / "mine.txt").write_text("mine")
    clear(tmp_path)
    assert names(tmp_path) == ["allure-results", "mine.txt"], "Allure's directory keeps its history"


@pytest.mark.parametrize("name", FORMATS)
def test_formats_can_be_chosen(report, run, tmp_path, name):
    run(writers(tmp_path, [name]), report)
    assert len(names(tmp_path)) == 1


def test_a_second_run_replaces_the_first(report, report_of, result, run, tmp_path):
    run(writers(tmp_path), report)
    run(writers(tmp_path), report_of([result(1, "passed")]))
    assert len(read(tmp_path / "report.jsonl").results) == 1
    assert len(list((tmp_path / "allure-results").glob("*-result.json"))) == 1
    assert "SPLIT-003" not in (tmp_path / "summary.md").read_text()


def test_no_directory_means_no_files(report, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(writers(None), report)
    assert names(tmp_path) == []


def test_unknown_format(tmp_path):
    with pytest.raises(ReportError, match="no report format is called 'pdf'; use jsonl, summary"):
        writers(tmp_path, ["jsonl", "pdf"])


def test_what_arrives_at_a_writer_is_clean(result, report):
    recorder = Recorder()
    every = Writers([recorder])
    every.start(report.header)
    every.result(result(1, "failed", mesh="m\x07", message="\x1b[31m Authorization: Bearer abcdefghijklmnop"))
    assert recorder.told[1].mesh == r"m\x07"
    assert recorder.told[1].message == r"\x1b[31m Authorization: Bearer [redacted: token]"


def test_a_file_in_the_way_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("mine")
    for directory in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(
            ReportError, match=r"the report directory .*a? ?file; choose another directory with --report"
        ):
            writers(directory)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_without_permission(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    # Refused by hand, because root may write everywhere.
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(ReportError, match="permission denied; choose a directory of your own"):
        writers(tmp_path / "report")


@pytest.mark.skipif(not os.access("/proc/self", os.R_OK), reason="needs a file system that refuses to write")
def test_a_directory_that_cannot_be_written_to():
    with pytest.raises(
        ReportError, match=r"the report directory /proc/self/report cannot be written to: .*--report-dir"
    ):
        writers(Path("/proc/self/report"))


def test_a_full_disk_found_out_at_the_start(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("conformance.report.writers.TemporaryFile", full)
    with pytest.raises(ReportError, match="the disk is full; free some space"):
        writers(tmp_path / "new")
    assert names(tmp_path) == [], "a directory that was made for nothing goes away"
    (tmp_path / "old").mkdir()
    with pytest.raises(ReportError):
        writers(tmp_path / "old")
    assert names(tmp_path) == ["old"], "one that was there stays"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device
def test_a_disk_that_fills_up_during_the_run(report, tmp_path):
    every = writers(tmp_path)
    (tmp_path / "report.jsonl").symlink_to("/dev/full")
    with pytest.raises(ReportError, match=r"report.jsonl: the disk is full"):
        every.start(report.header)
    for result in report.results:
        every.result(result)
    every.finish(report.footer)
    assert (tmp_path / "junit.xml").exists(), "the other reports are still written"


def test_one_writer_that_fails_keeps_no_other_from_writing(report):
    broken, sound = Recorder(OSError(errno.EROFS, "read-only")), Recorder()
    every = Writers([broken, sound])
    with pytest.raises(ReportError, match="a recorder: the file system is read-only"):
        every.start(report.header)
    every.result(report.results[0])
    assert (len(broken.told), len(sound.told)) == (1, 2)


def test_a_result_that_cannot_be_recorded_is_a_report_error(result, report, tmp_path):
    every = writers(tmp_path, ["jsonl"])
    every.start(report.header)
    with pytest.raises(ReportError, match=r"report.jsonl: .*duration"):
        every.result(result(1, "passed", duration=-1.0))


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page"
    write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "x" * 100_000 + "\ud800")
    assert path.read_text() == "first"
    assert names(tmp_path) == ["page"]
