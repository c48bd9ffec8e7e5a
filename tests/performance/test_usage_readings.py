"""What two readings say, and what kubelets answer that is no reading. Below 1 s."""

from __future__ import annotations

import json

import pytest

from conformance.cluster import ClusterError, NotFound, Rejected
from conformance.performance.usage import kubelet
from conformance.performance.usage.consumption import (
    Consumption,
    Gap,
    Place,
    Reading,
    Snapshot,
    UsageError,
    Use,
    between,
)

PROXY = Place("n1", "demo", "a", "proxy")
APP = Place("n1", "demo", "a", "app")
NODE = Place("n1")


def reading(at, cpu, memory=1000.0, started=0.0, **more):
    return Reading(at, cpu, memory, started, **more)


def snapshot(readings, resolution=0.01, **more):
    return Snapshot(readings, resolution, **more)


def test_rates_are_over_the_times_of_the_readings():
    found = between(snapshot({PROXY: reading(100.0, 5.0), NODE: reading(101.0, 50.0)}, taken=7.0),
                    snapshot({PROXY: reading(104.0, 6.0, 2000.0), NODE: reading(103.0, 51.0)}, taken=10.0))
    assert found.containers == {PROXY: Use(0.25, 2000.0, 100.0, 104.0)}
    assert found.nodes == {"n1": Use(0.5, 1000.0, 101.0, 103.0)}
    assert not found.gaps
    assert not found.invalid()
    assert found.proxies("proxy").cores == 0.25
    assert found.proxies("proxy").memory == 2000.0


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (None, reading(2, 1), "it has come"),
        (reading(1, 1), None, "it has gone"),
        (reading(1, 5), reading(2, 1), "went back from 5.000 s to 1.000 s"),
        (reading(1, 5), reading(20, 9, started=7), "restarted between"),
        (reading(1, 5), reading(1, 5), "not renewed"),
        (reading(2, 5), reading(1, 6), "older than its first"),
        (reading(1, None), reading(2, 5), "CPU time was not told"),
        (reading(1, 5), reading(2, None), "CPU time was not told"),
        (reading(1, 5), reading(2, 6, None), "memory was not told"),
    ],
    ids=["came", "gone", "reset", "restarted", "stale", "backwards", "no-cpu", "no-cpu-after", "no-memory"],
)  # fmt: skip
def test_what_cannot_be_compared_is_a_gap_and_no_number(before, after, why):
    found = between(snapshot({PROXY: before} if before else {}), snapshot({PROXY: after} if after else {}))
    assert not found.uses
    (gap,) = found.gaps
    assert gap.place == PROXY
    assert why in str(gap)
    assert str(gap).startswith("demo/a proxy: ")
    assert found.proxies("other").gaps == ()
    assert found.proxies("other").invalid()[0].found == "no container or node is what was asked for"


def test_a_start_that_was_rounded_otherwise_is_no_restart():
    found = between(snapshot({PROXY: reading(10, 1, started=5.0)}), snapshot({PROXY: reading(20, 2, started=6.0)}))
    assert found.cores == 0.1


def test_less_than_two_refreshes_are_no_measurement():
    found = between(snapshot({PROXY: reading(0, 0)}, 10.0, rounding=1.0), snapshot({PROXY: reading(19, 1)}, 10.0), "k")
    (invalid,) = found.invalid("both")
    assert str(invalid) == "both: usage measured over 19 s, allowed at least 20 s, two readings of k"
    assert found.uses[PROXY].error == pytest.approx(1 / 19)
    long = between(snapshot({PROXY: reading(0, 0)}, 10.0), snapshot({PROXY: reading(20, 1)}, 10.0))
    assert not long.invalid()


def test_a_clock_that_was_set_is_noticed():
    before = snapshot({PROXY: reading(1000, 1)}, 10.0, taken=50.0)
    set_ = between(before, snapshot({PROXY: reading(4600, 2)}, 10.0, taken=110.0))
    assert "a clock was set" in set_.proxies("proxy").invalid()[0].found
    late = between(before, snapshot({PROXY: reading(1045, 2)}, 10.0, taken=110.0))
    assert not late.invalid()


def test_steal_is_a_share_of_all_there_was():
    found = between(snapshot({NODE: reading(0, 1, steal=1.0, capacity=10.0)}),
                    snapshot({NODE: reading(10, 9, steal=2.0, capacity=30.0)}))
    assert found.nodes["n1"].steal == pytest.approx(0.05)


def test_parts():
    other = Place("n2", "demo", "b", "proxy")
    uses = dict.fromkeys((PROXY, APP, other, NODE), Use(1.0, 10.0, 0.0, 60.0))
    found = Consumption(uses, (Gap(None, "half of it is missing"), Gap(APP, "gone")), 10.0)
    assert set(found.proxies("proxy").uses) == {PROXY, other}
    assert set(found.proxies("proxy", {("demo", "b")}).uses) == {other}
    assert set(found.pods({("demo", "a")}).uses) == {PROXY, APP}
    assert set(found.node("n1").uses) == {NODE}
    assert [gap.why for gap in found.proxies("proxy").gaps] == ["half of it is missing"]
    assert [gap.why for gap in found.pods({("demo", "a")}).gaps] == ["half of it is missing", "gone"]


# --- the kubelet's answers


class Scripted:
    """A cluster of kubelets with prepared answers: text, or the error to raise."""

    name = "scripted"

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def nodes(self):
        return [{"metadata": {"name": name}, "status": {}} for name in self.answers]

    def node_proxy(self, node, path, *, query=None):
        self.asked.append((node, path, query))
        answer = self.answers[node]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def counters(time="2026-01-01T00:00:10Z", cpu=5_000_000_000, memory=1000):
    return {"cpu": {"time": time, "usageCoreNanoSeconds": cpu}, "memory": {"time": time, "workingSetBytes": memory}}


def summary(**changes):
    container = {"name": "proxy", "startTime": "2026-01-01T00:00:00Z", **counters()}
    pod = {"podRef": {"name": "a", "namespace": "demo", "uid": "1"}, "containers": [container]}
    return {"node": {"nodeName": "n1", **counters()}, "pods": [pod]} | changes


def test_a_kubelet_of_a_cluster():
    cluster = Scripted(n1=summary(), n2=summary(pods=None))
    found = kubelet.read(cluster)
    assert set(found.readings) == {Place("n1"), PROXY, Place("n2")}
    assert found.readings[PROXY] == Reading(1767225610.0, 5.0, 1000, 1767225600.0)
    assert (found.resolution, found.rounding) == (10.0, 1.0)
    assert cluster.asked[0] == ("n1", "stats/summary", {"only_cpu_and_memory": "true"})


def test_fractions_of_a_second_mean_that_it_was_read_then():
    found = kubelet.read(Scripted(n1=summary(node=counters("2026-01-01T01:00:10.123456789+01:00"))))
    assert (found.resolution, found.rounding) == (kubelet.IMMEDIATE, 0.0)
    assert found.readings[Place("n1")].at == pytest.approx(1767225610.123456)
    both = kubelet.read(Scripted(n1=summary(node=counters("2026-01-01T00:00:10.5Z")), n2=summary()))
    assert both.resolution == kubelet.REFRESH


def test_a_container_that_has_just_started_has_no_reading_yet():
    bare = [{"podRef": {"name": "a", "namespace": "demo"},
             "containers": [{"name": "new"}, {"name": "old", "cpu": {"time": None}},
                            {"name": "odd", "cpu": {"time": "2026-01-01T00:00:10Z"}}]}]
    found = kubelet.read(Scripted(n1=summary(pods=bare)))
    assert found.readings[Place("n1", "demo", "a", "odd")] == Reading(1767225610.0, None, None)
    assert len(found.readings) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>login", "not JSON.*Is something else behind"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the top level of its summary"),
        (summary(node=3), "node of its summary: 3 is not of type"),
        (summary(pods=[{"containers": []}]), "pods.0 of its summary: 'podRef' is a required property"),
        (summary(node=counters(cpu=-1)), "cpu.usageCoreNanoSeconds of its summary: -1 is less"),
        (summary(node=counters(time="yesterday")), "n1: 'yesterday' is not a time"),
        (summary(node=counters(time="2026-01-01T00:00:10")), "not a time with a zone"),
        (NotFound("asking", "404 page not found", code=404), "does not offer its summary"),
        (Rejected("asking", "no", code=403), "Grant the right to get nodes/proxy"),
        (ClusterError("asking", "dial tcp: refused", code=503), "refused$"),
    ],
    ids=["html", "deep", "list", "node", "pod", "negative", "time", "zone", "404", "403", "503"],
)  # fmt: skip
def test_answers_that_are_no_summary(answer, words):
    with pytest.raises(UsageError, match=words):
        kubelet.read(Scripted(n1=answer))


def test_a_cluster_without_nodes():
    with pytest.raises(UsageError, match="has no nodes"):
        kubelet.read(Scripted())
