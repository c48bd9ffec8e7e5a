"""Listeners: one that takes all outgoing connections, one per cluster IP and port, one per port of the pod."""

from __future__ import annotations

from typing import Any, Final

from conformance.sandbox.reference import routes, tls
from conformance.sandbox.reference.interception import INBOUND_PORT, OUTBOUND_PORT, Interception
from conformance.sandbox.reference.plan import InboundPort, VirtualService

Resource = dict[str, Any]

PASSTHROUGH: Final = "passthrough"

_LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
_TLS_INSPECTOR: Final[Resource] = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    },
}
# The application learns who calls it from Envoy alone: what a client wrote there itself is dropped.
_TELL_THE_CLIENT: Final[Resource] = {
    "forward_client_cert_details": "SANITIZE_SET", "set_current_client_cert_details": {"uri": True},
}


def catch_all(interception: Interception, pod_address: str) -> list[Resource]:
    """Return the listeners that intercepted connections arrive at.

    They pass each on to the listener of its original destination; where there is none, to that destination itself.
    """
    outbound = _catch("outbound", interception.outbound(pod_address), OUTBOUND_PORT, interception)
    if interception.owns_ports:
        return [outbound]
    return [outbound, _catch("inbound", interception.outbound(pod_address), INBOUND_PORT, interception)]


def _catch(name: str, address: str, port: int, interception: Interception) -> Resource:
    return _listener(name, address, port) | {
        "use_original_dst": True,
        "listener_filters": [interception.outbound_filter],
        "filter_chains": [{"filters": [routes.to_tcp_cluster(PASSTHROUGH, PASSTHROUGH)]}],
    }


def virtual(interception: Interception, service: VirtualService) -> Resource:
    """Return the listener for one port of a Service; connections come to it from the outbound listener."""
    name = f"outbound|{service.name}"
    filter_ = routes.http(name, service.rules) if service.http else routes.tcp(name, service.rules[-1].shares)
    return _listener(name, interception.wire(service.address), service.port) | {
        "bind_to_port": False, "filter_chains": [{"filters": [filter_]}],
    }


def inbound(interception: Interception, pod_address: str, port: InboundPort) -> Resource:
    """Return the listener for one port of the pod.

    mTLS of the mesh is terminated, anything else is taken as it comes: TrafficSplit asks that clients without a
    proxy still reach the Service (SPLIT-002).
    """
    name = inbound_cluster(port)
    return _listener(name, interception.wire(pod_address), port.port) | {
        "bind_to_port": interception.owns_ports,
        "listener_filters": [_TLS_INSPECTOR],
        # A server that speaks first sends nothing to inspect: go on without.
        "listener_filters_timeout": "1s", "continue_on_listener_filters_timeout": True,
        "filter_chains": [{
            "name": "mesh",
            "filter_chain_match": {"transport_protocol": "tls", "application_protocols": [tls.ALPN]},
            "transport_socket": tls.downstream(),
            "filters": [_to_application(port)],
        }],
        "default_filter_chain": {"name": "outside", "filters": [_from_outside(port)]},
    }


def inbound_cluster(port: InboundPort) -> str:
    """Return the name of the cluster that is the pod's own container."""
    return f"inbound|{port.port}"


def _to_application(port: InboundPort) -> Resource:
    name = inbound_cluster(port)
    return routes.to_cluster(name, name, extra=_TELL_THE_CLIENT) if port.http else routes.to_tcp_cluster(name, name)


def _from_outside(port: InboundPort) -> Resource:
    filter_ = _to_application(port)
    if port.http and port.outside_rules:
        config = routes.http(inbound_cluster(port), port.outside_rules)["typed_config"]["route_config"]
        config["virtual_hosts"].append(routes.catch_all(inbound_cluster(port)))
        filter_["typed_config"]["route_config"] = config
    return filter_


def _listener(name: str, address: str, port: int) -> Resource:
    return {"@type": _LISTENER, "name": name,
            "address": {"socket_address": {"address": address, "port_value": port}}}
