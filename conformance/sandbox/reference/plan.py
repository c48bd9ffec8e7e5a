"""What one sidecar shall do, in the words of the mesh: the result of the translation, before it becomes Envoy's JSON.

Keeping the two apart lets tests and mutants speak of rules and shares, not of listeners and filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from conformance.sandbox.reference.http_route import RequestMatch
from conformance.sandbox.reference.model import HeaderMatch, Pod

ANY_HOST: Final = ("*",)
ANYONE: Final = ("*",)
"""Identities of a grant that holds for every caller, even one without an identity."""


@dataclass(frozen=True)
class Peer:
    """An address to connect to; `identity` is the SPIFFE id to expect there, empty where there is no sidecar."""

    address: str
    port: int
    identity: str = ""


@dataclass(frozen=True)
class Destination:
    """Peers among which requests are spread evenly. The name is unique within a plan."""

    name: str
    peers: tuple[Peer, ...]


@dataclass(frozen=True)
class Share:
    """A destination and its relative weight, above zero."""

    destination: Destination
    weight: int = 1


@dataclass(frozen=True)
class Rule:
    """Requests to one of `hosts` with all of `headers` go to `shares`; without shares they are refused.

    `request` are further conditions, those of an HTTPRoute. `portion`: only so much of what matches, by chance.
    `copied_to` names a destination of the plan that gets a copy of each request; a correct mesh makes none.
    """

    shares: tuple[Share, ...]
    headers: tuple[HeaderMatch, ...] = ()
    hosts: tuple[str, ...] = ANY_HOST
    request: RequestMatch | None = None
    refusal: int = 503
    portion: Fraction = Fraction(1)
    copied_to: str = ""


@dataclass(frozen=True)
class Permission:
    """Requests with all of this; what is empty is any.

    `path` is an expression that the path has to match from its start, but not up to its end. `version` is one of HTTP,
    such as `HTTP/2`; a correct mesh makes no difference between them (HRG-001).
    """

    path: str = ""
    methods: tuple[str, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class Grant:
    """Callers with one of these SPIFFE ids may send requests that have any of these permissions."""

    identities: tuple[str, ...]
    permissions: tuple[Permission, ...] = (Permission(),)


Policy = tuple[Grant, ...]
"""What is let in: the union of the grants, so nothing without any. Where TCP is spoken only the identities count."""


@dataclass(frozen=True)
class VirtualService:
    """What happens to traffic for one cluster IP and port: the first rule that matches is taken.

    The last rule matches everything; for TCP, where there are no headers, it is the only one that counts.
    `policy` is what the client's own sidecar lets out; a correct mesh enforces at the server only, and has None.
    """

    name: str
    address: str
    port: int
    http: bool
    rules: tuple[Rule, ...]
    policy: Policy | None = None


@dataclass(frozen=True)
class InboundPort:
    """A TCP port of the pod itself. `outside_rules` are for clients without a sidecar; empty in a correct mesh.

    `policy` is enforced on connections of the mesh, `outside_policy` on those without an identity; None lets all in.
    """

    port: int
    http: bool
    outside_rules: tuple[Rule, ...] = ()
    policy: Policy | None = None
    outside_policy: Policy | None = None


@dataclass(frozen=True)
class DatagramPort:
    """A UDP port of the pod itself. Datagrams from `sources` (pod addresses) are let in; None lets all in."""

    port: int
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that one pod's sidecar does.

    `services` are destinations to keep although no rule may name them: connections made before a change still do.
    `closed`: nothing is let in at ports that are not among `inbound`. `service_ranges`: networks of cluster IPs, where
    nothing is connected to that is not among `outbound`.
    """

    pod: Pod
    outbound: tuple[VirtualService, ...]
    inbound: tuple[InboundPort, ...]
    datagrams: tuple[DatagramPort, ...] = ()
    services: tuple[Destination, ...] = ()
    closed: bool = False
    service_ranges: tuple[str, ...] = ()

    def destinations(self) -> tuple[Destination, ...]:
        """Return every destination, once."""
        named = (share.destination for share in self._shares())
        return tuple({target.name: target for target in (*self.services, *named)}.values())

    def in_plaintext(self) -> Plan:
        """Return the plan of a sidecar that shows no identity, and asks for none: it encrypts nothing."""
        return replace(self, outbound=tuple(map(_bare_service, self.outbound)),
                       services=tuple(map(_bare, self.services)))

    def _shares(self) -> Iterator[Share]:
        for virtual in self.outbound:
            for rule in virtual.rules:
                yield from rule.shares
        for inbound in self.inbound:
            for rule in inbound.outside_rules:
                yield from rule.shares


def _bare_service(virtual: VirtualService) -> VirtualService:
    return replace(virtual, rules=tuple(
        replace(rule, shares=tuple(Share(_bare(share.destination), share.weight) for share in rule.shares))
        for rule in virtual.rules
    ))


def _bare(target: Destination) -> Destination:
    return Destination(target.name, tuple(Peer(peer.address, peer.port) for peer in target.peers))
