"""Mutants that keep believing what TrafficTargets and route groups said before, or never hear of them."""

from __future__ import annotations

from dataclasses import replace

from conformance.sandbox.reference.behaviour import View
from conformance.sandbox.reference.model import Account, Key, RouteGroup, Snapshot, Target


def first_sources() -> View:
    """Keep the sources that each target had at first."""
    first: dict[str, tuple[Account, ...]] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, targets=tuple(
            replace(target, sources=first.setdefault(target.uid, target.sources)) if target.sources else target
            for target in snapshot.targets
        ))
    return view


def deleted_targets() -> View:
    """Keep targets that were changed more than once when they are deleted, while their routes exist."""
    known: dict[Key, Target] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        present = {target.key for target in snapshot.targets}
        known.update((target.key, target) for target in snapshot.targets if target.generation > 2)
        for key in [key for key, target in known.items() if not _routes_exist(snapshot, target)]:
            del known[key]
        kept = (target for key, target in known.items() if key not in present)
        return replace(snapshot, targets=(*snapshot.targets, *kept))
    return view


def later_targets_dropped() -> View:
    """Take in the first target of each destination only, without a word about the others."""
    first: dict[Account, Key] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        present = {target.key for target in snapshot.targets}
        for destination in [destination for destination, key in first.items() if key not in present]:
            del first[destination]
        for target in sorted(snapshot.targets, key=lambda target: (target.created, target.name)):
            first.setdefault(target.destination, target.key)
        return replace(snapshot, targets=tuple(
            target for target in snapshot.targets if first[target.destination] == target.key
        ))
    return view


def first_matches() -> View:
    """Keep a route group as it was while it has not the matches, by name, that it had at first."""
    known: dict[Key, RouteGroup] = {}

    def view(snapshot: Snapshot) -> Snapshot:
        for gone in [key for key in known if key not in snapshot.groups]:
            del known[gone]
        for key, group in snapshot.groups.items():
            if _names(known.setdefault(key, group)) == _names(group):
                known[key] = group
        return replace(snapshot, groups=dict(known))
    return view


def _names(group: RouteGroup) -> set[str]:
    return {match.name for match in group.matches}


def _routes_exist(snapshot: Snapshot, target: Target) -> bool:
    known = {"HTTPRouteGroup": snapshot.groups, "TCPRoute": snapshot.tcp_routes, "UDPRoute": snapshot.udp_routes}
    return all((target.namespace, rule.name) in known[rule.kind] for rule in target.rules)
