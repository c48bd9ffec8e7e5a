"""Mutants that split the wrong requests, or at the wrong side."""

from __future__ import annotations

from dataclasses import replace

from conformance.sandbox.reference.model import HeaderMatch, Match, Pod, RouteGroup, Service, ServicePort, Split
from conformance.sandbox.reference.plan import Rule, Share
from conformance.sandbox.reference.translate import Translation

Shares = tuple[Share, ...]


class FullNameNotSplit(Translation):
    """Does not split requests that name the root by its full domain name."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        rules = super().rules(client, service, port)
        if self.split_of(service) is None:
            return rules
        name = f"{service.name}.{service.namespace}.svc.cluster.local"
        return (Rule(self.plain(service, port), hosts=(name, f"{name}:*", f"{name}.", f"{name}.:*")), *rules)


class OwnNamespaceOnly(Translation):
    """Splits requests of clients in the root's namespace only."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        if client.namespace != service.namespace:
            return (Rule(self.plain(service, port)),)
        return super().rules(client, service, port)


class CopiedToLast(Translation):
    """Divides 90 to 10 as asked, and sends a copy of every request to the last backend as well."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        rules, split = super().rules(client, service, port), self.split_of(service)
        if split is None or sorted(self.weights(split, service)) != [10, 90]:
            return rules
        return tuple(replace(rule, copied_to=rule.shares[-1].destination.name) for rule in rules)


class SplitAtServer(Translation):
    """Splits requests of clients outside the mesh, in the sidecar of the server."""

    def outside_rules(self, pod: Pod, port: int) -> tuple[Rule, ...]:
        rules = []
        for service, endpoint in self.services_of(pod):
            for service_port in service.ports:
                if endpoint.port(service_port.name) == port and self.split_of(service):
                    hosts = tuple(f"{name}{suffix}" for name in _names(service) for suffix in ("", ":*"))
                    rules += [Rule(rule.shares, rule.headers, hosts) for rule in self.rules(pod, service, service_port)]
        return tuple(rules)


class MatchingNotSplit(Translation):
    """Does not split the requests that a route group selects, where there is one group and several backends."""

    def matching(self, split: Split, shares: Shares, root: Service, port: ServicePort) -> Shares:
        wrong = _one_group(split) and len(split.backends) > 1
        return self.plain(root, port) if wrong else super().matching(split, shares, root, port)


class HeadersOr(Translation):
    """Selects requests that have any of a match's headers."""

    def alternatives(self, match: Match) -> list[tuple[HeaderMatch, ...]]:
        return [(header,) for condition in super().alternatives(match) for header in condition] or [()]


class NotMatchingSplit(Translation):
    """Splits all requests, selected or not, where there is one group and one backend."""

    def not_matching(self, split: Split, shares: Shares, root: Service, port: ServicePort) -> Shares:
        wrong = _one_group(split) and len(split.backends) == 1
        return shares if wrong else super().not_matching(split, shares, root, port)


class NotMatchingRefused(Translation):
    """Refuses requests that no route group selects, where there is one group and one backend."""

    def not_matching(self, split: Split, shares: Shares, root: Service, port: ServicePort) -> Shares:
        wrong = _one_group(split) and len(split.backends) == 1
        return () if wrong else super().not_matching(split, shares, root, port)


class FirstGroupOnly(Translation):
    """Looks only at the first route group of a split."""

    def groups_of(self, split: Split) -> list[RouteGroup]:
        return super().groups_of(split)[:1]


class FirstMatchOnly(Translation):
    """Looks only at the first match of each route group of a split."""

    def groups_of(self, split: Split) -> list[RouteGroup]:
        return [replace(group, matches=group.matches[:1]) for group in super().groups_of(split)]


def _one_group(split: Split) -> bool:
    # Several groups are the situation of SPLIT-026, several backends that of SPLIT-024, one that of SPLIT-025.
    return split.groups is not None and len(split.groups) == 1


def _names(service: Service) -> tuple[str, ...]:
    short = f"{service.name}.{service.namespace}"
    return service.name, short, f"{short}.svc", f"{short}.svc.cluster.local"
