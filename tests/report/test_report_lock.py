"""Two runs at once: the second is told, and a run that is dead holds nothing."""

import subprocess
import sys

import pytest

from conformance.cli import main
from conformance.report.lock import DirectoryLock
from conformance.report.writing import ReportError

HOLD = """
import sys
from pathlib import Path
from conformance.report.lock import DirectoryLock
held = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_directory_is_written_by_one_run_at_a_time(tmp_path):
    held = DirectoryLock(tmp_path / "report")
    with pytest.raises(ReportError, match="in use by another run; wait until it has ended, or choose another"):
        DirectoryLock(tmp_path / "report")
    DirectoryLock(tmp_path / "other").release()
    held.release()
    held.release()
    DirectoryLock(tmp_path / "report").release()
    assert list((tmp_path / "report").iterdir()) == []


def test_a_killed_run_holds_no_directory(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"held\n"
        with pytest.raises(ReportError, match="in use"):
            DirectoryLock(tmp_path)
        run.kill()
        run.wait()
        DirectoryLock(tmp_path).release()


def test_what_is_no_directory_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ReportError, match="it is a file"):
        DirectoryLock(tmp_path / "file")


def test_a_run_is_refused_a_directory_in_use(tmp_path, capfd):
    """Through the command: nothing is run, and what the other run writes is left alone."""
    (tmp_path / "report.jsonl").write_text("the other run's")
    held = DirectoryLock(tmp_path)
    try:
        assert main(["run", "--requirement", "CRD-001", "--report-dir", str(tmp_path)]) != 0
    finally:
        held.release()
    told = "".join(capfd.readouterr())
    assert "in use by another run" in told
    assert (tmp_path / "report.jsonl").read_text() == "the other run's"
