"""What the testbed does with `ctr`, `ip` and the environment: scripts stand in for the programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed import cgroups, holder, node, processes, ready
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.processes import Process

INIT = Process(12, 11, 5, "python", ("init.py",))


@pytest.fixture
def layout(tmp_path, monkeypatch):
    layout = Layout(cache=tmp_path, interface="no-such-link", cgroup="mesh-conformance-no-such-cgroup")
    layout.state.mkdir()
    monkeypatch.setattr(holder, "init", lambda _layout: INIT)
    monkeypatch.setattr(cgroups, "hierarchies", list)
    return layout


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script in a program's place; gives the file that each call adds its arguments to."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def install(name, script):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{script}')
        (tmp_path / name).chmod(0o755)
        return tmp_path / "calls"

    return install


def test_an_image_is_imported_once(layout, program):
    calls = program("ctr", "")
    node.load(layout, [Path("/images/a.tar"), Path("/images/b.tar")], print)
    node.load(layout, [Path("/images/a.tar"), Path("/images/c.tar")], print)
    imported = [line.split()[-1] for line in calls.read_text().splitlines() if " images import " in line]
    assert imported == ["/images/a.tar", "/images/b.tar", "/images/c.tar"]


def test_an_image_that_cannot_be_imported_is_named_with_containerds_log(layout, program):
    program("ctr", 'case "$*" in *import*) echo "no such layer" >&2; exit 1;; esac')
    layout.logs.mkdir()
    (layout.logs / "containerd.log").write_text("level=error\n")
    with pytest.raises(TestbedError, match=r"(?s)importing images: importing a.tar: no such layer\n.*level=error"):
        node.load(layout, [Path("/images/a.tar")], print)
    assert not (layout.imported / "a.tar").exists()


def test_a_containerd_that_does_not_answer_is_not_waited_for_without_a_node(layout, program, monkeypatch):
    program("ctr", "exit 1")
    monkeypatch.setattr(holder, "init", lambda _layout: None)
    with pytest.raises(TestbedError, match="the node has ended"):
        node.load(layout, [], print)


def test_a_containerd_that_does_not_answer_is_waited_for_in_vain(layout, program, monkeypatch):
    program("ctr", "echo not yet >&2; exit 1")
    monkeypatch.setattr(node, "_START", 0.3)
    with pytest.raises(TestbedError, match=r"for containerd, looked .*; last: not yet"):
        node.load(layout, [], print)


def test_the_link_is_made_and_routed(layout, program):
    calls = program("ip", "")
    holder.link(layout, INIT)
    assert calls.read_text().splitlines() == [
        "link add no-such-link type veth peer name node0 netns 12",
        "address add 10.250.0.2/30 dev no-such-link",
        "link set no-such-link up",
        "route add 10.244.0.0/24 via 10.250.0.1",
        "route add 10.96.0.0/16 via 10.250.0.1",
    ]


def test_a_link_that_cannot_be_made_says_how_it_was_tried(layout, program):
    program("ip", "echo Operation not permitted >&2; exit 2")
    with pytest.raises(TestbedError, match=r"ip link add no-such-link .*: Operation not permitted"):
        holder.link(layout, INIT)


def test_a_process_that_does_not_end_is_named(layout, monkeypatch):
    stuck = Process(77, 1, 5, "unshare", (str(layout.plan),))
    monkeypatch.setattr(processes, "with_argument", lambda _argument: [stuck])
    monkeypatch.setattr(processes, "kill", lambda _process: None)
    monkeypatch.setattr(processes, "alive", lambda _process: True)
    monkeypatch.setattr(holder, "_PATIENCE", 0.1)
    with pytest.raises(TestbedError, match=r"ending the node: process 77 \(unshare\) does not end"):
        holder.end(layout)


def test_a_cgroup_that_stays_in_use_is_named(layout, monkeypatch):
    monkeypatch.setattr(cgroups, "remove", lambda _layout, _places: [Path("/sys/fs/cgroup/cpu/x")])
    monkeypatch.setattr(holder, "_PATIENCE", 0.1)
    with pytest.raises(TestbedError, match="removing the node's cgroups: /sys/fs/cgroup/cpu/x is still in use"):
        holder.end(layout)


def test_a_state_that_cannot_be_removed_is_named(layout, monkeypatch):
    def busy(_path):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(node.shutil, "rmtree", busy)
    with pytest.raises(TestbedError, match=r"removing .*/run: .*Device or resource busy"):
        node.down(layout, print)


def test_the_way_to_its_api_server_takes_no_proxy(layout, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    seen = []
    monkeypatch.setattr(ready.Cluster, "from_kubeconfig", lambda _path: seen.append(dict(os.environ)))
    ready.cluster(layout)
    assert seen[0]["no_proxy"] == seen[0]["NO_PROXY"] == "10.250.0.1"
    assert os.environ["NO_PROXY"] == "example.org"
    assert "no_proxy" not in os.environ
