"""Temporary directories: named, gone at the end, and swept by the next after a kill; never while their owner lives."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile

import pytest

from conformance import temporary

HOLD = """
import sys
from conformance import temporary
print(temporary.credentials(), flush=True)
(temporary.credentials() / "key").write_text("secret")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def names(place):
    return [path.name for path in place.iterdir()]


@pytest.fixture
def other(place):
    """A process that has a directory and waits."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.directory = process.stdout.readline().strip()
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_directory_is_named_private_and_gone_at_the_end(place):
    with temporary.directory("workers") as made:
        assert made.parent == place
        assert made.name.startswith("mesh-conformance-workers-")
        assert made.stat().st_mode & 0o077 == 0
        (made / "file").write_text("something")
    assert names(place) == []


def test_it_goes_with_an_error_as_well(place):
    with pytest.raises(KeyError), temporary.directory("workers"):
        raise KeyError
    assert names(place) == []


def test_what_a_process_has_goes_with_it(place, other):
    assert len(names(place)) == 1
    other.communicate("")
    assert other.returncode == 0
    assert names(place) == []


def test_what_lives_is_left_alone_and_what_was_killed_is_swept(place, other):
    with temporary.directory("own") as own:
        temporary.sweep()
        assert sorted(map(str, place.iterdir())) == sorted([str(own), other.directory])
        other.send_signal(signal.SIGKILL)
        other.wait()
        temporary.sweep()
        assert list(place.iterdir()) == [own]


def test_directories_of_others_are_left_alone(place):
    for name in ("mesh-conformance-abc", "tmpabc"):
        (place / name).mkdir()
    (place / "tmpabc" / ".owner").touch()
    temporary.sweep()
    assert sorted(names(place)) == ["mesh-conformance-abc", "tmpabc"]
