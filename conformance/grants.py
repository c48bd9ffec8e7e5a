"""What has to stand as long as a run on a mesh that denies by default everywhere: leave for the sample traffic.

TrafficSplit is judged by where traffic goes, so traffic has to be allowed. Where a namespace cannot be left out of
deny-by-default, TrafficTargets allow the clients to use everything of the servers, over HTTP and TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from conformance import smi
from conformance.cluster import Object
from conformance.smi import EVERYTHING, Rule, ServedApis
from conformance.topology import Topology

CLIENTS: Final = ("client", "second-client", "neighbour")
SERVERS: Final = ("v1", "v2", "v3")
PORTS: Final = (8080, 8081, 9090, 7070)


def has_policy(topology: Topology, apis: ServedApis) -> bool:
    """Tell whether the mesh implements TrafficTarget, and the cluster serves it."""
    version = apis.version(smi.ACCESS, "TrafficTarget")
    return version is not None and topology.mesh.claims(smi.ACCESS, version)


def denied_everywhere(topology: Topology, apis: ServedApis) -> bool:
    """Tell whether the mesh denies by default in all namespaces, those of other suites as well."""
    return has_policy(topology, apis) and not topology.mesh.access.exempt


def grant(topology: Topology, apis: ServedApis, *servers: str, clients: Sequence[str] = CLIENTS,
          ports: Sequence[int] = PORTS) -> None:
    """Allow clients to use these workloads, where that is needed. Raises ClusterError."""
    if not denied_everywhere(topology, apis):
        return
    targets = (target for server in servers for target in _targets(topology, apis, server, clients, ports))
    for obj in (*_routes(topology, apis), *targets):
        topology.cluster.apply(obj)


def _routes(topology: Topology, apis: ServedApis) -> list[Object]:
    namespace = topology.namespace("app")
    return [smi.http_route_group(apis, "everything", namespace, [EVERYTHING]),
            smi.tcp_route(apis, "everything", namespace, [])]


def _targets(
    topology: Topology, apis: ServedApis, server: str, clients: Sequence[str], ports: Sequence[int],
) -> list[Object]:
    destination = topology.account(server)
    sources = [topology.account(client) for client in clients]
    numbers = dict.fromkeys(smi.usual_port(apis, port) for port in ports)
    return [
        smi.traffic_target(apis, f"{server}-{number}-{kind.lower()}", topology.namespace("app"), destination,
                           [Rule(kind, "everything")], sources, port=port)
        for number, port in enumerate(numbers) for kind in ("HTTPRouteGroup", "TCPRoute")
    ]
