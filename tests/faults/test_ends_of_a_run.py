"""However a run ends, no process, socket or file of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conformance import temporary
from conformance.exit_code import ExitCode
from conformance.report import record


def children(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []


def run_directory(found):
    """The sandbox's directory, from the arguments of one of its pods."""
    for child in found:
        for word in child.cmdline():
            for part in Path(word).parts:
                if part.startswith("mesh-conformance-"):
                    return Path(*Path(word).parts[: Path(word).parts.index(part) + 1])
    return None


def until(condition, within):
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)
    return value


@pytest.fixture
def started(tmp_path):
    """A run in another process, caught while its checks go on: the process, its pods, its directory."""
    place = tmp_path / "temporary"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance.cli", "run", "--report-dir", str(tmp_path / "report")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    record_file = tmp_path / "report" / "report.jsonl"
    until(lambda: record_file.exists() and record_file.read_text().count("\n") >= 2, 60)
    pods = children(process)
    assert len([pod for pod in pods if pod.name() == "envoy"]) >= 5
    yield process, pods, run_directory(pods)
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


def assert_gone(pods, directory):
    until(lambda: not any(pod.is_running() and pod.status() != psutil.STATUS_ZOMBIE for pod in pods), 10)
    until(lambda: not directory.exists(), 10)
    assert not list(directory.parent.glob("mesh-conformance-*"))


def test_ctrl_c(started, tmp_path):
    process, pods, directory = started
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert_gone(pods, directory)
    report = record.read(tmp_path / "report" / "report.jsonl")
    assert report.footer.interrupted
    assert report.footer.verdicts[0].compliance != "conformant"
    assert "Traceback" not in output


def test_terminated(started):
    process, pods, directory = started
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode != ExitCode.CONFORMANT
    assert_gone(pods, directory)


def test_killed(started, tmp_path):
    process, pods, directory = started
    process.kill()
    process.wait(timeout=30)
    until(lambda: not directory.exists(), 10)
    temporary.sweep(directory.parent)  # as whoever comes next does with the files that a client's TLS took
    assert_gone(pods, directory)
    assert not list(directory.parent.iterdir())
    with pytest.raises(record.MissingFooter):
        record.read(tmp_path / "report" / "report.jsonl")
