"""What the mesh does with Services and TrafficSplits: one rule of the specification a method.

Access is in access.py, HTTPRoutes are in routing.py.

A mutant is a subclass that overrides one of them. Nothing here knows Kubernetes objects or Envoy.

Choices where the specification is silent:

* A header's expression must match the whole value (HRG-015).
* Of a route group that a split names, only the headers count; a match without headers selects every request,
  whatever its path and method (SPLIT-027).
* Of several splits on one root the oldest is in force (SPLIT-031).
* A root among its own backends stands for its own endpoints (SPLIT-023).
* Without a usable backend, or with a total weight of zero, the root works as if it were not split (SPLIT-031).
* A backend without ready endpoints keeps its share, which is answered 503 (SPLIT-030).
* TCP is split like HTTP; where requests are selected by header, TCP is not, as it has none (SPLIT-032).
* A root without a cluster IP cannot be split: its clients connect to its pods themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from typing import Final

from conformance.sandbox.reference import headers
from conformance.sandbox.reference.model import (
    Endpoint,
    HeaderMatch,
    Key,
    Match,
    Pod,
    RouteGroup,
    Service,
    ServicePort,
    Split,
)
from conformance.sandbox.reference.plan import (
    DatagramPort,
    Destination,
    InboundPort,
    Peer,
    Plan,
    Rule,
    Share,
    VirtualService,
)
from conformance.sandbox.reference.routing import Routing
from conformance.sandbox.reference.weights import whole

EXCLUDED_PORTS: Final = frozenset({15000, 15001, 15006, 19000})
"""The proxy's own ports and the agent's control port, which traffic reaches without passing the proxy."""

_CLUSTER_SUFFIX: Final = ".svc.cluster.local"


class Translation(Routing):
    """The reference mesh's behaviour, for one snapshot."""

    def plan(self, pod: Pod) -> Plan:
        """Return what the sidecar of `pod` shall do."""
        every = (self.destination(service, port) for service in self._services for port in service.ports)
        plan = Plan(pod, tuple(self._virtual_services(pod)), self.inbound(pod), self.datagrams(pod), tuple(every),
                    closed=self.is_enforced(pod), service_ranges=self.snapshot.service_ranges)
        return plan.in_plaintext() if pod.plaintext else plan

    @cached_property
    def _services(self) -> tuple[Service, ...]:
        return tuple(service for _, service in sorted(self.snapshot.services.items()))

    # --- outbound: from the client's sidecar ---

    def _virtual_services(self, client: Pod) -> Iterator[VirtualService]:
        taken: set[tuple[str, int]] = set()
        for service in self._services:
            for port in service.ports:
                address = (service.cluster_ip, port.number)
                if service.cluster_ip and address not in taken:
                    taken.add(address)
                    yield VirtualService(
                        f"{service.namespace}/{service.name}:{port.number}", *address, http=port.http,
                        rules=self.rules(client, service, port), policy=self.client_policy(client, service, port),
                    )

    def rules(self, client: Pod, service: Service, port: ServicePort) -> tuple[Rule, ...]:
        """Return what happens to traffic of `client` for one port of a Service."""
        if routed := self.routed(service, port):
            return routed
        split = self.split_of(service)
        shares = self.shares(client, split, service, port) if split and self.is_split(split, service, port) else ()
        if not split or not shares:
            return (Rule(self.plain(service, port)),)
        conditions = self.conditions(split)
        if conditions is None:
            return (Rule(shares),)
        return (
            *(Rule(self.matching(split, shares, service, port), condition) for condition in conditions),
            Rule(self.not_matching(split, shares, service, port)),
        )

    def plain(self, service: Service, port: ServicePort) -> tuple[Share, ...]:
        """Return where traffic for a Service goes without a split: to its own endpoints."""
        return (Share(self.destination(service, port)),)

    def matching(
        self, split: Split, shares: tuple[Share, ...], root: Service, port: ServicePort,  # noqa: ARG002
    ) -> tuple[Share, ...]:
        """Return where requests go that the split's route groups select."""
        return shares

    def not_matching(
        self, split: Split, shares: tuple[Share, ...], root: Service, port: ServicePort,  # noqa: ARG002
    ) -> tuple[Share, ...]:
        """Return where requests go that no route group selects: to the root Service itself."""
        return self.plain(root, port)

    # --- which split, and for which port ---

    def split_of(self, service: Service) -> Split | None:
        """Return the split in force for a Service."""
        return next(iter(self.splits_on(service.key)), None)

    def splits_on(self, root: Key) -> list[Split]:
        """Return the splits on a root Service, the one in force first."""
        return self._splits_by_root.get(root, [])

    @cached_property
    def _splits_by_root(self) -> dict[Key, list[Split]]:
        found: dict[Key, list[Split]] = {}
        for split in sorted(self.snapshot.splits, key=lambda split: (split.created, split.name)):
            found.setdefault(split.root_key, []).append(split)
        return found

    def is_split(self, split: Split, root: Service, port: ServicePort) -> bool:  # noqa: ARG002
        """Tell whether a split applies to a port of its root: it does to every one."""
        return True

    # --- the shares of a split ---

    def shares(self, client: Pod, split: Split, root: Service, port: ServicePort) -> tuple[Share, ...]:  # noqa: ARG002
        """Return where the split sends traffic for a port of its root; empty if no backend can take any."""
        included: dict[Destination, Fraction] = {}
        for service, backend_port, weight in self.included(split, root, port):
            destination = self.backend_destination(split, root, port, service, backend_port)
            included[destination] = included.get(destination, Fraction(0)) + weight
        positive = {destination: weight for destination, weight in included.items() if weight > 0}
        return tuple(Share(*pair) for pair in zip(positive, whole(list(positive.values())), strict=True))

    def included(
        self, split: Split, root: Service, port: ServicePort,
    ) -> list[tuple[Service, ServicePort, Fraction]]:
        """Return the backends that exist and have a port matching the root's, with that port and their weight."""
        included = []
        for backend, weight in zip(split.backends, self.weights(split, root), strict=True):
            service = self.backend_service(split, backend.service)
            matched = self.matching_port(root, port, service) if service else None
            if service and matched:
                included.append((service, matched, weight))
        return included

    def weights(self, split: Split, root: Service) -> list[Fraction]:  # noqa: ARG002
        """Return the weight of each backend, in order."""
        return [backend.weight for backend in split.backends]

    def backend_service(self, split: Split, name: str) -> Service | None:
        """Return the Service that a backend names, looking through the ExternalName of another in the cluster."""
        service = self.snapshot.services.get((split.namespace, name))
        if service is None or service.type != "ExternalName":
            return service
        target, suffix, rest = service.external_name.rstrip(".").partition(_CLUSTER_SUFFIX)
        name, _, namespace = target.partition(".")
        return self.snapshot.services.get((namespace, name)) if suffix and not rest else None

    def matching_port(self, root: Service, port: ServicePort, backend: Service) -> ServicePort | None:  # noqa: ARG002
        """Return the backend's port that takes the traffic of the root's: the one of the same number."""
        return backend.port(port.number)

    def backend_destination(
        self, split: Split, root: Service, port: ServicePort,  # noqa: ARG002
        backend: Service, backend_port: ServicePort,
    ) -> Destination:
        """Return where a backend's share goes: to the backend's own endpoints, whatever splits name it as root."""
        return self.destination(backend, backend_port)

    def destination(self, service: Service, port: ServicePort) -> Destination:
        """Return a Service's endpoints for one of its ports, each at the pod's own target port."""
        name = f"outbound|{service.namespace}/{service.name}|{port.number}"
        known = self._destinations.get((name, port.name))
        if known is None:
            # Every client has the same: made once, not for each of them.
            known = self._destinations[name, port.name] = Destination(name, self._peers(service, port))
        return known

    @cached_property
    def _destinations(self) -> dict[tuple[str, str], Destination]:
        return {}

    def _peers(self, service: Service, port: ServicePort) -> tuple[Peer, ...]:
        peers = {
            (endpoint.address, number): self.peer(endpoint.address, number)
            for endpoint in self.snapshot.endpoints.get(service.key, ())
            if (number := endpoint.port(port.name)) is not None
        }
        return tuple(peer for _, peer in sorted(peers.items()))

    def peer(self, address: str, port: int) -> Peer:
        """Return an address with the identity to expect there, if it is a pod of the mesh that takes mTLS."""
        pod = self.snapshot.pod_at(address)
        return Peer(address, port, pod.identity if pod and pod.meshed and not pod.plaintext else "")

    # --- which requests ---

    def conditions(self, split: Split) -> list[tuple[HeaderMatch, ...]] | None:
        """Return the alternatives of which one must hold for a request to be split; None where all are split.

        The matches of all route groups count as those of one (SPLIT-026).
        """
        if split.groups is None:
            return None
        matches = (match for group in self.groups_of(split) for match in group.matches)
        return [condition for match in matches for condition in self.alternatives(match)]

    def groups_of(self, split: Split) -> list[RouteGroup]:
        """Return the route groups that a split names and that exist."""
        found = (self.snapshot.groups.get((split.namespace, name)) for name in split.groups or ())
        return [group for group in found if group is not None]

    def alternatives(self, match: Match) -> list[tuple[HeaderMatch, ...]]:
        """Return the conditions that one match stands for: one, of all its headers together."""
        return [] if any(map(headers.trouble, match.headers)) else [match.headers]

    # --- inbound: to the pod's own containers ---

    def inbound(self, pod: Pod) -> tuple[InboundPort, ...]:
        """Return the pod's ports: those that it declares and those that Services lead to."""
        ports: dict[int, bool] = {}
        for number, http in (*pod.ports, *self._targeted(pod)):
            # A port that is TCP for one Service is TCP for all: HTTP passes through TCP, not the reverse.
            ports[number] = http and ports.get(number, True)
        return tuple(
            InboundPort(
                number, ports[number], self.outside_rules(pod, number) if ports[number] else (),
                self.inbound_policy(pod, number, http=ports[number]),
                self.outside_policy(pod, number, http=ports[number]),
            )
            for number in sorted(ports) if number not in EXCLUDED_PORTS
        )

    def datagrams(self, pod: Pod) -> tuple[DatagramPort, ...]:
        """Return the pod's UDP ports: those that it declares and those that Services lead to."""
        targeted = (port for _, endpoint in self.services_of(pod) for port in endpoint.udp_ports)
        return tuple(DatagramPort(number, self.datagram_sources(pod, number))
                     for number in sorted({*pod.udp_ports, *targeted} - EXCLUDED_PORTS))

    def _targeted(self, pod: Pod) -> Iterator[tuple[int, bool]]:
        for service, endpoint in self.services_of(pod):
            for port in service.ports:
                if (number := endpoint.port(port.name)) is not None:
                    yield number, port.http

    def services_of(self, pod: Pod) -> Iterator[tuple[Service, Endpoint]]:
        """Yield each Service that the pod is behind, ready or not, with its entry there."""
        yield from self._behind.get(pod.address, ())

    @cached_property
    def _behind(self) -> dict[str, list[tuple[Service, Endpoint]]]:
        found: dict[str, list[tuple[Service, Endpoint]]] = {}
        for key, endpoints in (*self.snapshot.endpoints.items(), *self.snapshot.unready.items()):
            service = self.snapshot.services.get(key)
            if service is not None:
                for endpoint in endpoints:
                    found.setdefault(endpoint.address, []).append((service, endpoint))
        return found

    def outside_rules(self, pod: Pod, port: int) -> tuple[Rule, ...]:  # noqa: ARG002
        """Return what the server's sidecar does to requests of clients outside the mesh: nothing (SPLIT-002)."""
        return ()
