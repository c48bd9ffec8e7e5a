"""The testbed's steps and its process 1, without namespaces: what a failure shows, what is started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import testbed
from conformance.cluster import ClusterError
from conformance.waiting import NotConverged, NotYet, eventually
from testbed import build, cgroups, holder, images, node, ready, refusal
from testbed.errors import RefusedError, TestbedError
from testbed.layout import Layout
from testbed.machine import Machine
from testbed.steps import Steps, components, tail

NOTHING = Machine({})


@pytest.fixture
def layout(tmp_path):
    layout = Layout(cache=tmp_path, interface="no-such-link", cgroup="mesh-conformance-no-such-cgroup")
    layout.logs.mkdir(parents=True)
    layout.signs.mkdir()
    return layout


def fail(layout, error, *, log="kubelet"):
    with pytest.raises(TestbedError) as raised, Steps(layout, print).step("starting", log=log):
        raise error
    return str(raised.value)


@pytest.mark.parametrize("error", [
    TestbedError("why"), ClusterError("reading", "why"), OSError("why"), subprocess.SubprocessError("why"),
    NotConverged("it", 1.0, 1, "why"),
])
def test_a_step_that_fails_says_which_and_shows_the_end_of_its_log(layout, error):
    (layout.logs / "kubelet.log").write_text("".join(f"line {number}\n" for number in range(30)))
    found = fail(layout, error)
    assert found.startswith("starting: ")
    assert "why" in found
    assert found.endswith("kubelet.log:\n" + "\n".join(f"    line {number}" for number in range(10, 30)))


def test_a_step_shows_the_log_of_what_has_ended(layout):
    (layout.logs / "kubelet.log").write_text("well\n")
    (layout.logs / "etcd.log").write_text("no space left\n")
    layout.components.write_text(json.dumps({"kubelet": {"pid": 3, "ended": 0}, "etcd": {"pid": 0, "ended": 2}}))
    assert fail(layout, TestbedError("no answer")).endswith("etcd.log:\n    no space left")


def test_a_step_without_a_log_says_what_failed(layout):
    assert fail(layout, TestbedError("no answer")) == "starting: no answer"
    assert tail(layout.logs / "none.log", 3) == ""


def test_steps_are_told_with_their_time(layout):
    told = []
    with Steps(layout, told.append).step("starting", "started"):
        pass
    assert told == ["  0.0 s  started"]


def test_a_fault_of_this_program_is_not_dressed_up(layout):
    with pytest.raises(ZeroDivisionError), Steps(layout, print).step("starting"):
        1 / 0  # noqa: B018


# --- process 1 ---


@pytest.fixture
def supervised(layout):
    """Starts process 1's supervisor with components that are shell scripts; gives a function for it."""
    started = []

    def start(**scripts):
        plan = {"signs": str(layout.signs), "logs": str(layout.logs), "record": str(layout.components),
                "environment": {"PATH": os.environ["PATH"]},
                "components": [{"name": name, "arguments": _words(script), "after": "network"}
                               for name, script in scripts.items()]}
        layout.plan.write_text(json.dumps(plan))
        code = ("import json, sys; sys.path.insert(0, sys.argv[1]); import init; "
                "init.Supervisor(json.load(open(sys.argv[2]))).run()")
        with (layout.logs / "init.log").open("w") as log:
            started.append(subprocess.Popen(
                [sys.executable, "-c", code, str(Path(testbed.__file__).parent), str(layout.plan)],
                stdout=log, start_new_session=True,
            ))

    yield start
    for process in started:
        pids = [component["pid"] for component in components(layout).values()]
        process.kill()
        process.wait()
        for pid in filter(None, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _words(script):
    return script if isinstance(script, list) else ["sh", "-c", script]


def there(layout, name, condition):
    def look():
        found = components(layout).get(name)
        if not found or not condition(found):
            raise NotYet(str(found))
        return found

    return eventually(look, what=name, within=15, consecutive=1).last


def test_a_component_waits_for_its_sign_and_writes_its_log(layout, supervised):
    supervised(web="echo it began; exec sleep 60")
    time.sleep(0.5)
    assert components(layout) == {}
    (layout.signs / "network").touch()
    there(layout, "web", lambda found: found["pid"] > 0)
    eventually(lambda: (layout.logs / "web.log").read_text() == "it began\n", what="its log", within=10)


def test_a_component_that_ends_is_started_again(layout, supervised):
    (layout.signs / "network").touch()
    supervised(web="exec sleep 60")
    first = there(layout, "web", lambda found: found["pid"] > 0)["pid"]
    os.kill(first, signal.SIGKILL)
    second = there(layout, "web", lambda found: found["pid"] not in (0, first))
    assert second["ended"] == 1
    assert "web ended with -9" in (layout.logs / "init.log").read_text()


def test_a_component_that_is_stopped_stays_so_until_its_sign_is_gone(layout, supervised):
    (layout.signs / "network").touch()
    supervised(web="exec sleep 60")
    there(layout, "web", lambda found: found["pid"] > 0)
    (layout.signs / "stopped-web").touch()
    there(layout, "web", lambda found: found["pid"] == 0)
    time.sleep(1.5)
    assert components(layout)["web"]["pid"] == 0
    (layout.signs / "stopped-web").unlink()
    there(layout, "web", lambda found: found["pid"] > 0)


def test_a_component_that_cannot_be_started_is_tried_again_and_said(layout, supervised, tmp_path):
    (layout.signs / "network").touch()
    program = tmp_path / "later"
    supervised(web=[str(program)])
    there(layout, "web", lambda found: found["ended"] >= 1)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    there(layout, "web", lambda found: found["pid"] > 0)
    assert "web cannot be started: [Errno 2]" in (layout.logs / "init.log").read_text()


# --- up and down ---


@pytest.fixture
def can_run(monkeypatch, layout):
    """A machine that may run it, with everything built."""
    layout.signs.rmdir()
    layout.logs.rmdir()
    layout.state.rmdir()
    monkeypatch.setattr(refusal, "reasons", lambda _layout: iter(()))
    monkeypatch.setattr(refusal, "plugins", lambda: Path("/usr/lib/cni"))
    monkeypatch.setattr(build, "binaries", lambda _progress: build.Binaries(*[Path("/bin/false")] * 4))
    monkeypatch.setattr(images, "archives", lambda _binaries, _progress: [])
    monkeypatch.setattr(cgroups, "hierarchies", list)
    monkeypatch.setattr(Machine, "read", classmethod(lambda _cls, _layout: NOTHING))
    return layout


def test_a_start_that_fails_leaves_nothing_but_its_logs(can_run, monkeypatch):
    monkeypatch.setattr(holder, "_ENVIRONMENT", {"PATH": "/bin:/usr/bin"})
    monkeypatch.setattr(holder.sys, "executable", "/bin/false")
    with pytest.raises(TestbedError, match="making the node's namespaces: the node has ended"):
        node.up(can_run, print)
    assert not can_run.state.exists()
    assert (can_run.last_logs / "init.log").exists()


def test_a_registry_that_refuses_is_passed_on(can_run, monkeypatch):
    def refused(_progress):
        raise RefusedError("no such module")

    monkeypatch.setattr(build, "binaries", refused)
    with pytest.raises(RefusedError):
        node.up(can_run, print)


def test_what_a_killed_testbed_has_left_is_removed_first(can_run, monkeypatch):
    can_run.state.mkdir()
    (can_run.state / "old").touch()
    started = []
    monkeypatch.setattr(node, "_start", lambda layout, *_: started.append((layout.state / "old").exists()))
    told = []
    node.up(can_run, told.append)
    assert started == [False]
    assert told == ["removing what a testbed that was killed has left"]


def test_down_says_what_is_left(can_run, monkeypatch):
    monkeypatch.setattr(node, "_start", lambda *_: None)
    monkeypatch.setattr(node, "_SETTLE", 0.3)
    node.up(can_run, print)
    monkeypatch.setattr(Machine, "read", classmethod(lambda _cls, _layout: Machine({"route": frozenset({"r"})})))
    assert node.down(can_run, print) == ["route left: r"]
    assert not can_run.state.exists()


def test_down_twice_is_fine(can_run):
    assert node.down(can_run, print) == []


def test_down_without_knowing_what_was_before_removes_all_the_same(can_run):
    can_run.state.mkdir()
    told = []
    assert node.down(can_run, told.append) == []
    assert "what the machine was like before is not known" in told[0]
    assert not can_run.state.exists()


def test_two_commands_at_once_are_refused(layout):
    with node.alone(layout), pytest.raises(TestbedError, match="another command is starting or ending"), \
            node.alone(layout):
        pass


def test_a_node_that_has_ended_is_not_waited_for(layout):
    with pytest.raises(TestbedError, match="the node has ended"):
        ready.answers(layout)
    child = os.posix_spawnp("true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    with pytest.raises(TestbedError, match="the node has ended"):
        holder.arranged(layout, child)
    os.waitpid(child, 0)


def test_a_node_that_has_just_begun_is_waited_for(layout):
    """Whatever its arguments: between its start and its program it has none."""
    child = os.posix_spawnp("sleep", ["sleep", "60"], {})
    try:
        assert not holder.arranged(layout, child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize(("conditions", "reason"), [
    ([], "its kubelet has said nothing yet"),
    ([{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "no network"}],
     "KubeletNotReady: no network"),
])
def test_a_node_that_is_not_ready_says_why(layout, conditions, reason):
    class Fake:
        def get(self, *_):
            return {"status": {"conditions": conditions}}

    with pytest.raises(NotYet, match=reason):
        ready.node_ready(layout, Fake())


def test_coredns_that_cannot_start_says_why():
    class Fake:
        def get(self, *_):
            return {"status": {}}

        def list(self, *_):
            waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "no image"}}
            return [{"status": {"containerStatuses": [{"state": waiting}]}}], ""

    with pytest.raises(NotYet, match="ErrImageNeverPull: no image"):
        ready.resolves(Fake())
