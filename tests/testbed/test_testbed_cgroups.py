"""The node's cgroups, in directories that look like those of the kernel."""

from __future__ import annotations

import pytest

from testbed import cgroups
from testbed.layout import Layout


@pytest.fixture
def layout(tmp_path):
    layout = Layout(cache=tmp_path)
    layout.state.mkdir()
    return layout


@pytest.fixture
def second(tmp_path):
    """A hierarchy of version 2 whose parent passes on memory only."""
    place = tmp_path / "cgroup"
    place.mkdir()
    (place / "cgroup.controllers").write_text("cpuset cpu memory\n")
    (place / "cgroup.subtree_control").write_text("memory\n")
    return place


def test_hierarchies_of_both_versions_are_found(tmp_path):
    (tmp_path / "mountinfo").write_text(
        "30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n"
        "32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n"
    )
    assert [str(place) for place in cgroups.hierarchies(tmp_path / "mountinfo")] == [
        "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"
    ]


def test_controllers_that_are_missing_are_passed_on_and_taken_back(layout, second):
    cgroups.make(layout, [second])
    assert (second / layout.cgroup).is_dir()
    assert (second / "cgroup.subtree_control").read_text() == "+cpu +cpuset"
    (second / layout.cgroup / "kubepods" / "pod1").mkdir(parents=True)
    assert cgroups.remove(layout, [second]) == []
    assert not (second / layout.cgroup).exists()
    assert (second / "cgroup.subtree_control").read_text() == "-cpu -cpuset"


def test_a_hierarchy_of_version_1_has_nothing_to_pass_on(layout, tmp_path):
    place = tmp_path / "cpu"
    place.mkdir()
    cgroups.make(layout, [place])
    assert cgroups.remove(layout, [place]) == []
    assert list(place.iterdir()) == []


def test_beside_hierarchies_of_version_1_nothing_is_passed_on(layout, second, tmp_path):
    (tmp_path / "cpu").mkdir()
    cgroups.make(layout, [tmp_path / "cpu", second])
    assert (second / layout.cgroup).is_dir()
    assert (second / "cgroup.subtree_control").read_text() == "memory\n"


def test_what_is_still_in_use_is_told_and_nothing_is_taken_back_before(layout, second):
    cgroups.make(layout, [second])
    (second / layout.cgroup / "busy").mkdir()
    (second / layout.cgroup / "busy" / "process").touch()
    assert cgroups.remove(layout, [second]) == [second / layout.cgroup / "busy", second / layout.cgroup]
    assert (second / "cgroup.subtree_control").read_text().startswith("+")
    (second / layout.cgroup / "busy" / "process").unlink()
    assert cgroups.remove(layout, [second]) == []
    assert (second / "cgroup.subtree_control").read_text().startswith("-")


def test_what_is_passed_on_is_compared(layout, second, monkeypatch):
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [second])
    (second / "system.slice").mkdir()
    before = set(cgroups.facts(layout))
    assert before == {f"{second}/system.slice", f"{second} passes on memory"}
    cgroups.make(layout, [second])
    assert set(cgroups.facts(layout)) - before == {f"{second}/{layout.cgroup}", f"{second} passes on +cpu +cpuset"}
