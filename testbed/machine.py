"""What the machine is like, as far as a Kubernetes could change it: read before and after, and compared.

Of what other programs change at any time (processes, sockets, cgroups) only that is read which a cluster is made of;
everything else is read whole.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from testbed import cgroups
from testbed.errors import TestbedError
from testbed.layout import Layout
from testbed.processes import processes
from testbed.settings import KERNEL, NODE_NETWORK

# The names of what the testbed is made of, cut to 15 characters as the kernel does.
_COMPONENTS: Final = frozenset({"containerd", "containerd-shim", "coredns", "etcd", "kube", "kubelet", "runc"})
_PORTS: Final = frozenset({2379, 2380, 6443, *range(10248, 10260)})
_PLACES: Final = (
    "/etc/cni", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/flannel", "/run/netns",
    "/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet",
    "/var/log/containers", "/var/log/pods",
)
_RULES: Final = (
    ("nft", "list", "ruleset"), ("iptables-save",), ("ip6tables-save",), ("iptables-legacy-save",),
    ("ip6tables-legacy-save",),
)
_COUNTERS: Final = re.compile(r"\[\d+:\d+\]|counter packets \d+ bytes \d+|^#.*")
_LISTENING: Final = "0A"


@dataclass(frozen=True)
class Machine:
    """The facts of each kind, in words."""

    facts: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, layout: Layout) -> Self:
        """Look at the machine. Raises TestbedError when a program that tells about it fails."""
        readers: Mapping[str, Callable[[Layout], Iterable[str]]] = {
            "process": _processes, "mount": _mounts, "interface": _interfaces, "address": _addresses, "route": _routes,
            "network namespace": _namespaces, "packet filter rule": _rules, "cgroup": cgroups.facts,
            "setting": _settings, "socket": _sockets, "file": _files,
        }
        return cls({kind: frozenset(reader(layout)) for kind, reader in readers.items()})

    def save(self, path: Path) -> None:
        """Write it to a file. Raises OSError."""
        path.write_text(json.dumps({kind: sorted(found) for kind, found in self.facts.items()}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it from a file. Raises OSError, and ValueError for one that `save` did not write."""
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError(f"{path} holds no machine")  # noqa: TRY004 - as of all that can be wrong with its text
        return cls({str(kind): frozenset(map(str, facts)) for kind, facts in found.items()})


def difference(before: Machine, after: Machine) -> list[str]:
    """Say what is there that was not, and what is not there that was; empty when nothing changed."""
    found = []
    for kind in sorted({*before.facts, *after.facts}):
        was, now = before.facts.get(kind, frozenset()), after.facts.get(kind, frozenset())
        found += [f"{kind} left: {fact}" for fact in sorted(now - was)]
        found += [f"{kind} gone: {fact}" for fact in sorted(was - now)]
    return found


def destinations() -> Iterator[tuple[str, str]]:
    """Yield where this machine sends IPv4 packets: (network or address, interface). Raises TestbedError."""
    for route in json.loads(_said("ip", "-j", "-4", "route", "show", "table", "all")):
        if route["dst"] != "default":
            yield route["dst"], route.get("dev", "none")


def _processes(layout: Layout) -> Iterator[str]:
    own = _namespace("self")
    for process in processes():
        holds = str(layout.plan) in process.arguments
        elsewhere = _namespace(str(process.pid)) not in (own, "")
        if process.name in _COMPONENTS or holds or elsewhere:
            yield f"{process.name} (pid {process.pid}, started at tick {process.started})"


def _namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _mountinfo() -> Iterator[list[str]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split()


def _mounts(_layout: Layout) -> Iterator[str]:
    for words in _mountinfo():
        yield f"{words[words.index('-') + 1]} on {words[4]} from {words[3]}"


def _interfaces(_layout: Layout) -> Iterator[str]:
    for link in json.loads(_said("ip", "-j", "link")):
        yield str(link["ifname"])


def _addresses(_layout: Layout) -> Iterator[str]:
    for link in json.loads(_said("ip", "-j", "address")):
        for address in link["addr_info"]:
            if "local" in address:
                yield f"{address['local']}/{address['prefixlen']} on {link['ifname']}"


def _routes(_layout: Layout) -> Iterator[str]:
    for family in ("-4", "-6"):
        for route in json.loads(_said("ip", "-j", family, "route", "show", "table", "all")):
            via, table = route.get("gateway", "link"), route.get("table", "main")
            yield f"{route['dst']} by {route.get('dev', 'none')} via {via} in table {table}"
        for line in _said("ip", family, "rule").splitlines():
            yield f"rule {family[1:]}: {' '.join(line.split())}"


def _namespaces(_layout: Layout) -> Iterator[str]:
    for directory in (Path("/run/netns"), Path("/run/docker/netns")):
        with contextlib.suppress(OSError):
            yield from (str(entry) for entry in directory.iterdir())


def _rules(_layout: Layout) -> Iterator[str]:
    for command in _RULES:
        if shutil.which(command[0]):
            chain = ""
            for line in _said(*command).splitlines():
                text = _COUNTERS.sub("", line).strip()
                # A rule of nft does not say where it stands.
                chain = text if text.startswith(("*", "table", "chain")) else chain
                if text:
                    yield f"{command[0]}: {chain}: {text}"


def _settings(_layout: Layout) -> Iterator[str]:
    for name in (*KERNEL, *NODE_NETWORK):
        with contextlib.suppress(OSError):
            yield f"{name} = {(Path('/proc/sys') / name).read_text().strip()}"


def _sockets(layout: Layout) -> Iterator[str]:
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
                words = line.split()
                port = int(words[1].rpartition(":")[2], 16)
                if port in _PORTS and (protocol.startswith("udp") or words[3] == _LISTENING):
                    yield f"{protocol} port {port}"
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        path = line.split(maxsplit=7)[7:]
        if path and path[0].startswith((f"{layout.state}/", "/run/containerd", "@/containerd-shim")):
            yield path[0]


def _files(layout: Layout) -> Iterator[str]:
    for place in (*map(Path, _PLACES), layout.state):
        if place.exists():
            yield str(place)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"looking at the machine with {' '.join(command)}: {done.stderr.strip() or 'it failed'}")
    return done.stdout
