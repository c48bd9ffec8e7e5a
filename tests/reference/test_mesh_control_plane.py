"""The control plane: from list and watch to files and events, through faults of the API server."""

from __future__ import annotations

import json
import os
import stat
import time

import pytest
from mesh_cluster import FakeCluster, pod, refused, service, slice_of, split
from plane_threads import planes

from conformance.cluster import Gone, NotFound
from conformance.sandbox.reference import events


def eventually(look, what, within=3.0):
    until = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < until, f"waited {within} s for {what}"
        time.sleep(0.005)
    return found


@pytest.fixture
def cluster():
    made = FakeCluster()
    for name, address in (("root", "10.251.128.1"), ("stable", "10.251.128.2"), ("canary", "10.251.128.3")):
        made.put("services", service(name, address))
    made.put("endpointslices", slice_of("root", "10.251.0.11"))
    made.put("endpointslices", slice_of("stable", "10.251.0.11"))
    made.put("endpointslices", slice_of("canary", "10.251.0.12"))
    for name, address in (("client", "10.251.0.10"), ("v1", "10.251.0.11"), ("v2", "10.251.0.12")):
        made.put("pods", pod(name, address))
    return made


@pytest.fixture
def start(tmp_path):
    """Start control planes; they end with the test."""
    with planes(tmp_path) as begin:
        def start(cluster):
            begin(cluster)
            return Files(tmp_path / "proxies" / "demo")

        yield start


class Files:
    """What a proxy would read."""

    def __init__(self, directory):
        self.directory = directory

    def listeners(self, name="client"):
        try:
            text = (self.directory / f"uid-{name}" / "lds.json").read_text()
        except FileNotFoundError:
            return {}
        return {resource["name"]: json.dumps(resource) for resource in json.loads(text)["resources"]}

    def shares(self, root="root", name="client"):
        """The clusters that calls of `root` may go to."""
        listener = self.listeners(name).get(f"outbound|demo/{root}:8080", "")
        return {backend for backend in ("root", "stable", "canary") if f"demo/{backend}|8080" in listener}


def test_proxies_get_files_and_the_bootstrap_last(cluster, start):
    files = start(cluster)
    for name in ("client", "v1", "v2"):
        directory = files.directory / f"uid-{name}"
        eventually((directory / "bootstrap.json").exists, f"the bootstrap of {name}")
        assert {file.name for file in directory.iterdir()} == {
            "bootstrap.json", "cds.json", "lds.json", "certificate.pem", "key.pem", "trust.pem", "log"}
        assert stat.S_IMODE((directory / "key.pem").stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert files.shares() == {"root"}


def test_split_comes_changes_and_goes(cluster, start):
    files = start(cluster)
    eventually(lambda: files.shares() == {"root"}, "the plain service")
    cluster.put("trafficsplits", split("root", stable=1, canary=1))
    eventually(lambda: files.shares() == {"stable", "canary"}, "the split")
    cluster.put("trafficsplits", split("root", generation=2, canary=1))
    eventually(lambda: files.shares() == {"canary"}, "the change")
    cluster.delete("trafficsplits", split("root"))
    eventually(lambda: files.shares() == {"root"}, "the plain service again")


@pytest.mark.parametrize(("version", "weight"), [("v1alpha1", "500m"), ("v1alpha2", 1), ("v1alpha3", 1)])
def test_the_served_version_is_found(start, cluster, version, weight):
    cluster.versions = {"trafficsplits": version}
    cluster.put("trafficsplits", split("root", version, canary=weight))
    files = start(cluster)
    eventually(lambda: files.shares() == {"canary"}, "the split")


def test_works_without_the_apis_and_finds_them_later(cluster, start, monkeypatch):
    monkeypatch.setattr("conformance.sandbox.reference.mirror.ABSENT_PAUSE", 0.05)
    cluster.versions = {}
    files = start(cluster)
    eventually(lambda: files.shares() == {"root"}, "the plain service")
    cluster.put("trafficsplits", split("root", canary=1))
    cluster.versions = {"trafficsplits": "v1alpha4"}
    eventually(lambda: files.shares() == {"canary"}, "the split")
    cluster.versions = {}
    cluster.end_watches("trafficsplits", NotFound("watching", "gone", code=404))
    eventually(lambda: files.shares() == {"root"}, "the plain service again")


@pytest.mark.parametrize("fault", [refused(), Gone("watching", "too old", code=410)], ids=["refused", "gone"])
def test_a_broken_watch_loses_nothing(cluster, start, monkeypatch, fault):
    monkeypatch.setattr("conformance.sandbox.reference.mirror.FAILED_PAUSE", 0.05)
    files = start(cluster)
    eventually(lambda: files.shares() == {"root"}, "the plain service")
    cluster.objects["trafficsplits"]["demo", "split"] = split("root", canary=1)
    cluster.fail["trafficsplits"] = [refused(), refused()]
    cluster.end_watches("trafficsplits", fault)
    eventually(lambda: files.shares() == {"canary"}, "the split that came while nobody watched")


def test_nothing_is_written_before_everything_is_known(cluster, start, monkeypatch):
    monkeypatch.setattr("conformance.sandbox.reference.mirror.FAILED_PAUSE", 0.05)
    cluster.put("trafficsplits", split("root", canary=1))
    cluster.fail["trafficsplits"] = [refused()] * 4
    files = start(cluster)
    seen = set()
    eventually(lambda: seen.add(frozenset(files.shares())) or files.shares() == {"canary"}, "the split")
    assert frozenset({"root"}) not in seen


def test_unchanged_files_are_not_touched(cluster, start):
    files = start(cluster)
    eventually(lambda: files.shares() == {"root"}, "the plain service")
    file = files.directory / "uid-client" / "lds.json"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    cluster.put("services", service("root", "10.251.128.1") | {"status": {}})
    cluster.put("endpointslices", slice_of("canary", "10.251.0.12", "10.251.0.12"))
    time.sleep(0.1)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_directory_goes_with_its_pod_and_a_namesake_gets_a_new_one(cluster, start):
    files = start(cluster)
    eventually(lambda: files.listeners("v1"), "the proxy of v1")
    cluster.delete("pods", pod("v1", "10.251.0.11"))
    cluster.put("pods", pod("v1", "10.251.0.21", uid="uid-again"))
    eventually(lambda: files.listeners("again"), "the proxy of the new v1")
    eventually(lambda: not (files.directory / "uid-v1").exists(), "the old directory to go")


def test_restarted_control_plane_keeps_certificates_and_removes_leftovers(cluster, start):
    files = start(cluster)
    eventually((files.directory / "uid-v2" / "bootstrap.json").exists, "the proxies")
    eventually((files.directory / "uid-v1" / "bootstrap.json").exists, "the proxies")
    before = {file: file.read_bytes() for file in (files.directory / "uid-v1").glob("*.*")}
    (files.directory / "uid-stale").mkdir()
    (files.directory / "uid-stale" / "key.pem").write_text("")
    start(cluster)
    eventually(lambda: not (files.directory / "uid-stale").exists(), "the left-over to go")
    assert {file: file.read_bytes() for file in (files.directory / "uid-v1").glob("*.*")} == before


def test_directory_that_the_node_made_for_a_pod_without_an_address_waits_for_it(cluster, start):
    """A kubelet makes the directory that it mounts; were it removed and made anew, the proxy would read the old one."""
    files = start(cluster)
    eventually((files.directory / "uid-v1" / "bootstrap.json").exists, "the proxies")
    for name, age in (("uid-soon", 0), ("uid-never", 100)):
        (files.directory / name).mkdir()
        os.utime(files.directory / name, (time.time() - age, time.time() - age))
    inode = (files.directory / "uid-soon").stat().st_ino
    cluster.delete("pods", pod("v2", "10.251.0.12"))
    eventually(lambda: not (files.directory / "uid-never").exists(), "the unused directory to go")
    cluster.put("pods", pod("soon", "10.251.0.31"))
    eventually(lambda: files.listeners("soon"), "the proxy of the new pod")
    assert (files.directory / "uid-soon").stat().st_ino == inode


def test_unknown_service_addresses_are_closed_where_the_cluster_tells_their_range(cluster, start):
    files = start(cluster)
    eventually(files.listeners, "the proxy of the client")
    assert "10.251.128.0" not in files.listeners()["outbound"]
    cluster.put("servicecidrs", {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.251.128.0/24"]}})
    eventually(lambda: '"10.251.128.0", "prefix_len": 24' in files.listeners()["outbound"], "the range")


def test_address_in_use_again_belongs_to_the_pod_that_stays(cluster, start):
    cluster.put("pods", pod("old", "10.251.0.11", deletionTimestamp="now", creationTimestamp="2026-01-02"))
    files = start(cluster)
    eventually(files.listeners, "the proxy of the client")
    assert "sa/v1" in (files.directory / "uid-client" / "cds.json").read_text()
    assert "sa/old" not in (files.directory / "uid-client" / "cds.json").read_text()


def test_pod_with_a_hostile_uid_is_left_out(cluster, start, tmp_path):
    cluster.put("pods", pod("evil", "10.251.0.66", uid="../../evil"))
    files = start(cluster)
    eventually(lambda: files.listeners("v2"), "the other proxies")
    assert not list(tmp_path.parent.glob("evil*"))


def test_malformed_split_is_reported_and_disturbs_nobody(cluster, start, monkeypatch):
    monkeypatch.setattr(events, "SETTLE", 0.05)
    cluster.put("trafficsplits", split("root", canary=-1))
    for number, spec in enumerate((None, [], {"backends": 3}, {"service": {}})):
        cluster.put("trafficsplits", {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "spec": spec,
                                      "metadata": {"name": f"bad-{number}", "namespace": "demo"}})
    files = start(cluster)
    eventually(lambda: files.shares() == {"root"}, "the plain service")
    eventually(lambda: len(cluster.events) == 5, "five events")
    assert {event["reason"] for event in cluster.events} == {"Malformed"}
    (event,) = (event for event in cluster.events if event["involvedObject"]["name"] == "split")
    assert event["message"] == "ignored: spec.backends[0].weight: -1 is negative"


def test_event_is_written_once_per_problem_and_generation(cluster, start, monkeypatch):
    monkeypatch.setattr(events, "SETTLE", 0.05)
    monkeypatch.setattr(events, "_RETRY", 0.05)
    cluster.fail["events"] = [refused()]
    cluster.put("trafficsplits", split("root", stable=1, gone=1))
    files = start(cluster)
    eventually(lambda: len(cluster.events) == 1, "an event, at the second try")
    (event,) = cluster.events
    assert (event["reason"], event["type"]) == ("BackendMissing", "Warning")
    assert event["involvedObject"] == {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
                                       "namespace": "demo", "name": "split", "uid": "uid-split"}
    cluster.put("services", service("gone", "10.251.128.9"))
    eventually(lambda: "outbound|demo/gone:8080" in files.listeners(), "the Service")
    cluster.delete("services", service("gone", "10.251.128.9"))
    time.sleep(0.3)
    assert len(cluster.events) == 1
    cluster.put("trafficsplits", split("root", generation=2, stable=2, gone=1))
    eventually(lambda: len(cluster.events) == 2, "an event for the new generation")


def test_problem_that_passes_at_once_is_not_reported(cluster, start):
    files = start(cluster)
    cluster.put("trafficsplits", split("root", late=1))
    cluster.put("services", service("late", "10.251.128.9"))
    eventually(lambda: "demo/late|8080" in files.listeners().get("outbound|demo/root:8080", ""), "the split")
    time.sleep(events.SETTLE + 0.2)
    assert cluster.events == []


def test_state_directory_that_cannot_be_written_is_tried_again(cluster, start, monkeypatch, tmp_path):
    monkeypatch.setattr("conformance.sandbox.reference.control_plane._RETRY", 0.05)
    (tmp_path / "proxies").mkdir()
    (tmp_path / "proxies" / "demo").write_text("a file in the way")
    files = start(cluster)
    time.sleep(0.15)
    (tmp_path / "proxies" / "demo").unlink()
    eventually(lambda: files.shares() == {"root"}, "the proxies' files")


def test_change_is_written_within_milliseconds(cluster, start):
    for number in range(30):
        cluster.put("services", service(f"filler-{number}", f"10.251.129.{number}"))
    for number in range(9):
        cluster.put("pods", pod(f"more-{number}", f"10.251.1.{number}"))
    files = start(cluster)
    eventually(lambda: files.shares(name="more-8") == {"root"}, "the last proxy's files")
    took = []
    for number in range(1, 6):
        started = time.monotonic()
        cluster.put("trafficsplits", split("root", generation=number, **{"canary" if number % 2 else "stable": 1}))
        eventually(lambda n=number: files.shares(name="more-8") == {"canary" if n % 2 else "stable"}, "the change")
        took.append(time.monotonic() - started)
    # Twelve proxies and over thirty Services: typically 10 ms; the bound is for a busy machine.
    assert min(took) < 0.1, took
