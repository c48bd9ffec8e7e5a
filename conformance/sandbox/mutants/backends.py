"""Mutants that choose the wrong Services, ports or endpoints."""

from __future__ import annotations

from fractions import Fraction

from conformance.sandbox.reference.model import Pod, Problem, Service, ServicePort, Split, subject_of
from conformance.sandbox.reference.plan import Destination, Peer, Rule
from conformance.sandbox.reference.translate import Translation

Included = list[tuple[Service, ServicePort, Fraction]]


class MissingBackendFails(Translation):
    """Refuses all traffic of a root while one of its backends does not exist."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        split = self.split_of(service)
        if split and any(self.backend_service(split, backend.service) is None for backend in split.backends):
            return (Rule(()),)
        return super().rules(client, service, port)


class OtherTypeIgnored(Translation):
    """Leaves out backends whose Service is of another type than the root's (a headless one counts as another)."""

    def included(self, split: Split, root: Service, port: ServicePort) -> Included:
        return [entry for entry in super().included(split, root, port) if _type(entry[0]) == _type(root)]


class PortsMatchedByName(Translation):
    """Wants the matching port to have the root's port name as well."""

    def matching_port(self, root: Service, port: ServicePort, backend: Service) -> ServicePort | None:
        matched = super().matching_port(root, port, backend)
        return matched if matched and matched.name == port.name else None


class UnmatchedPortUsed(Translation):
    """Includes a backend without the root's port, with the first port that it has."""

    def matching_port(self, root: Service, port: ServicePort, backend: Service) -> ServicePort | None:
        return super().matching_port(root, port, backend) or next(iter(backend.ports), None)


class TargetPortIgnored(Translation):
    """Connects to every backend at the root's target port."""

    def backend_destination(
        self, split: Split, root: Service, port: ServicePort, backend: Service, backend_port: ServicePort,
    ) -> Destination:
        right = super().backend_destination(split, root, port, backend, backend_port)
        number = next((peer.port for peer in self.destination(root, port).peers), port.number)
        if all(peer.port == number for peer in right.peers):
            return right
        peers = tuple(Peer(peer.address, number, peer.identity) for peer in right.peers)
        return Destination(f"{right.name}|at {number}", peers)


class FirstPortOnly(Translation):
    """Splits only the first port of a root."""

    def is_split(self, split: Split, root: Service, port: ServicePort) -> bool:  # noqa: ARG002
        return port == root.ports[0]


class NestedResolved(Translation):
    """Splits a backend's share again where the backend is the root of a split of its own."""

    def included(self, split: Split, root: Service, port: ServicePort) -> Included:
        resolved: Included = []
        for service, matched, weight in super().included(split, root, port):
            nested = self.split_of(service) if service.key != root.key else None
            parts = super().included(nested, service, matched) if nested else []
            total = sum((part for _, _, part in parts), Fraction(0))
            if total:
                resolved.extend((target, target_port, weight * part / total) for target, target_port, part in parts)
            else:
                resolved.append((service, matched, weight))
        return resolved


class CircleRefused(Translation):
    """Refuses all traffic of a root whose backend is the root of a split that leads back (traefik/mesh#619)."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        split = self.split_of(service)
        names = [backend.service for backend in split.backends] if split else []
        behind = (self.splits_on((service.namespace, name)) for name in names if name != service.name)
        if any(backend.service == service.name for splits in behind for one in splits for backend in one.backends):
            return (Rule(()),)
        return super().rules(client, service, port)


class SplitsOfOneRootRefused(Translation):
    """Refuses all traffic of a root that has more than one split (traefik/mesh#635)."""

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        if len(self.splits_on(service.key)) > 1:
            return (Rule(()),)
        return super().rules(client, service, port)


class DirectCallsSplit(Translation):
    """Splits calls that name a backend, as if they named the root, where every backend has a share."""

    def split_of(self, service: Service) -> Split | None:
        return super().split_of(service) or next(
            (split for split in self.snapshot.splits
             if len(split.backends) > 1 and all(backend.weight for backend in split.backends)
             and any((split.namespace, backend.service) == service.key for backend in split.backends)), None)


def all_misconfigured(translation: Translation) -> tuple[Problem, ...]:
    """Tell the same of every split, right or wrong."""
    return tuple(Problem(subject_of(split), "Misconfigured", f"TrafficSplit {split.name} may be wrong")
                 for split in translation.snapshot.splits)


def _type(service: Service) -> tuple[str, bool]:
    return service.type, bool(service.cluster_ip)
