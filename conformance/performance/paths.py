"""The ways a request can take: with and without a sidecar at either end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conformance.service import Service
from conformance.topology import Topology

LOAD_PORT: Final = 8090
"""The port of the fast server that the probes start in server pods."""
DIRECT: Final = "direct"
AGAIN: Final = "direct-again"
CLIENT: Final = "client-side"
SERVER: Final = "server-side"
BOTH: Final = "both"
PLAINTEXT: Final = "both-plaintext"

_ENDS: Final[Mapping[str, tuple[str, str]]] = {
    DIRECT: ("plain-client", "plain-server"),
    AGAIN: ("plain-client", "plain-server"),
    CLIENT: ("client", "plain-server"),
    SERVER: ("plain-client", "server"),
    BOTH: ("client", "server"),
    PLAINTEXT: ("client", "plaintext-server"),
}


@dataclass(frozen=True)
class Path:
    """A way from a client to a server.

    `proxied` are the workloads whose sidecars a request passes. `direct-again` is the direct way a second time: what is
    found between the two is the noise of the measurement.
    """

    name: str
    client: str
    server: str
    service: Service
    proxied: tuple[str, ...]
    scheme: str = "http"

    def url(self, target: str = "/", port: int = LOAD_PORT) -> str:
        """Return the URL by which its client asks its server."""
        return f"{self.scheme}://{self.service.hosts[0]}:{port}{target if self.scheme == 'http' else ''}"


def path(topology: Topology, name: str) -> Path:
    """Return the way of that name. Raises KeyError for one that the mesh does not have."""
    return between(topology, name, *_ENDS[name])


def between(
    topology: Topology, name: str, client: str, server: str, service: Service | None = None, scheme: str = "http",
) -> Path:
    """Return a way from a client to a server, through a Service (by default the server's standing one)."""
    meshed = tuple(workload for workload in (client, server) if topology.in_mesh(workload))
    return Path(name, client, server, service or topology.service(server), meshed, scheme)


def available(topology: Topology) -> tuple[str, ...]:
    """Return the names of the ways that the mesh has: not every mesh can leave out encryption."""
    return tuple(name for name in _ENDS if name != PLAINTEXT or topology.mesh.plaintext)
