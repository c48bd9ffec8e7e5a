"""Whether runs belong together: the same place, the same mesh, the same harness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from conformance.performance.comparing.comparison import Incomparable
from conformance.performance.model import LOAD_PODS, Node, Run

MEMORY: Final = 0.01
"""Share by which the memory of a node may differ: a kernel reports some megabytes more or less after each start."""


def check(baseline: Sequence[Run], candidate: Sequence[Run]) -> None:
    """Raise `Incomparable` where no force helps: a side is empty, or a run counts twice."""
    sides = (("baseline", baseline), ("candidate", candidate))
    problems = [f"the {side} has no runs" for side, runs in sides if not runs]
    counted = Counter(run.header.run for run in (*baseline, *candidate))
    problems += [f"the run {name} is given {count} times" for name, count in counted.items() if count > 1]
    if problems:
        raise Incomparable(tuple(problems))


def differences(
    baseline: Sequence[Run], candidate: Sequence[Run], *, across_meshes: bool = False,
) -> tuple[str, ...]:
    """Say how runs differ that should not. Only the sides may differ in the mesh's version."""
    first = baseline[0]
    found: dict[str, None] = {}
    for runs in (baseline, candidate):
        for run in runs:
            found.update(dict.fromkeys(_differences(first, run, across_meshes=across_meshes and runs is candidate)))
        for run in runs[1:]:
            found.update(dict.fromkeys(_mixed(runs[0], run)))
    return tuple(found)


def _mixed(one: Run, other: Run) -> list[str]:
    said = []
    for name, before, after in (("meshes", one.header.mesh, other.header.mesh),
                                ("versions of the mesh", one.header.mesh_version, other.header.mesh_version)):
        if before != after:
            said.append(f"one side mixes {name}: {before or 'unknown'} and {after or 'unknown'}")
    return said


def _differences(one: Run, other: Run, *, across_meshes: bool) -> list[str]:
    here, there = one.header.environment, other.header.environment
    named = [
        ("harness", one.header.harness, other.header.harness),
        ("cluster", here.cluster, there.cluster),
        ("Kubernetes", here.kubernetes, there.kubernetes),
        ("CPU model", here.cpu_model, there.cpu_model),
        ("load pods", one.header.labels.get(LOAD_PODS, "1"), other.header.labels.get(LOAD_PODS, "1")),
    ]
    if not across_meshes:
        named.insert(0, ("mesh", one.header.mesh, other.header.mesh))
    said = [f"{name}: {before or 'unknown'} against {after or 'unknown'}"
            for name, before, after in named if before != after]
    if not _alike(here.nodes, there.nodes):
        said.append(f"nodes: {_described(here.nodes)} against {_described(there.nodes)}")
    return said


def _alike(ours: Sequence[Node], theirs: Sequence[Node]) -> bool:
    """Nodes are compared by what they can do: their names are drawn anew with each cluster."""
    pairs = zip(sorted(ours, key=_kind), sorted(theirs, key=_kind), strict=False)
    return len(ours) == len(theirs) and all(
        _kind(one)[:3] == _kind(other)[:3] and math.isclose(one.memory, other.memory, rel_tol=MEMORY)
        for one, other in pairs)


def _kind(node: Node) -> tuple[int, str, str, int]:
    return node.cores, node.architecture, node.kernel, node.memory


def _described(nodes: Sequence[Node]) -> str:
    kinds = Counter(
        f"{node.cores} cores, {node.memory / 2**30:.1f} GiB, {node.architecture or 'unknown'}, "
        f"kernel {node.kernel or 'unknown'}" for node in nodes)
    return "; ".join(f"{count} of {kind}" for kind, count in sorted(kinds.items())) or "none"
