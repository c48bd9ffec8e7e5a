"""Envoy clusters: the endpoints of a Service's port, and the pod's own containers."""

from __future__ import annotations

from typing import Any, Final

from conformance.sandbox.reference import tls
from conformance.sandbox.reference.interception import FROM_PROXY, Interception
from conformance.sandbox.reference.listeners import INBOUND_PASSTHROUGH, PASSTHROUGH, inbound_cluster
from conformance.sandbox.reference.plan import Destination, InboundPort, Peer

Resource = dict[str, Any]

_CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_HTTP: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_AS_THE_CLIENT: Final[Resource] = {
    _HTTP: {
        "@type": f"type.googleapis.com/{_HTTP}",
        "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
    },
}
_PLAINTEXT: Final[Resource] = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
# Connections of the proxy to its own pod are redirected to it as those of any client, but for these.
_INSIDE_THE_POD: Final[Resource] = {
    "upstream_bind_config": {"source_address": {"address": FROM_PROXY, "port_value": 0}},
}
CONNECT_TIMEOUT: Final = "5s"
MOST: Final = 50_000
"""Connections, and requests, to one destination at a time: Envoy's own 1,024 would be a limit that nobody asked for."""
_LIMITS: Final[Resource] = {"thresholds": [
    {"max_connections": MOST, "max_pending_requests": MOST, "max_requests": MOST},
]}


def destination(interception: Interception, target: Destination) -> Resource:
    """Return the cluster of a destination: mTLS to peers with a sidecar, plaintext to others.

    A sidecar must show the identity of one of the destination's own service accounts.
    """
    peers = [peer for peer in target.peers if interception.wire(peer.address)]
    identities = sorted({peer.identity for peer in peers if peer.identity})
    mixed = bool(identities) and not all(peer.identity for peer in peers)
    cluster = _static(target.name, [_endpoint(interception, peer, marked=mixed) for peer in peers])
    if identities and not mixed:
        # The usual case, in fewer words: Envoy reads all of them again at each change.
        cluster["transport_socket"] = tls.upstream(identities)
    elif mixed:
        cluster["transport_socket_matches"] = [
            {"name": "mesh", "match": {"mesh": "true"}, "transport_socket": tls.upstream(identities)},
            {"name": "outside", "match": {}, "transport_socket": _PLAINTEXT},
        ]
    return cluster


def application(interception: Interception, pod_address: str, port: InboundPort) -> Resource:
    """Return the cluster of the pod's own container."""
    cluster = _static(inbound_cluster(port), [_address(interception.application(pod_address), port.port)])
    return cluster if interception.loopback else cluster | _INSIDE_THE_POD


def passthrough(interception: Interception) -> list[Resource]:
    """Return the clusters that connect to wherever the client wanted to go: outside the pod, or inside it."""
    outside = _passthrough(PASSTHROUGH)
    return [outside] if interception.owns_ports else [outside, _passthrough(INBOUND_PASSTHROUGH) | _INSIDE_THE_POD]


def _passthrough(name: str) -> Resource:
    return {"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": CONNECT_TIMEOUT, "circuit_breakers": _LIMITS}


def _static(name: str, endpoints: list[Resource]) -> Resource:
    return {
        "@type": _CLUSTER, "name": name, "type": "STATIC", "connect_timeout": CONNECT_TIMEOUT,
        "typed_extension_protocol_options": _AS_THE_CLIENT, "circuit_breakers": _LIMITS,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _endpoint(interception: Interception, peer: Peer, *, marked: bool) -> Resource:
    endpoint = _address(interception.wire(peer.address), peer.port)
    if marked and peer.identity:
        endpoint["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": {"mesh": "true"}}}
    return endpoint


def _address(address: str, port: int) -> Resource:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
