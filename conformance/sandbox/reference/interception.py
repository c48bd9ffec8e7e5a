"""How traffic gets into a sidecar, and which addresses sockets really use: the one place where the sandbox
differs from a cluster.

On a cluster iptables redirects a pod's connections to the sidecar, which learns the original destination from the
kernel, and moves the datagrams that arrive to other ports of the pod (`intercept`, the init container's program, has
the rules). In the sandbox a shim in the pod connects to the sidecar itself and says the destination in a PROXY header,
and `10.n.a.b` is `127.n.a.b` on the wire. Envoy treats both alike: `use_original_dst` hands the connection to the
listener of the destination.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

Json = Mapping[str, Any]

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
ADMIN_PORT: Final = 15000
UDP_SHIFT: Final = 16384
"""How far the ports of datagrams are moved on a cluster: ports below it stay outside the kernel's ephemeral range."""
FROM_PROXY: Final = "127.0.0.6"
"""Where a sidecar's connections to its own pod's containers come from on a cluster, lest they are redirected again."""
PROXY_USER: Final = 1337
"""User and group of the sidecars on a cluster."""

_FILTERS: Final = "type.googleapis.com/envoy.extensions.filters.listener"
PROXY_PROTOCOL: Final[Json] = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typed_config": {"@type": f"{_FILTERS}.proxy_protocol.v3.ProxyProtocol"},
}
ORIGINAL_DST: Final[Json] = {
    "name": "envoy.filters.listener.original_dst",
    "typed_config": {"@type": f"{_FILTERS}.original_dst.v3.OriginalDst"},
}
_KNOWN: Final = 8192  # addresses: that of every Service is looked at for every proxy
_INSIDE: Final = 64  # added to the third octet of a pod's address
_PORTS: Final = 65535


@dataclass(frozen=True)
class Interception:
    """How sidecars meet traffic on one kind of network.

    `owns_ports`: the sidecar itself binds the pod's ports, as nothing redirects connections that arrive for them.
    `proxy_user`: user and group of the sidecars, where they are not the control plane's own.
    """

    loopback: bool
    outbound_filter: Json
    owns_ports: bool
    proxy_user: int | None = None

    def wire(self, address: str) -> str:
        """Return the address that sockets use for a cluster address; empty for one that must not be connected to."""
        if not self.loopback:
            return address
        first, _, rest = _checked(address).partition(".")
        return f"127.{rest}" if first == "10" else ""

    def application(self, pod_address: str) -> str:
        """Return the address at which the pod's own containers listen, behind the sidecar."""
        if not self.loopback:
            return pod_address
        first, second, third, fourth = self.wire(pod_address).split(".")
        return f"{first}.{second}.{int(third) + _INSIDE}.{fourth}"

    def outbound(self, pod_address: str) -> str:
        """Return the address of the listener that the pod's outgoing connections are sent to."""
        return self.application(pod_address) if self.loopback else "0.0.0.0"  # noqa: S104 - inside the pod

    def admin(self, pod_address: str) -> str:
        """Return the address of Envoy's administration and readiness."""
        return self.wire(pod_address) if self.loopback else "0.0.0.0"  # noqa: S104 - inside the pod

    def datagrams(self, port: int) -> int:
        """Return the port at which the sidecar takes the datagrams that are sent to a port of the pod."""
        return port if self.owns_ports else (port - 1 + UDP_SHIFT) % _PORTS + 1


@lru_cache(_KNOWN)
def _checked(address: str) -> str:
    try:
        return str(ipaddress.IPv4Address(address))
    except ValueError:
        return ""


SANDBOX: Final = Interception(loopback=True, outbound_filter=PROXY_PROTOCOL, owns_ports=True)
CLUSTER: Final = Interception(loopback=False, outbound_filter=ORIGINAL_DST, owns_ports=False, proxy_user=PROXY_USER)
NETWORKS: Final[Mapping[str, Interception]] = {"sandbox": SANDBOX, "cluster": CLUSTER}
