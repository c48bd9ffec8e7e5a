"""Where consumption is read while a load runs: from the kubelets, or from a Prometheus that scrapes them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from conformance.cluster import Cluster
from conformance.performance.usage import consumption, kubelet
from conformance.performance.usage.consumption import Consumption, UsageError
from conformance.performance.usage.prometheus import Prometheus
from conformance.performance.usage.prometheus_usage import consumption as scraped

_LOOK_BACK: Final = 300.0
"""Seconds of the past from which the interval of scrapes is known."""


class Meter(Protocol):
    """A source of readings; `resolution` is how many seconds may lie between two that differ."""

    resolution: float

    def watch(self, seconds: float) -> Consumption:
        """Wait, and return what was consumed meanwhile. Raises UsageError."""
        ...


@dataclass
class Kubelets:
    """Asks the kubelet of every node, before and after."""

    cluster: Cluster
    resolution: float = field(init=False)

    def __post_init__(self) -> None:
        self.resolution = kubelet.read(self.cluster).resolution

    def watch(self, seconds: float) -> Consumption:
        """Wait, and return what was consumed meanwhile. Raises UsageError."""
        before = kubelet.read(self.cluster)
        time.sleep(seconds)
        return consumption.between(before, kubelet.read(self.cluster), "the kubelets")


@dataclass
class Scraped:
    """Asks Prometheus for what it scraped meanwhile."""

    prometheus: Prometheus
    resolution: float = field(init=False)

    def __post_init__(self) -> None:
        now = time.time()
        self.resolution = scraped(self.prometheus, now - _LOOK_BACK, now).resolution
        if not self.resolution:
            raise UsageError(f"{self.prometheus.name} has scraped no container twice in the last {_LOOK_BACK:g} s; let "
                             "it scrape the kubelets' metrics/cadvisor, or leave --prometheus out")

    def watch(self, seconds: float) -> Consumption:
        """Wait, and return what was consumed meanwhile. Raises UsageError."""
        start = time.time()
        time.sleep(seconds)
        return scraped(self.prometheus, start, time.time())


def meter(cluster: Cluster, prometheus: str) -> Meter:
    """Return the Prometheus at an address, or the kubelets without one. Raises UsageError."""
    return Scraped(Prometheus(prometheus)) if prometheus else Kubelets(cluster)
