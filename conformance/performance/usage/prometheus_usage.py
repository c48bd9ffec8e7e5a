"""What a mesh consumes, as Prometheus knows it: cAdvisor's metrics of containers and node-exporter's of nodes.

The samples are taken as they were scraped, the first and the last of a time, so that a rate is over the times of the
readings and nothing is extrapolated, which PromQL's `rate` does. What `between` says of gaps holds here as well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Final

from conformance.performance.usage.consumption import Consumption, Gap, Place, Reading, Use, use
from conformance.performance.usage.prometheus import Answer, Prometheus, PrometheusError, Series, selector

CPU: Final = "container_cpu_usage_seconds_total"
MEMORY: Final = "container_memory_working_set_bytes"
NODE_CPU: Final = "node_cpu_seconds_total"
IDLE: Final = frozenset({"idle", "iowait", "steal"})
"""The modes of node-exporter in which nobody on the node uses a CPU."""

_MISSED: Final = 2.5  # scrapes after which a series has ended, or has not begun
_NODE_LABELS: Final = ("node", "kubernetes_io_hostname", "instance")  # where scrape configurations put a node's name

_Points = tuple[tuple[float, float], ...]
_Gaps = list[Gap]


def consumption(
    prometheus: Prometheus, start: float, end: float, *, matchers: Mapping[str, str] | None = None,
    node_matchers: Mapping[str, str] | None = None,
) -> Consumption:
    """Return what containers and nodes consumed between two moments (seconds since 1970).

    `matchers` narrow the containers by labels, such as {"namespace": "demo"}, `node_matchers` the nodes. Where there is
    no node-exporter the containers alone are told, with a gap that says so. Raises PrometheusError.
    """
    if end <= start:
        raise PrometheusError(f"asking {prometheus.name}: no time from {start} to {end}")
    uses: dict[Place, Use] = {}
    gaps: _Gaps = []
    resolution = _containers(prometheus, (start, end), matchers, uses, gaps)
    resolution = max(resolution, _nodes(prometheus, (start, end), node_matchers, uses, gaps))
    return Consumption(uses, tuple(gaps), resolution, "Prometheus")


_Times = tuple[float, float]


def _asked(prometheus: Prometheus, times: _Times, select: str, gaps: _Gaps) -> Answer:
    start, end = times
    answer = prometheus.query(f"{select}[{max(1, round((end - start) * 1000))}ms]", end)
    gaps += [Gap(None, f"Prometheus says of {select:.80}: {warning}") for warning in answer.warnings]
    return answer


# --- containers


def _containers(
    prometheus: Prometheus, times: _Times, matchers: Mapping[str, str] | None, uses: dict[Place, Use], gaps: _Gaps,
) -> float:
    fixed = 'container!=""', 'container!="POD"'
    cpu = _asked(prometheus, times, selector(CPU, matchers, *fixed), gaps)
    memory = _by_place(_asked(prometheus, times, selector(MEMORY, matchers, *fixed), gaps))
    if not cpu.series:
        gaps.append(Gap(None, f"{prometheus.name} has no {CPU} of these containers in that time: does it scrape the "
                              "kubelets' metrics/cadvisor?"))
    resolution = 0.0
    for place, series in _by_place(cpu).items():
        spacing = _spacing(series)
        resolution = max(resolution, spacing)
        why = _several(series) or _incomplete(series[0].points, times, spacing)
        found = why or _used(series[0].points, memory.get(place, []))
        if isinstance(found, Use):
            uses[place] = found
        else:
            gaps.append(Gap(place, found))
    return resolution


def _by_place(answer: Answer) -> dict[Place, list[Series]]:
    found: dict[Place, list[Series]] = {}
    for series in answer.series:
        labels = series.labels
        node = next((labels[name] for name in _NODE_LABELS if labels.get(name)), "")
        place = Place(node, labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
        found.setdefault(place, []).append(series)
    return found


def _several(series: list[Series]) -> str:
    """Why several series of one container are no reading of it; empty for one series."""
    if len(series) == 1:
        return ""
    ordered = sorted(series, key=lambda one: one.points[0][0])
    if all(one.points[-1][0] < other.points[0][0] for one, other in pairwise(ordered)):
        return "it was restarted in that time"
    differing = {name for one in series for name in one.labels if len({two.labels.get(name) for two in series}) > 1}
    return f"it is told {len(series)} times, by {', '.join(sorted(differing))}: choose one with a matcher"


def _used(points: _Points, memory: list[Series]) -> Use | str:
    latest = max((one.points[-1] for one in memory), default=None)
    return use(Reading(points[0][0], points[0][1], 0.0),
               Reading(points[-1][0], points[-1][1], latest[1] if latest and math.isfinite(latest[1]) else None))


def _spacing(series: Iterable[Series]) -> float:
    times = [[at for at, _ in one.points] for one in series]
    apart = [after - before for one in times for before, after in pairwise(one)]
    return statistics.median(apart) if apart else 0.0


def _incomplete(points: _Points, times: _Times, spacing: float) -> str:
    """Why samples do not say what happened in that time; empty when they do."""
    start, end = times
    if len(points) < 2:
        return f"there is but one sample of it in {end - start:.3g} s: measure for longer, or scrape more often"
    if not all(math.isfinite(value) for _, value in points):
        return "a sample of it is not a number"
    if any(after < before for (_, before), (_, after) in pairwise(points)):
        return "its counter went back: it was restarted in that time"
    if end - points[-1][0] > _MISSED * spacing:
        return f"its last sample is {end - points[-1][0]:.3g} s older than the end: it has gone, or is not scraped now"
    if points[0][0] - start > _MISSED * spacing:
        return f"its first sample is {points[0][0] - start:.3g} s after the start: it has come, or was not scraped"
    return ""


# --- nodes


def _nodes(
    prometheus: Prometheus, times: _Times, matchers: Mapping[str, str] | None, uses: dict[Place, Use], gaps: _Gaps,
) -> float:
    cpu = _asked(prometheus, times, selector(NODE_CPU, matchers), gaps)
    if not cpu.series:
        gaps.append(Gap(Place("?"), f"{prometheus.name} has no {NODE_CPU} in that time: is a node-exporter scraped?"))
        return 0.0
    names = _names(prometheus, matchers, times[1])
    by_instance: dict[str, list[Series]] = {}
    for series in cpu.series:
        by_instance.setdefault(series.labels.get("instance", ""), []).append(series)
    resolution = 0.0
    for instance, found in by_instance.items():
        place = Place(names.get(instance, instance))
        spacing = _spacing(found)
        resolution = max(resolution, spacing)
        why = next(filter(None, (_incomplete(one.points, times, spacing) for one in found)), _twice(found))
        memory = _working_set(prometheus, {**(matchers or {}), "instance": instance}, times[1])
        used = why or _node_use(found, memory)
        if isinstance(used, Use):
            uses[place] = used
        else:
            gaps.append(Gap(place, used))
    return resolution


def _twice(series: list[Series]) -> str:
    seen = {(one.labels.get("cpu"), one.labels.get("mode")) for one in series}
    return "" if len(seen) == len(series) else "its CPUs are told more than once: choose one with a matcher"


def _node_use(series: list[Series], memory: float | None) -> Use | str:
    def whole(end: int, counts: Callable[[str], bool]) -> float:
        return sum(one.points[end][1] for one in series if counts(one.labels.get("mode", "")))

    def reading(end: int) -> Reading:
        at = statistics.median(one.points[end][0] for one in series)
        return Reading(at, whole(end, lambda mode: mode not in IDLE), memory,
                       steal=whole(end, lambda mode: mode == "steal"), capacity=whole(end, lambda _: True))

    return use(reading(0), reading(-1))


def _working_set(prometheus: Prometheus, matchers: Mapping[str, str], at: float) -> float | None:
    """Memory in use without the inactive part of the file cache, which is what kubelets call the working set."""
    parts = [selector(f"node_memory_{name}_bytes", matchers) for name in ("MemTotal", "MemFree", "Inactive_file")]
    answer = prometheus.query(" - ignoring(__name__) ".join(parts), at)
    return answer.series[0].points[0][1] if len(answer.series) == 1 else None


def _names(prometheus: Prometheus, matchers: Mapping[str, str] | None, at: float) -> dict[str, str]:
    """The names of the nodes by the addresses at which their exporters are scraped."""
    answer = prometheus.query(selector("node_uname_info", matchers), at)
    return {series.labels.get("instance", ""): series.labels["nodename"]
            for series in answer.series if series.labels.get("nodename")}
