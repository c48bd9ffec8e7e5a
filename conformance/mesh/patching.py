"""Patches of pod templates, merged as Kubernetes' strategic merge would: named things of a list by their names."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

CONTROL_PORT_NAME: Final = "control"
"""The name of the container ports over which the harness speaks to its agents, past the mesh."""


def merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Merge a pod template's patch: maps by key, lists of named things by name, other lists by appending."""
    for key, value in patch.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(target.get(key), list):
            _merge_list(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def control_ports(template: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the ports of a pod template that belong to the harness: those named `control`."""
    return tuple(
        port["containerPort"] for container in template.get("spec", {}).get("containers", ())
        for port in container.get("ports", ()) if port.get("name") == CONTROL_PORT_NAME
    )


def _merge_list(target: list[Any], patch: Sequence[Any]) -> None:
    named = {entry["name"]: entry for entry in target if isinstance(entry, dict) and "name" in entry}
    for entry in patch:
        if isinstance(entry, Mapping) and entry.get("name") in named:
            merge(named[entry["name"]], entry)
        else:
            target.append(copy.deepcopy(entry))
