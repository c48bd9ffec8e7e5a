"""Listeners: one that takes all outgoing connections, one per cluster IP and port, one per port of the pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from conformance.sandbox.reference import access_log, rbac, routes, tls
from conformance.sandbox.reference.interception import INBOUND_PORT, OUTBOUND_PORT, Interception
from conformance.sandbox.reference.plan import ANYONE, InboundPort, Plan, Policy, VirtualService

Resource = dict[str, Any]

PASSTHROUGH: Final = "passthrough"
INBOUND_PASSTHROUGH: Final = "inbound-passthrough"
EARLY_DATA: Final = 64 * 1024  # bytes of a client that are kept until the application is connected to

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
_AT_THE_SERVER: Final[Resource] = _TELL_THE_CLIENT | access_log.logged("server")


def catch_all(interception: Interception, plan: Plan) -> list[Resource]:
    """Return the listeners that intercepted connections arrive at.

    They pass each on to the listener of its original destination; where there is none, to that destination itself,
    unless the plan has it closed.
    """
    # A new Service's address leads nowhere until the node knows it. A connection there would not arrive, and the kernel
    # would take the next of the application's from the same port for a part of it, and not redirect it.
    unknown = [{"prefix_ranges": [_range(network) for network in plan.service_ranges]}] if plan.service_ranges else []
    address = interception.outbound(plan.pod.address)
    outbound = _catch("outbound", address, OUTBOUND_PORT, interception, PASSTHROUGH, unknown)
    if interception.owns_ports:
        return [outbound]
    others = routes.NOWHERE if plan.closed else INBOUND_PASSTHROUGH
    return [outbound, _catch("inbound", address, INBOUND_PORT, interception, others)]


def _catch(
    name: str, address: str, port: int, interception: Interception, cluster: str, closed: Sequence[Resource] = (),
) -> Resource:
    # A connection to such a listener itself would be passed on to where it came from, for as long as there are files.
    itself = [{"destination_port": own} for own in (OUTBOUND_PORT, INBOUND_PORT)]
    return _listener(name, address, port) | {
        "use_original_dst": True,
        "listener_filters": [interception.outbound_filter],
        "filter_chains": [
            {"name": f"closed-{number}", "filter_chain_match": match,
             "filters": [routes.to_tcp_cluster(name, routes.NOWHERE)]}
            for number, match in enumerate((*itself, *closed))
        ],
        "default_filter_chain": {"name": "others", "filters": [routes.to_tcp_cluster(name, cluster)]},
    }


def _range(network: str) -> Resource:
    address, _, length = network.partition("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def virtual(interception: Interception, service: VirtualService) -> Resource:
    """Return the listener for one port of a Service; connections come to it from the outbound listener."""
    name = f"outbound|{service.name}"
    logged = access_log.logged("client", service.name.rpartition(":")[0])
    if service.http:
        filter_ = routes.http(name, service.rules, extra=logged, policy=service.policy)
    else:
        filter_ = routes.tcp(name, service.rules[-1].shares if _lets_anyone_in(service.policy) else ())
    return _listener(name, interception.wire(service.address), service.port) | {
        "bind_to_port": False, "filter_chains": [{"filters": [filter_]}],
    }


def inbound(interception: Interception, pod_address: str, port: InboundPort) -> Resource:
    """Return the listener for one port of the pod.

    mTLS of the mesh is terminated, anything else is taken as it comes, unless a policy keeps it out: TrafficSplit asks
    that clients without a proxy still reach the Service (SPLIT-002).
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
            "transport_socket": tls.downstream(_callers(port)),
            "filters": [_from_mesh(port)],
        }],
        "default_filter_chain": {"name": "outside", "filters": [_from_outside(port)]},
    }


def inbound_cluster(port: InboundPort) -> str:
    """Return the name of the cluster that is the pod's own container."""
    return f"inbound|{port.port}"


def _callers(port: InboundPort) -> tuple[str, ...]:
    """Return the identities that the handshake has to show; none where it is not the handshake that judges."""
    if port.http or port.policy is None or _lets_anyone_in(port.policy):
        return ()
    return rbac.identities(port.policy)


def _lets_anyone_in(policy: Policy | None) -> bool:
    return policy is None or rbac.identities(policy) == ANYONE


def _from_mesh(port: InboundPort) -> Resource:
    if port.http:
        return _to_http(port, port.policy)
    filter_ = _to_tcp(port, refused=port.policy is not None and not rbac.identities(port.policy))
    if _callers(port):
        # By default the application is connected to at once, also for a client whose handshake then fails.
        filter_["typed_config"] |= {"upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE",
                                    "max_early_data_bytes": EARLY_DATA}
    return filter_


def _to_http(port: InboundPort, policy: Policy | None) -> Resource:
    name = inbound_cluster(port)
    return routes.to_cluster(name, name, extra=_AT_THE_SERVER, policy=policy)


def _to_tcp(port: InboundPort, *, refused: bool) -> Resource:
    name = inbound_cluster(port)
    return routes.to_tcp_cluster(name, routes.NOWHERE if refused else name)


def _from_outside(port: InboundPort) -> Resource:
    if not port.http:
        return _to_tcp(port, refused=not _lets_anyone_in(port.outside_policy))
    filter_ = _to_http(port, port.outside_policy)
    if port.outside_rules:
        config = routes.http(inbound_cluster(port), port.outside_rules)["typed_config"]["route_config"]
        config["virtual_hosts"].append(routes.catch_all(inbound_cluster(port)))
        filter_["typed_config"]["route_config"] = config
    return filter_


def _listener(name: str, address: str, port: int) -> Resource:
    return {"@type": _LISTENER, "name": name,
            "address": {"socket_address": {"address": address, "port_value": port}}}
