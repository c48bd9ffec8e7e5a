"""UDP: the pod's Envoy takes what is sent to its UDP ports, and passes on the datagrams of the addresses let in.

Envoy has no transparent sockets for redirected datagrams, so on a cluster the kernel moves those of a port to another
one, where Envoy listens; it moves the port of answers back. Envoy 1.40 warns at its start that the matcher of its UDP
proxy is work in progress; it has no other way to tell sources apart.
"""

from __future__ import annotations

from typing import Any, Final

from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.plan import DatagramPort

Resource = dict[str, Any]

_LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
_CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_PROXY: Final = "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3"
_SOURCE: Final[Resource] = {
    "name": "envoy.matching.inputs.source_ip",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput"},
}


def listener(interception: Interception, pod_address: str, port: DatagramPort) -> Resource:
    """Return the listener for one UDP port of the pod."""
    return {
        "@type": _LISTENER, "name": _name(port),
        "address": _address(interception.wire(pod_address), interception.datagrams(port.port)),
        "udp_listener_config": {},
        "listener_filters": [{
            "name": "envoy.filters.udp_listener.udp_proxy",
            "typed_config": {"@type": f"{_PROXY}.UdpProxyConfig", "stat_prefix": _name(port),
                             "matcher": _matcher(interception, port)},
        }],
    }


def application(interception: Interception, pod_address: str, port: DatagramPort) -> Resource:
    """Return the cluster of the pod's own container."""
    endpoint = {"endpoint": {"address": _address(interception.application(pod_address), port.port)}}
    return {
        "@type": _CLUSTER, "name": _name(port), "type": "STATIC",
        "load_assignment": {"cluster_name": _name(port), "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _matcher(interception: Interception, port: DatagramPort) -> Resource:
    # What no branch takes is dropped.
    passed = {"action": {"name": "pass", "typed_config": {"@type": f"{_PROXY}.Route", "cluster": _name(port)}}}
    if port.sources is None:
        return {"on_no_match": passed}
    addresses = [wire for source in port.sources if (wire := interception.wire(source))]
    # Envoy wants a branch at least: nothing comes from 0.0.0.0.
    branches = dict.fromkeys(addresses or ["0.0.0.0"], passed)  # noqa: S104 - an address that nobody has
    return {"matcher_tree": {"input": _SOURCE, "exact_match_map": {"map": branches}}}


def _name(port: DatagramPort) -> str:
    return f"inbound-udp|{port.port}"


def _address(address: str, port: int) -> Resource:
    return {"socket_address": {"protocol": "UDP", "address": address, "port_value": port}}
