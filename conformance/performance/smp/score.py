"""A score in MeshMark's spirit: how much of the cluster's resources is left while the mesh carries a load.

MeshMark as published cannot be computed: its classes and weights are nowhere defined, and its figures contradict each
other. This is a definition of our own; it is printed with every score, and the values behind it beside it.

Source of the idea: MeshMark's page in SMP's repository (`docs/_includes/meshmark.html`), and its two figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tabulate import tabulate

from conformance.performance.model import Run
from conformance.performance.paths import BOTH
from conformance.performance.smp.consumed import (
    CONTROL_CPU,
    CONTROL_MEMORY,
    NODE_CPU,
    PROXY_CPU,
    PROXY_MEMORY,
    Consumed,
    consumed,
)

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "compute": (PROXY_CPU, CONTROL_CPU, NODE_CPU),
    "memory": (PROXY_MEMORY, CONTROL_MEMORY),
}
"""The classes and their resources, by the names of the figures that they are taken from."""
RESOURCES: Final = tuple(name for names in CLASSES.values() for name in names)
MOST_WEIGHT: Final = 0.5
"""As published: a weight is from -50 % to +50 %."""


class WeightError(ValueError):
    """A weight is not one; the message says what is wrong and what can be given."""


@dataclass(frozen=True)
class Efficiency:
    """A utilisation efficiency (MUE): the share of a resource that is left, from 0 to 1.

    `used` and `total` are in `unit`, cores or bytes. `weight` is from -0.5 to 0.5.
    """

    name: str
    group: str
    unit: str
    used: float
    total: float
    weight: float = 0.0

    @property
    def value(self) -> float:
        """What is left, as a share; what is used beyond the total, as rounding can make it, counts as all."""
        return min(1.0, max(0.0, 1.0 - self.used / self.total))


@dataclass(frozen=True)
class Score:
    """A score from 0 to 100, with what it is made of; `value` is None when anything is missing.

    `p99` is in seconds and `rate` in answers a second: the score rewards idle resources, so that it means nothing
    without what was carried.
    """

    value: float | None
    path: str
    efficiencies: tuple[Efficiency, ...]
    p99: float | None
    rate: float | None
    missing: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


def parse_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights such as `proxy.cpu=+50%` or `node.cpu=-0.2`. Raises WeightError."""
    weights = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise WeightError(f"{text!r} is no weight; write NAME=WEIGHT, such as {PROXY_CPU}=+50%")
        try:
            percent = value.strip().endswith("%")
            weights[name.strip()] = float(value.strip().rstrip("%")) / (100 if percent else 1)
        except ValueError:
            raise WeightError(f"{text!r}: {value!r} is neither a number nor a percentage") from None
    return checked(weights)


def checked(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights once they are known to be such. Raises WeightError."""
    for name, weight in weights.items():
        if name not in RESOURCES:
            raise WeightError(f"there is no resource {name!r} to weigh; known are {', '.join(RESOURCES)}")
        if not -MOST_WEIGHT <= weight <= MOST_WEIGHT:  # so that nan is none either
            raise WeightError(f"the weight of {name} is {weight:g}; it has to be from -50% to +50%")
    return dict(weights)


def score(run: Run, weights: Mapping[str, float] | None = None, path: str = BOTH) -> Score:
    """Return the score of a run on a path. Raises WeightError."""
    return of(consumed(run, path), weights)


def of(found: Consumed, weights: Mapping[str, float] | None = None) -> Score:
    """Return the score of what was consumed on a path. Raises WeightError."""
    weights = checked(weights or {})
    used = {PROXY_CPU: found.proxy_cpu, CONTROL_CPU: found.control_cpu, NODE_CPU: found.node_cpu,
            PROXY_MEMORY: found.proxy_memory, CONTROL_MEMORY: found.control_memory}
    totals = {"compute": found.cores, "memory": found.memory}
    there = []
    missing = []
    for group, names in CLASSES.items():
        if not _usable(totals[group]) or totals[group] == 0:
            missing.append(f"the {'cores' if group == 'compute' else 'memory'} of the nodes")
            continue
        for name in names:
            value = used[name]
            if value is None or not _usable(value):
                missing.append(f"{name}{{path={found.path}}}")
            else:
                there.append(Efficiency(name, group, "cores" if group == "compute" else "bytes", value, totals[group],
                                        weights.get(name, 0.0)))
    missing += [f"{name} of the path {found.path}" for name, value in (("p99", found.p99), ("rate", found.rate))
                if value is None or not _usable(value)]
    return Score(None if missing else _total(there), found.path, tuple(there), found.p99, found.rate, tuple(missing),
                 weights)


def _usable(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _total(efficiencies: Iterable[Efficiency]) -> float:
    by_class: dict[str, list[Efficiency]] = {}
    for one in efficiencies:
        by_class.setdefault(one.group, []).append(one)
    means = [sum((1 + one.weight) * one.value for one in ones) / sum(1 + one.weight for one in ones)
             for ones in by_class.values()]
    return min(100.0, max(0.0, 100 * sum(means) / len(means)))


def definition(weights: Mapping[str, float] | None = None) -> str:
    """Return the full definition of the score, with the weights that are used."""
    weights = checked(weights or {})
    lines = [
        "MeshMark-style score, 0 (nothing is left) to 100 (nothing is used); not MeshMark, which is not fully defined.",
        "  MUE(r)   = 1 - used(r) / total(r), clipped to 0..1, for each resource r",
        "  class(c) = sum over r in c of (1 + w(r)) * MUE(r)  /  sum over r in c of (1 + w(r))",
        "  score    = 100 * mean of class(c) over all classes, clipped to 0..100",
        "  used  = the figure r on the path (the median over rounds), added over the proxies that a request passes",
        "  total = all cores, or all memory, of the nodes",
        "  w     = the weight of r, from -50% to +50%; 0% unless given",
    ]
    for group, names in CLASSES.items():
        lines.append(f"  class {group}: " + ", ".join(f"{name} (w = {weights.get(name, 0.0):+.0%})" for name in names))
    lines += [
        "A score is given only if every resource, the p99 and the rate were measured. It rewards idle resources at any",
        "load: compare scores only of the same nodes at the same rate, and read the p99 beside it.",
    ]
    return "\n".join(lines)


def render(found: Score) -> str:
    """Return a score for people: with p99 and rate, the values that it is made of, and its definition."""
    p99 = "not measured" if found.p99 is None else f"{found.p99 * 1000:.3f} ms"
    rate = "not measured" if found.rate is None else f"{found.rate:.1f}/s"
    value = "none" if found.value is None else f"{found.value:.1f} of 100"
    lines = [f"score {value}, path {found.path}, p99 {p99} at {rate}"]
    if found.missing:
        lines.append(f"No score, because these were not measured: {', '.join(found.missing)}.")
    rows = [[one.group, one.name, f"{one.used:.6g}", f"{one.total:.6g}", one.unit, f"{one.weight:+.0%}",
             f"{one.value:.4f}"] for one in found.efficiencies]
    if rows:
        lines += ["", tabulate(rows, ["class", "resource", "used", "total", "unit", "weight", "MUE"],
                               disable_numparse=True)]
    return "\n".join([*lines, "", definition(found.weights)])
