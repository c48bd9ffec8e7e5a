"""What the reference mesh knows of a cluster, independent of any API version and of Envoy.

Everything is frozen: a snapshot is taken, translated and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from conformance.sandbox.reference.http_route import HTTPRoute

TRUST_DOMAIN: Final = "cluster.local"

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class Account:
    """A ServiceAccount, which is an identity."""

    namespace: str
    name: str

    @property
    def identity(self) -> str:
        """The SPIFFE id."""
        return f"spiffe://{TRUST_DOMAIN}/ns/{self.namespace}/sa/{self.name}"


@dataclass(frozen=True)
class ServicePort:
    """One TCP port of a Service. `http` is False where the Service declares it as plain TCP."""

    name: str
    number: int
    http: bool = True


@dataclass(frozen=True)
class Endpoint:
    """An address behind a Service.

    `ports` maps the names of the Service's TCP ports to the pod's ports; `udp_ports` are the pod's ports for UDP.
    `ready`: clients may be sent to it.
    """

    address: str
    ports: tuple[tuple[str, int], ...]
    udp_ports: tuple[int, ...] = ()
    ready: bool = True

    def port(self, name: str) -> int | None:
        """Return the pod's own port for a port of the Service."""
        return dict(self.ports).get(name)


@dataclass(frozen=True)
class Service:
    """A Service. `cluster_ip` is empty where there is none (headless, ExternalName)."""

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ip: str = ""
    external_name: str = ""
    ports: tuple[ServicePort, ...] = ()
    created: str = ""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    def port(self, number: int) -> ServicePort | None:
        """Return the port with that number."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True)
class Probe:
    """A path that the node asks for at a port of the pod, to see whether it is well."""

    port: int
    path: str


@dataclass(frozen=True)
class Pod:
    """A pod that has an address.

    `meshed`: it asked for a sidecar; `ports`: declared TCP ports, and whether HTTP; `udp_ports`: declared UDP ports;
    `plaintext`: it asked that traffic to and from it is not encrypted.
    """

    namespace: str
    name: str
    uid: str
    address: str
    service_account: str = "default"
    ports: tuple[tuple[int, bool], ...] = ()
    udp_ports: tuple[int, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    probes: tuple[Probe, ...] = ()
    meshed: bool = False
    plaintext: bool = False
    terminating: bool = False
    created: str = ""

    @property
    def identity(self) -> str:
        """The SPIFFE id of the pod's service account."""
        return self.account.identity

    @property
    def account(self) -> Account:
        """The pod's service account."""
        return Account(self.namespace, self.service_account)


@dataclass(frozen=True)
class Backend:
    """One entry of a split's backends."""

    service: str
    weight: Fraction


@dataclass(frozen=True)
class Split:
    """A TrafficSplit. `groups` is None where all requests are split, else the route groups that select requests."""

    namespace: str
    name: str
    root: str
    backends: tuple[Backend, ...]
    groups: tuple[str, ...] | None = None
    uid: str = ""
    generation: int = 1
    created: str = ""
    api_version: str = "split.smi-spec.io/v1alpha4"

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def root_key(self) -> Key:
        """Namespace and name of the root Service."""
        return self.namespace, self.root


@dataclass(frozen=True)
class HeaderMatch:
    """A header whose value has to match a regular expression as a whole."""

    name: str
    regex: str


@dataclass(frozen=True)
class Match:
    """One match of a route group: what is empty is any. A split looks at the headers only (SPLIT-024, SPLIT-027)."""

    name: str
    headers: tuple[HeaderMatch, ...] = ()
    path_regex: str = ""
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class RouteGroup:
    """An HTTPRouteGroup."""

    namespace: str
    name: str
    matches: tuple[Match, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True)
class PortRoute:
    """A TCPRoute or UDPRoute. No ports are all ports."""

    namespace: str
    name: str
    ports: tuple[int, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


RouteKind = Literal["HTTPRouteGroup", "TCPRoute", "UDPRoute"]


@dataclass(frozen=True)
class TargetRule:
    """A route that a target names. `matches` are names of matches of an HTTPRouteGroup; none are all of them."""

    kind: RouteKind
    name: str
    matches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A TrafficTarget. `port` restricts it to one port of the destination; v1alpha3 has no such field."""

    namespace: str
    name: str
    destination: Account
    rules: tuple[TargetRule, ...] = ()
    sources: tuple[Account, ...] = ()
    port: int | None = None
    uid: str = ""
    generation: int = 1
    created: str = ""
    api_version: str = "access.smi-spec.io/v1alpha3"

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True)
class Subject:
    """The object that an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int


@dataclass(frozen=True)
class Problem:
    """A misconfiguration, told to people as an event of type Warning."""

    subject: Subject
    reason: str
    message: str


@dataclass(frozen=True)
class Snapshot:
    """All that one translation needs.

    `endpoints` holds the ready endpoints of each Service, `unready` those that are not yet or no longer: their own
    sidecars take what arrives all the same, because clients' sidecars hear of them later or earlier.
    `deny_by_default`: only what targets allow is let in, except to pods of the namespaces `open`.
    `service_ranges` are the networks that Services have their cluster IPs from, where the cluster tells.
    """

    services: Mapping[Key, Service] = field(default_factory=dict)
    endpoints: Mapping[Key, tuple[Endpoint, ...]] = field(default_factory=dict)
    pods: Mapping[str, Pod] = field(default_factory=dict)
    splits: tuple[Split, ...] = ()
    groups: Mapping[Key, RouteGroup] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    tcp_routes: Mapping[Key, PortRoute] = field(default_factory=dict)
    udp_routes: Mapping[Key, PortRoute] = field(default_factory=dict)
    deny_by_default: bool = False
    open: frozenset[str] = frozenset()
    malformed: tuple[Problem, ...] = ()
    unready: Mapping[Key, tuple[Endpoint, ...]] = field(default_factory=dict)
    service_ranges: tuple[str, ...] = ()
    routes: tuple[HTTPRoute, ...] = ()

    def pod_at(self, address: str) -> Pod | None:
        """Return the pod with that address."""
        return self.pods.get(address)


def subject_of(obj: Split | Target) -> Subject:
    """Return a split or target as the subject of an event."""
    kind = "TrafficSplit" if isinstance(obj, Split) else "TrafficTarget"
    return Subject(obj.api_version, kind, obj.namespace, obj.name, obj.uid, obj.generation)
