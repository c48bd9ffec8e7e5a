"""Misconfigurations of TrafficTargets that people are told of, as events on the target."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sandbox.reference import headers
from conformance.sandbox.reference.access import Access
from conformance.sandbox.reference.model import RouteGroup, Target, TargetRule


def of_target(access: Access, target: Target) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a target: reason and message."""
    for field in ("rules", "sources"):
        if not getattr(target, field):
            yield "Incomplete", f"the target names no {field}: it allows nothing"
    for rule in target.rules:
        if rule.kind != "HTTPRouteGroup":
            if access.route(target.namespace, rule) is None:
                yield "RouteMissing", f"there is no {rule.kind} {rule.name}: the rule allows nothing"
            continue
        group = access.group((target.namespace, rule.name))
        if group is None:
            yield "RouteMissing", f"there is no HTTPRouteGroup {rule.name}: the rule allows nothing"
        else:
            yield from _of_group(rule, group)


def _of_group(rule: TargetRule, group: RouteGroup) -> Iterator[tuple[str, str]]:
    names = {match.name for match in group.matches}
    for name in rule.matches:
        if name not in names:
            yield "MatchMissing", f"HTTPRouteGroup {group.name} has no match {name[:60]!r}: it allows nothing"
    for match in group.matches:
        for why in headers.troubles(match):
            yield "InvalidMatch", f"match {match.name} of HTTPRouteGroup {group.name} allows nothing: {why}"
