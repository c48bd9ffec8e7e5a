"""Consumption while a load runs: read twice at the kubelets, or asked of a Prometheus that has scraped."""

from __future__ import annotations

import pytest

from conformance.performance.usage import kubelet, meters
from conformance.performance.usage.consumption import Consumption, Place, Reading, Snapshot, UsageError, Use

PROXY = Place("node-0", "app", "client-1", "proxy")


def test_kubelets_are_read_before_and_after(monkeypatch):
    readings = iter([
        Snapshot({}, 0.5),
        Snapshot({PROXY: Reading(100.0, 7.0, 60e6, 1.0)}, 0.5),
        Snapshot({PROXY: Reading(102.0, 7.5, 61e6, 1.0)}, 0.5),
    ])
    monkeypatch.setattr(kubelet, "read", lambda _: next(readings))
    meter = meters.meter(object(), "")
    assert meter.resolution == 0.5
    found = meter.watch(0.0)
    assert found.cores == pytest.approx(0.25)
    assert found.memory == 61e6


def test_prometheus_is_asked_for_the_time_of_the_load(monkeypatch):
    asked = []

    def scraped(_, start, end):
        asked.append(end - start)
        return Consumption({PROXY: Use(0.25, 61e6, start, end)}, resolution=5.0, source="Prometheus")

    monkeypatch.setattr(meters, "scraped", scraped)
    meter = meters.meter(object(), "http://127.0.0.1:9")
    assert meter.resolution == 5.0
    assert meter.watch(0.05).cores == 0.25
    assert asked[0] == 300.0
    assert asked[1] == pytest.approx(0.05, abs=0.04)


def test_a_prometheus_that_knows_no_container_is_no_meter(monkeypatch):
    monkeypatch.setattr(meters, "scraped", lambda *_: Consumption({}))
    with pytest.raises(UsageError, match=r"metrics/cadvisor, or leave --prometheus out"):
        meters.meter(object(), "http://127.0.0.1:9")
