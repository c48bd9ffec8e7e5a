"""The testbed's command line: exit codes, what it says, and that `run` always ends with `down`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time

import pytest

from testbed import __main__ as command
from testbed import build, node
from testbed.errors import RefusedError, TestbedError


@pytest.fixture(autouse=True)
def done(monkeypatch, tmp_path):
    """Takes the place of up and down; gives what was done."""
    monkeypatch.setenv("MESH_CONFORMANCE_CACHE", str(tmp_path))
    done = []
    monkeypatch.setattr(node, "up", lambda _layout, _progress: done.append("up"))
    monkeypatch.setattr(node, "down", lambda _layout, _progress: done.append("down") or [])
    return done


def fails_with(error):
    def function(*_):
        raise error

    return function


def python(code):
    return ["run", "--", sys.executable, "-c", code]


def test_up_prints_where_the_kubeconfig_is(done, capsys, tmp_path):
    assert command.main(["up"]) == 0
    assert capsys.readouterr().out == f"{tmp_path.resolve()}/testbed/run/kubeconfig\n"


@pytest.mark.parametrize(("error", "code"), [(TestbedError("no"), 1), (RefusedError("no"), 4)])
def test_what_fails_is_said_and_is_an_exit_code(done, monkeypatch, capsys, error, code):
    monkeypatch.setattr(node, "up", fails_with(error))
    assert command.main(["up"]) == code
    assert capsys.readouterr().err == "testbed: no\n"


def test_down_fails_when_something_is_left(done, monkeypatch, capsys):
    monkeypatch.setattr(node, "down", lambda *_: ["route left: 10.96.0.0/16"])
    assert command.main(["down"]) == 3
    assert "the machine is not as it was: route left: 10.96.0.0/16" in capsys.readouterr().err


def test_run_sets_kubeconfig_alone_and_ends_with_the_commands_code(done, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("KEPT", "yes")
    assert command.main(python("import os, sys; print(os.environ['KUBECONFIG'], os.environ['KEPT']); sys.exit(7)")) == 7
    assert capfd.readouterr().out == f"{tmp_path.resolve()}/testbed/run/kubeconfig yes\n"
    assert done == ["up", "down"]


def test_run_ends_with_what_is_left_rather_than_with_the_commands_code(done, monkeypatch):
    monkeypatch.setattr(node, "down", lambda *_: ["route left: r"])
    assert command.main(python("raise SystemExit(0)")) == 3
    assert command.main(python("raise SystemExit(7)")) == 3


def test_run_does_not_run_anything_when_up_fails(done, monkeypatch, tmp_path):
    monkeypatch.setattr(node, "up", fails_with(TestbedError("no")))
    assert command.main(python(f"open({str(tmp_path / 'ran')!r}, 'w')")) == 1
    assert not (tmp_path / "ran").exists()


def test_run_takes_it_down_when_the_command_cannot_be_run(done, capsys):
    assert command.main(["run", "--", "/no/such/program"]) == 1
    assert "running /no/such/program: No such file or directory" in capsys.readouterr().err
    assert done == ["up", "down"]


def test_run_with_a_command_that_a_signal_ends(done):
    assert command.main(python("import os; os.kill(os.getpid(), 9)")) == 128 + 9
    assert done == ["up", "down"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_run_takes_it_down_when_it_is_ended(done, tmp_path, number, code):
    began = tmp_path / "began"

    def end():
        while not began.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=end, daemon=True).start()
    try:
        found = command.main(python(f"import time; open({str(began)!r}, 'w').close(); time.sleep(60)"))
    except SystemExit as error:
        found = error.code
    assert found == code
    assert done == ["up", "down"]


def test_down_cannot_be_interrupted(done, monkeypatch):
    def interrupted(*_):
        os.kill(os.getpid(), signal.SIGINT)
        done.append("down")
        return []

    monkeypatch.setattr(node, "down", interrupted)
    assert command.main(["down"]) == 0
    assert done == ["down"]


def test_what_needs_a_testbed_says_how_to_start_it(done, monkeypatch, capsys):
    monkeypatch.setattr(build, "binaries", fails_with(AssertionError("nothing is built for that")))
    for words in (["kubeconfig"], ["images"], ["enter", "true"]):
        assert command.main(words) == 1
        assert "start it with `python -m testbed up`" in capsys.readouterr().err


def test_status_without_a_testbed(done, capsys, tmp_path):
    assert command.main(["status"]) == 1
    assert capsys.readouterr().out == "not up\n"
    (tmp_path / "testbed" / "run").mkdir(parents=True)
    assert command.main(["status"]) == 1
    assert "a testbed that was killed has left" in capsys.readouterr().out


def test_a_component_that_there_is_not(done, capsys, tmp_path):
    assert command.main(["stop", "kubelt"]) == 1
    assert "no component 'kubelt' runs; there are: none" in capsys.readouterr().err


def test_components_are_stopped_and_started_by_a_sign(done, tmp_path):
    layout = command.Layout()
    layout.signs.mkdir(parents=True)
    layout.components.write_text('{"kubelet": {"pid": 3, "ended": 0}}')
    assert command.main(["stop", "kubelet"]) == 0
    assert (layout.signs / "stopped-kubelet").exists()
    assert command.main(["start", "kubelet"]) == 0
    assert command.main(["start", "kubelet"]) == 0
    assert not (layout.signs / "stopped-kubelet").exists()


@pytest.mark.parametrize("words", [[], ["upp"], ["up", "--fast"], ["run"], ["stop"]])
def test_usage(done, words, capsys):
    with pytest.raises(SystemExit) as raised:
        command.main(words)
    assert raised.value.code == 2
    assert "usage: python -m testbed" in capsys.readouterr().err
    assert isinstance(command.parser(), argparse.ArgumentParser)
    assert done == []
