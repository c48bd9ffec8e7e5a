"""What is read of the machine, and what a comparison says of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import machine, processes
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.machine import Machine, difference

LINKS = '[{"ifname": "lo"}, {"ifname": "eth0", "addr_info": [{"local": "192.0.2.2", "prefixlen": 24}]}]'
ROUTES = """[{"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}, {"dst": "192.0.2.0/24", "dev": "eth0"},
             {"type": "unreachable", "dst": "198.51.100.0/24", "table": "7"}]"""


def of(**facts):
    return Machine({kind.replace("_", " "): frozenset(found) for kind, found in facts.items()})


@pytest.fixture
def commands(monkeypatch):
    """What programs say, by their first words; all others say nothing."""
    said = {"ip -j link": LINKS, "ip -j address": LINKS.replace('"lo"', '"lo", "addr_info": []'),
            "ip -j -4 route": ROUTES, "ip -j -6 route": "[]"}

    def answer(*words):
        return next((text for start, text in said.items() if " ".join(words).startswith(start)), "")

    monkeypatch.setattr(machine, "_said", answer)
    return said


def test_nothing_changed():
    assert difference(of(route=["a", "b"]), of(route=["b", "a"])) == []


def test_what_is_left_and_what_has_gone_is_named():
    found = difference(of(route=["a"], mount=["m"]), of(route=["b"], mount=["m"], packet_filter_rule=["r"]))
    assert found == ["packet filter rule left: r", "route left: b", "route gone: a"]


def test_a_kind_that_only_one_of_them_has_is_compared():
    assert difference(of(route=["a"]), of()) == ["route gone: a"]


def test_it_is_kept_in_a_file(tmp_path):
    found = of(route=["a", "b"], mount=[])
    found.save(tmp_path / "machine.json")
    assert Machine.load(tmp_path / "machine.json") == found


@pytest.mark.parametrize("text", ["", "[]", '{"route": 1}'])
def test_a_file_that_holds_no_machine_is_an_error(tmp_path, text):
    (tmp_path / "machine.json").write_text(text)
    with pytest.raises((ValueError, TypeError)):
        Machine.load(tmp_path / "machine.json")


def test_everything_is_read(commands, tmp_path):
    facts = Machine.read(Layout(cache=tmp_path)).facts
    assert facts["interface"] == {"lo", "eth0"}
    assert facts["address"] == {"192.0.2.2/24 on eth0"}
    assert "192.0.2.0/24 by eth0 via link in table main" in facts["route"]
    assert "198.51.100.0/24 by none via link in table 7" in facts["route"]
    assert any(" on / from " in mount for mount in facts["mount"])
    assert any(setting.startswith("vm/overcommit_memory = ") for setting in facts["setting"])


def test_rules_are_compared_without_their_counters(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: name if name == "iptables-save" else None)
    texts = ["# Generated at 1\n*nat\n:INPUT ACCEPT [1:2]\n-A INPUT -j ACCEPT\nCOMMIT\n",
             "# Generated at 2\n*nat\n:INPUT ACCEPT [3:4]\n-A INPUT -j ACCEPT\nCOMMIT\n",
             "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n"]
    read = []
    for commands["iptables-save"] in texts:
        read.append(Machine.read(Layout(cache=tmp_path)).facts["packet filter rule"])
    assert read[0] == read[1] != read[2], "the same rule in another table is another rule"
    assert "iptables-save: *nat: -A INPUT -j ACCEPT" in read[0]


def test_what_the_testbed_leaves_is_seen(commands, tmp_path):
    layout = Layout(cache=tmp_path)
    before = Machine.read(layout)
    layout.state.mkdir()
    child = subprocess.Popen([sys.executable, "-c", "input()", str(layout.plan)], stdin=subprocess.PIPE)
    try:
        left = difference(before, Machine.read(layout))
    finally:
        child.communicate(b"\n")
    assert any(f"(pid {child.pid}, " in found for found in left)
    assert f"file left: {layout.state}" in left


def test_a_program_that_fails_is_an_error(monkeypatch, tmp_path):
    for name in ("ip", "nft"):
        (tmp_path / name).write_text("#!/bin/sh\necho not permitted >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TestbedError, match=r"looking at the machine with ip -j link: not permitted"):
        Machine.read(Layout(cache=tmp_path))


def test_a_process_is_found_by_an_argument_that_is_exactly_so(tmp_path):
    name = str(tmp_path / "plan.json")
    exact = subprocess.Popen([sys.executable, "-c", "input()", name], stdin=subprocess.PIPE)
    longer = subprocess.Popen([sys.executable, "-c", "input()", name + "x"], stdin=subprocess.PIPE)
    try:
        assert [found.pid for found in processes.with_argument(name)] == [exact.pid]
        processes.kill(processes.with_argument(name)[0])
        assert exact.wait(10) == -signal.SIGKILL
        assert longer.poll() is None
    finally:
        longer.communicate(b"\n")
        exact.kill()
    assert processes.with_argument(name) == []


def test_a_process_whose_number_is_anothers_by_now_is_left_alone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = processes.read(child.pid)
        assert found is not None
        earlier = processes.Process(found.pid, found.parent, found.started - 1, found.name)
        processes.kill(earlier)
        assert not processes.alive(earlier)
        assert processes.alive(found)
    finally:
        child.communicate(b"\n")


def test_a_name_with_spaces_and_brackets_is_read(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text("7 (a) b (c) S 3 " + " ".join("0" for _ in range(17)) + " 99 0")
    (tmp_path / "7" / "cmdline").write_bytes(b"a\0b c\0")
    assert processes.read(7, Path(tmp_path)) == processes.Process(7, 3, 99, "a) b (c", ("a", "b c"))
