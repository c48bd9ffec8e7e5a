"""The network of a sandbox pod: cluster addresses for a Python program whose sockets are all on loopback.

Run as `python podnet.py PROGRAM ARGS…`, `… -m MODULE ARGS…` or `… -c CODE ARGS…` (standard library only, also under
`-S -E`). The program sees pods at 10.n.0-63.x and cluster IPs at 10.n.128.x, n being the sandbox's network; on the
wire the first octet is 127. What kube-proxy, the cluster's DNS and an injected sidecar's iptables rules do on a node is
done here, at the program's `socket` module, and is the only difference between a pod of the sandbox and a real one:

- A pod's servers listen on the pod's address. When the pod is intercepted they listen on its *inside*
  (third octet + 64), except on the excluded ports, so that the sidecar can own the pod's address: for UDP as for TCP.
- A TCP connection to 10.n.* goes to one random endpoint of the service or to the pod. In an intercepted pod it goes to
  the sidecar's outbound port, led by a PROXY protocol v1 header that names the original destination.
- UDP always goes as kube-proxy would send it, from the pod's address, and keeps to its endpoint as a conntrack entry
  would: a sidecar has the datagrams that arrive at its pod, never those that leave.
- 127.0.0.1 and localhost are the pod itself. Two exceptions are reached as they are: the wire addresses of the own
  network, and the API server (KUBERNETES_SERVICE_HOST and _PORT).
- Every other address is unreachable: the sandbox never leaves loopback. There is no IPv6.
- Names are those of services, found along the search path of a pod. All else is not found.

Configuration: the environment's PODNET_POD names this pod's file (read once), PODNET_SERVICES the services of all
(read again when it was replaced). Not covered: raw file descriptors, programs in other languages, and extension modules
with sockets of their own.

One file on purpose: compiled once, it stands before every program of every pod, and none of those must find modules of
the sandbox.
"""

# ruff: noqa: PTH100, PTH109, PTH116, PTH120, PTH123 - pathlib would take longer to import than the rest of this file
# ruff: noqa: S104 - nothing is bound to all interfaces here; that is what this file prevents

from __future__ import annotations

import contextlib
import errno
import json
import os
import runpy
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = tuple[str, int]

CONNECT_LIMIT = 5.0  # seconds for a connect that the program asked to be non-blocking; loopback answers at once
FLOWS = 64  # UDP destinations that one socket remembers
IP_BIND_ADDRESS_NO_PORT = 24  # Linux: choose the port at connect, when it may be shared between destinations

real_getaddrinfo = socket.getaddrinfo


class Pod:
    """The pod that this process is in, and where its addresses are on the wire."""

    def __init__(self, config: dict[str, Any], environment: Iterable[tuple[str, str]] = ()) -> None:
        self.address: str = config["address"]
        self.namespace: str = config["namespace"]
        self.network: int = config["network"]
        intercept: dict[str, Any] | None = config["intercept"]
        self.outbound: int | None = intercept["outbound"] if intercept else None
        self.excluded = frozenset(intercept["exclude"] if intercept else ())
        self.virtual_prefix = f"10.{self.network}."
        self.wire_prefix = f"127.{self.network}."
        self.wire = self.wire_prefix + self.address.split(".", 2)[2]
        third, fourth = self.wire.split(".")[2:]
        self.inside = f"{self.wire_prefix}{int(third) + 64}.{fourth}"
        variables = dict(environment)
        self.api_server = (
            variables.get("KUBERNETES_SERVICE_HOST", ""),
            variables.get("KUBERNETES_SERVICE_PORT", ""),
        )

    def home(self, port: int, kind: int) -> str:
        """Where a server of this pod listens, on the wire."""
        # A datagram socket that leaves the port open is a client's, and servers look at where it comes from.
        client = kind == socket.SOCK_DGRAM and port == 0
        return self.wire if self.outbound is None or port in self.excluded or client else self.inside

    def virtual(self, address: Address) -> Address:
        """The cluster address of a wire address; a pod's inside is the pod."""
        host, port = address[:2]
        if not host.startswith(self.wire_prefix):
            return address
        third, fourth = host.split(".")[2:]
        if 64 <= int(third) < 128:
            third = str(int(third) - 64)
        return (f"{self.virtual_prefix}{third}.{fourth}", port)

    def to_wire(self, host: str) -> str:
        """The wire address of an address in this sandbox; other loopback addresses stay."""
        if host.startswith(self.virtual_prefix):
            return self.wire_prefix + host.split(".", 2)[2]
        if host.startswith("127."):
            return host
        raise unreachable(host)


def unreachable(host: str) -> OSError:
    return OSError(errno.ENETUNREACH, f"{os.strerror(errno.ENETUNREACH)}: {host} is outside the sandbox")


class Services:
    """The cluster's services as kube-proxy and DNS know them, from a file that is replaced when they change."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.version: tuple[int, int] | None = None
        self.names: dict[str, dict[str, Any]] = {}
        self.ports: dict[tuple[str, str, int], list[Address]] = {}
        self.cluster_ips: set[str] = set()

    def refresh(self) -> None:
        try:
            found = os.stat(self.path)
            version = (found.st_mtime_ns, found.st_ino)
            if version == self.version:
                return
            with open(self.path, "rb") as file:
                self.load(json.load(file)["services"])
            self.version = version
        except OSError:
            return  # not written yet, or the sandbox is ending: what is known stays
        except (ValueError, KeyError, TypeError) as error:
            self.version = version
            print(f"podnet: {self.path}: malformed, the services stay as they were: {error!r}", file=sys.stderr)

    def load(self, services: list[dict[str, Any]]) -> None:
        names, ports, cluster_ips = {}, {}, set()
        for service in services:
            names[f"{service['name']}.{service['namespace']}.svc.cluster.local"] = service
            address = service["cluster_ip"]
            if address is None:
                continue
            cluster_ips.add(address)
            for port in service["ports"]:
                endpoints = [(str(host), int(number)) for host, number in port["endpoints"]]
                ports[address, str(port["protocol"]), int(port["port"])] = endpoints
        self.names, self.ports, self.cluster_ips = names, ports, cluster_ips

    def destinations(self, address: Address, protocol: str) -> list[Address]:
        """Where kube-proxy may send a packet for address: endpoints of a service, or the address itself."""
        self.refresh()
        if address[0] not in self.cluster_ips:
            return [address]
        found = self.ports.get((address[0], protocol, address[1]))
        if not found:
            message = f"{os.strerror(errno.ECONNREFUSED)}: no ready endpoint behind {address[0]}:{address[1]}"
            raise ConnectionRefusedError(errno.ECONNREFUSED, message)
        return found

    def resolve(self, name: str, namespace: str) -> list[str]:
        """The addresses of a name as a pod's resolver finds them; empty when there is no such name."""
        self.refresh()
        name = name.lower()
        candidates = [name[:-1]]
        if not name.endswith("."):
            search = (f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local")
            candidates = [f"{name}.{suffix}" for suffix in search] + [name]
        for candidate in candidates:
            service = self.names.get(candidate)
            for _ in range(8):  # names that point at each other end somewhere
                if service is None or service["external_name"] is None:
                    break
                service = self.names.get(service["external_name"].lower().rstrip("."))
            if service is None or service["external_name"] is not None:
                continue
            if service["cluster_ip"] is not None:
                return [service["cluster_ip"]]
            addresses: list[str] = service["addresses"]
            first = chance(len(addresses)) if addresses else 0
            return addresses[first:] + addresses[:first]
        return []


def chance(count: int) -> int:
    """A random number below count. (The random module costs more to import than this file.)"""
    return int.from_bytes(os.urandom(4), "little") % count


class PodSocket(socket.socket):
    """A socket whose program sees cluster addresses. `pod` and `services` are set once, before the program starts."""

    __slots__ = ("_flows", "_original")

    pod: Pod
    services: Services

    # -- what the program says

    def bind(self, address: Any, /) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "the sandbox has no IPv6")
        if self.family != socket.AF_INET:
            super().bind(address)
            return
        host, port = self._numeric(address)
        pod = self.pod
        if host in ("0.0.0.0", pod.address) or (host.startswith("127.") and not host.startswith(pod.wire_prefix)):
            host = pod.home(port, self.type)
        elif not host.startswith(pod.wire_prefix):
            raise OSError(errno.EADDRNOTAVAIL, f"{os.strerror(errno.EADDRNOTAVAIL)}: {host} is not of this pod")
        super().bind((host, port))

    def listen(self, *backlog: int) -> None:
        if self.family == socket.AF_INET and super().getsockname()[0] == "0.0.0.0":
            self.bind(("0.0.0.0", 0))
        super().listen(*backlog)

    def connect(self, address: Any, /) -> None:
        if self.family == socket.AF_INET6:
            raise unreachable(str(address[0]))
        if self.family != socket.AF_INET:
            super().connect(address)
            return
        host, port = self._numeric(address)
        pod = self.pod
        if host.startswith("127."):
            if host.startswith(pod.wire_prefix) or (host, str(port)) == pod.api_server:
                super().connect((host, port))
                return
            host = pod.address
        if host in (pod.address, "0.0.0.0"):
            self._bind_source()
            super().connect((pod.home(port, self.type), port))
            return
        wire = pod.to_wire(host)
        if pod.outbound is not None and self.type == socket.SOCK_STREAM:
            self._connect_through_sidecar((host, port), (wire, port))
            return
        protocol = "UDP" if self.type == socket.SOCK_DGRAM else "TCP"
        choices = self.services.destinations((host, port), protocol)
        chosen = choices[chance(len(choices))] if len(choices) > 1 else choices[0]
        self._bind_source()
        self._original = (host, port)
        super().connect((pod.to_wire(chosen[0]), chosen[1]))

    def connect_ex(self, address: Any, /) -> int:
        try:
            self.connect(address)
        except TimeoutError:
            return errno.EAGAIN  # as socket.socket.connect_ex does
        except socket.gaierror:
            raise
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def _connect_through_sidecar(self, original: Address, wire: Address) -> None:
        pod = self.pod
        assert pod.outbound is not None
        timeout = self.gettimeout()
        # The header must be the first thing sent. A loopback connect never waits for the other program, so
        # a non-blocking one may block here, and then tells the program that it is complete already.
        if timeout == 0:
            self.settimeout(CONNECT_LIMIT)
        try:
            super().connect((pod.inside, pod.outbound))
            source = super().getsockname()[1]
            self.sendall(f"PROXY TCP4 {pod.wire} {wire[0]} {source} {wire[1]}\r\n".encode())
        finally:
            if timeout == 0:
                self.setblocking(False)
        self._original = original

    def _bind_source(self) -> None:
        """Let the other side see this pod as its client."""
        if super().getsockname()[0] == "0.0.0.0":
            if self.type == socket.SOCK_STREAM:
                self.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            super().bind((self.pod.wire, 0))

    def _numeric(self, address: Any) -> Address:
        host, port = address[:2]
        if isinstance(host, (bytes, bytearray)):
            host = host.decode()
        if host == "":
            return ("0.0.0.0", port)
        try:
            socket.inet_aton(host)
            return (host, port) if host.count(".") == 3 else (socket.inet_ntoa(socket.inet_aton(host)), port)
        except OSError:
            return (getaddrinfo(host, port, socket.AF_INET, self.type)[0][4][0], port)

    # -- datagrams without a connection

    def _datagram_destination(self, address: Any) -> Any:
        if self.family == socket.AF_INET6:
            raise unreachable(str(address[0]))
        if self.family != socket.AF_INET:
            return address
        original = host, port = self._numeric(address)
        pod, flows = self.pod, self._known_flows()
        chosen = flows.get(original)
        if host.startswith("127.") and not host.startswith(pod.wire_prefix):
            if chosen is None and super().getsockname()[0] != "0.0.0.0":
                return original  # the answer to a datagram from outside the sandbox, as a probe
            host = pod.address
        pod.to_wire(host)
        self._bind_source()
        if host == pod.address and chosen is None:
            return (pod.home(port, self.type), port)
        choices = self.services.destinations((host, port), "UDP")
        if chosen not in choices:
            chosen = choices[chance(len(choices))]
            if chosen != original:
                self._remember(original, chosen)
        return (pod.to_wire(chosen[0]), chosen[1])

    def _known_flows(self) -> dict[Address, Address]:
        try:
            return self._flows
        except AttributeError:
            self._flows: dict[Address, Address] = {}
            return self._flows

    def _datagram_source(self, address: Any) -> Any:
        if self.family != socket.AF_INET or not address:
            return address
        connected = getattr(self, "_original", None)
        if connected is not None:
            return connected
        seen = self.pod.virtual(address)
        for original, chosen in self._known_flows().items():
            if chosen == seen:
                return original  # the answer of an endpoint comes from the service's address
        if address[0] == self.pod.wire and self.pod.outbound is not None:
            self._remember(seen, seen)  # a client in this pod, which is not where servers of this pod are
        return seen

    def _remember(self, original: Address, chosen: Address) -> None:
        flows = self._known_flows()
        if len(flows) >= FLOWS:
            del flows[next(iter(flows))]
        flows[original] = chosen

    def sendto(self, data: Any, flags: Any, address: Any = None, /) -> int:
        if address is None:  # sendto(data, address)
            return super().sendto(data, self._datagram_destination(flags))
        return super().sendto(data, flags, self._datagram_destination(address))

    def sendmsg(self, buffers: Any, ancillary: Any = (), flags: int = 0, address: Any = None, /) -> int:
        if address is not None:
            address = self._datagram_destination(address)
        return super().sendmsg(buffers, ancillary, flags, address)

    def recvfrom(self, *arguments: Any) -> Any:
        data, address = super().recvfrom(*arguments)
        return data, self._datagram_source(address)

    def recvfrom_into(self, *arguments: Any, **options: Any) -> Any:
        size, address = super().recvfrom_into(*arguments, **options)
        return size, self._datagram_source(address)

    def recvmsg(self, *arguments: Any) -> Any:
        data, ancillary, flags, address = super().recvmsg(*arguments)
        return data, ancillary, flags, self._datagram_source(address)

    # -- what the program sees

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        return connection, self._seen(address)

    def getsockname(self) -> Any:
        if getattr(self, "_original", None) is not None:
            return (self.pod.address, super().getsockname()[1])
        return self._seen(super().getsockname())

    def getpeername(self) -> Any:
        address = super().getpeername()  # raises when not connected (any more)
        return getattr(self, "_original", None) or self._seen(address)

    def _seen(self, address: Any) -> Any:
        return self.pod.virtual(address) if self.family == socket.AF_INET else address


def not_found(host: str) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")


def addresses_of(host: str) -> list[str]:
    """The IPv4 addresses of a host, which is an address, localhost or the name of a service."""
    with contextlib.suppress(OSError):
        socket.inet_aton(host)
        return [host]
    if host.lower().rstrip(".") == "localhost":
        return ["127.0.0.1"]
    return PodSocket.services.resolve(host, PodSocket.pod.namespace)


def getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0  # noqa: A002 - as the original
) -> list[Any]:
    """`socket.getaddrinfo` with the names of the cluster."""
    if family not in (socket.AF_UNSPEC, socket.AF_INET):
        not_found(f"{host} (the sandbox has no IPv6)")
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("idna")
    if host is None or host == "":
        return real_getaddrinfo(None, port, socket.AF_INET, type, proto, flags)
    addresses = addresses_of(host)
    if not addresses:
        not_found(host)
    flags = (flags | socket.AI_NUMERICHOST) & ~socket.AI_CANONNAME
    return [
        answer
        for address in addresses
        for answer in real_getaddrinfo(address, port, socket.AF_INET, type, proto, flags)
    ]


def gethostbyname(host: str) -> str:
    """`socket.gethostbyname` with the names of the cluster."""
    return (addresses_of(host) or not_found(host))[0]


def gethostbyname_ex(host: str) -> tuple[str, list[str], list[str]]:
    """`socket.gethostbyname_ex` with the names of the cluster."""
    return host, [], addresses_of(host) or not_found(host)


def gethostbyaddr(host: str) -> NoReturn:
    """The sandbox has no reverse names, and asks nobody else for them."""
    raise socket.herror(1, f"Unknown host: {host}")


def getnameinfo(address: Any, flags: int, /) -> tuple[str, str]:
    """`socket.getnameinfo`, always numeric: there are no reverse names."""
    del flags
    return str(address[0]), str(address[1])


def install(pod: Pod, services: Services) -> None:
    """Put this network in the place of the `socket` module's, for everything imported from now on."""
    PodSocket.pod, PodSocket.services = pod, services
    replacements: dict[str, Any] = {
        "socket": PodSocket,
        "getaddrinfo": getaddrinfo,
        "gethostbyname": gethostbyname,
        "gethostbyname_ex": gethostbyname_ex,
        "gethostbyaddr": gethostbyaddr,
        "getnameinfo": getnameinfo,
        "has_ipv6": False,
    }
    for name, value in replacements.items():
        setattr(socket, name, value)


def main() -> None:
    """Run the program that the arguments name, as `__main__`."""
    words = sys.argv[1:]
    named = words[:1] in (["-m"], ["-c"])
    if len(words) < 1 + named or (words[0].startswith("-") and not named):
        raise SystemExit("usage: podnet.py PROGRAM ARGS… | podnet.py -m MODULE ARGS… | podnet.py -c CODE ARGS…")
    try:
        with open(os.environ["PODNET_POD"], "rb") as file:
            pod = Pod(json.load(file), os.environ.items())
        services = Services(os.environ["PODNET_SERVICES"])
    except KeyError as error:
        raise SystemExit(f"podnet: {error} is missing in the environment or in the pod's file") from None
    except (OSError, ValueError) as error:
        raise SystemExit(f"podnet: cannot read the pod's file: {error}") from None
    install(pod, services)
    # The interpreter has put this file's directory first, where the sandbox's own modules would be found.
    del sys.path[0]
    sys.path.insert(0, os.getcwd() if named else os.path.dirname(os.path.abspath(words[0])))
    sys.argv = words[1:] if named else words
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv[0] = "-c"
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - as the interpreter does
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
