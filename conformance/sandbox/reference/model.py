"""What the reference mesh knows of a cluster, independent of any API version and of Envoy.

Everything is frozen: a snapshot is taken, translated and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

TRUST_DOMAIN: Final = "cluster.local"

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class ServicePort:
    """One TCP port of a Service. `http` is False where the Service declares it as plain TCP."""

    name: str
    number: int
    http: bool = True


@dataclass(frozen=True)
class Endpoint:
    """A ready address behind a Service; `ports` maps the names of the Service's ports to the pod's ports."""

    address: str
    ports: tuple[tuple[str, int], ...]

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
class Pod:
    """A pod that has an address. `meshed`: it asked for a sidecar; `ports`: declared TCP ports, and whether HTTP."""

    namespace: str
    name: str
    uid: str
    address: str
    service_account: str = "default"
    ports: tuple[tuple[int, bool], ...] = ()
    meshed: bool = False
    terminating: bool = False
    created: str = ""

    @property
    def identity(self) -> str:
        """The SPIFFE id of the pod's service account."""
        return spiffe_id(self.namespace, self.service_account)


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
    """One match of a route group. A split looks at nothing but the headers (SPLIT-024, SPLIT-027)."""

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
    """All that one translation needs. `endpoints` holds the ready endpoints of each Service."""

    services: Mapping[Key, Service] = field(default_factory=dict)
    endpoints: Mapping[Key, tuple[Endpoint, ...]] = field(default_factory=dict)
    pods: Mapping[str, Pod] = field(default_factory=dict)
    splits: tuple[Split, ...] = ()
    groups: Mapping[Key, RouteGroup] = field(default_factory=dict)
    malformed: tuple[Problem, ...] = ()

    def pod_at(self, address: str) -> Pod | None:
        """Return the pod with that address."""
        return self.pods.get(address)


def spiffe_id(namespace: str, service_account: str) -> str:
    """Return the SPIFFE id of a service account."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


def subject_of(split: Split) -> Subject:
    """Return a split as the subject of an event."""
    return Subject(split.api_version, "TrafficSplit", split.namespace, split.name, split.uid, split.generation)
