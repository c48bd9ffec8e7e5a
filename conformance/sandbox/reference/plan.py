"""What one sidecar shall do, in the words of the mesh: the result of the translation, before it becomes Envoy's JSON.

Keeping the two apart lets tests and mutants speak of rules and shares, not of listeners and filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conformance.sandbox.reference.model import HeaderMatch, Pod

ANY_HOST: Final = ("*",)


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
    """Requests to one of `hosts` with all of `headers` go to `shares`; without shares they are refused (503)."""

    shares: tuple[Share, ...]
    headers: tuple[HeaderMatch, ...] = ()
    hosts: tuple[str, ...] = ANY_HOST


@dataclass(frozen=True)
class VirtualService:
    """What happens to traffic for one cluster IP and port: the first rule that matches is taken.

    The last rule matches everything; for TCP, where there are no headers, it is the only one that counts.
    """

    name: str
    address: str
    port: int
    http: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class InboundPort:
    """A port of the pod itself. `outside_rules` are for clients without a sidecar; empty in a correct mesh."""

    port: int
    http: bool
    outside_rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that one pod's sidecar does.

    `services` are destinations to keep although no rule may name them: connections made before a change still do.
    """

    pod: Pod
    outbound: tuple[VirtualService, ...]
    inbound: tuple[InboundPort, ...]
    services: tuple[Destination, ...] = ()

    def destinations(self) -> tuple[Destination, ...]:
        """Return every destination, once."""
        named = (share.destination for share in self._shares())
        return tuple({target.name: target for target in (*self.services, *named)}.values())

    def _shares(self) -> Iterator[Share]:
        for virtual in self.outbound:
            for rule in virtual.rules:
                yield from rule.shares
        for inbound in self.inbound:
            for rule in inbound.outside_rules:
                yield from rule.shares
