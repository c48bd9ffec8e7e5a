"""Where the testbed refuses to run, and what it tells to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from testbed import node, processes, refusal
from testbed.errors import TestbedError
from testbed.layout import Layout


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A machine on which nothing is in the way; tests put it there."""
    monkeypatch.setattr(refusal.os, "geteuid", lambda: 0)
    monkeypatch.setattr(refusal, "missing_packages", tuple)
    monkeypatch.setattr(refusal, "destinations", lambda: iter([("192.0.2.0/24", "eth0"), ("10.0.0.7", "eth0")]))
    monkeypatch.setattr(processes, "processes", lambda: iter(()))
    monkeypatch.setattr(refusal, "_available", lambda: 16 * 1024**3)
    monkeypatch.setattr(refusal.shutil, "disk_usage", lambda _place: SimpleNamespace(free=100 * 1024**3))
    monkeypatch.setattr(refusal, "_LONGEST", 200)  # what tests write to has a long name itself
    return Layout(cache=tmp_path / "not-there" / "testbed", interface="no-such-link")


def reasons(layout):
    return list(refusal.reasons(layout))


def test_a_machine_with_nothing_in_the_way(layout):
    assert reasons(layout) == []


def test_another_system(layout, monkeypatch):
    monkeypatch.setattr(refusal.sys, "platform", "darwin")
    assert reasons(layout) == ["it takes Linux, and this is darwin"]


def test_without_root(layout, monkeypatch):
    monkeypatch.setattr(refusal.os, "geteuid", lambda: 1000)
    assert "it takes root" in reasons(layout)[0]
    with pytest.raises(TestbedError, match=r"the testbed cannot run here: it takes root, .* run it with sudo"):
        node.up(layout, print)
    assert not layout.cache.exists()


def test_without_the_packages(layout, monkeypatch):
    monkeypatch.setattr(refusal, "missing_packages", lambda: ("containerd", "runc"))
    expected = "packages are missing: apt-get install --no-install-recommends containerd runc"
    assert reasons(layout) == [expected]


def test_which_packages_are_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("ctr", "runc") else f"/bin/{name}")
    monkeypatch.setattr(refusal, "_PLUGINS", (str(tmp_path),))
    assert refusal.missing_packages() == ("containerd", "containernetworking-plugins", "runc")
    for name in ("bridge", "host-local", "loopback", "portmap"):
        (tmp_path / name).touch()
    assert refusal.plugins() == tmp_path
    assert refusal.missing_packages() == ("containerd", "runc")


@pytest.mark.parametrize("hidden", ["/run", "/var/lib", "/var/log"])
def test_a_cache_that_the_node_could_not_see(layout, hidden):
    elsewhere = Layout(cache=Path(hidden) / "cache" / "testbed", interface=layout.interface)
    expected = f"{hidden}/cache/testbed is below {hidden}, which the node has to itself: name another directory in"
    assert expected in reasons(elsewhere)[0]


def test_a_path_too_long_for_a_socket(layout):
    found = reasons(Layout(cache=Path("/srv") / ("x" * 190), interface=layout.interface))
    assert "too long for sockets below it: name another directory" in found[0]


@pytest.mark.parametrize("name", ["kubelet", "containerd", "dockerd", "k3s-server"])
def test_another_container_runtime_or_node(layout, monkeypatch, name):
    monkeypatch.setattr(processes, "processes", lambda: iter([processes.Process(77, 1, 5, name)]))
    assert reasons(layout) == [f"{name} runs on this machine (pid 77) and would be disturbed: stop it first"]


def test_a_testbed_that_is_up(layout, monkeypatch):
    up = processes.Process(77, 1, 5, "unshare", ("unshare", str(layout.plan)))
    kubelet = processes.Process(78, 77, 6, "kubelet")
    monkeypatch.setattr(processes, "processes", lambda: iter([up, kubelet]))
    assert reasons(layout) == [
        "a testbed is up (pid 77): look at it with `python -m testbed status`, end it with `down`"
    ]


@pytest.mark.parametrize(("destination", "network"), [
    ("10.250.0.0/16", "10.250.0.0/30"), ("10.244.0.5", "10.244.0.0/24"), ("10.96.0.0/12", "10.96.0.0/16"),
])
def test_addresses_that_are_in_use(layout, monkeypatch, destination, network):
    monkeypatch.setattr(refusal, "destinations", lambda: iter([(destination, "tun0")]))
    assert reasons(layout) == [f"the testbed's addresses {network} are in use here: {destination} goes to tun0"]


def test_the_link_of_a_testbed_elsewhere(layout):
    found = reasons(Layout(cache=layout.cache, interface="lo"))
    assert len(found) == 1
    assert found[0].endswith("interface lo, of a testbed with another cache: "
                             "run `python -m testbed down` with its MESH_CONFORMANCE_CACHE")


def test_what_a_killed_testbed_has_left_is_no_reason(layout):
    killed = Layout(cache=layout.cache, interface="lo")
    killed.state.mkdir(parents=True)
    assert reasons(killed) == []


def test_no_room(layout, monkeypatch):
    monkeypatch.setattr(refusal.shutil, "disk_usage", lambda _place: SimpleNamespace(free=1024**3))
    monkeypatch.setattr(refusal, "_available", lambda: 1024**3 // 2)
    disk, memory = reasons(layout)
    assert disk.endswith("has 1.0 GiB free, and it takes 4: make room")
    assert memory == "0.5 GiB of memory are free, and it takes 2: make room"


def test_the_real_machine_can_be_asked(tmp_path):
    assert isinstance(list(refusal._room(Layout(cache=tmp_path))), list)
    assert refusal._available() > 0
    assert os.geteuid() >= 0
