"""Where the testbed must not run: without root, without what it needs, or where it would be in the way of others."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from testbed import processes
from testbed.errors import TestbedError
from testbed.holder import OWN
from testbed.layout import Layout
from testbed.machine import destinations

PACKAGES: Final[Mapping[str, str]] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "hostname": "hostname",
}
"""Which Debian package each program that is run comes from."""

_RIVALS: Final = frozenset({"containerd", "cri-dockerd", "crio", "dockerd", "k0s", "k3s-server", "kubelet", "rke2"})
_PLUGINS: Final = ("/usr/lib/cni", "/opt/cni/bin")
# Of the 107 characters that the kernel allows; containerd opens another one whose name is longer by 6.
_LONGEST: Final = 100
_MEMORY: Final = 2 * 1024**3
_DISK: Final = 4 * 1024**3


def missing_packages() -> tuple[str, ...]:
    """Return the Debian packages that have to be installed, sorted."""
    found = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if plugins() is None:
        found.add("containernetworking-plugins")
    return tuple(sorted(found))


def plugins() -> Path | None:
    """Return the directory of the CNI plugins; None when they are not installed."""
    needed = ("bridge", "host-local", "loopback", "portmap")
    for directory in map(Path, _PLUGINS):
        if all((directory / name).is_file() for name in needed):
            return directory
    return None


def reasons(layout: Layout) -> Iterator[str]:
    """Yield why no testbed can be started here, each with what to do."""
    if sys.platform != "linux":
        yield f"it takes Linux, and this is {sys.platform}"
        return
    if os.geteuid() != 0:
        yield "it takes root, for namespaces, mounts and a network of its own: run it with sudo"
        return
    if missing := missing_packages():
        yield f"packages are missing: apt-get install --no-install-recommends {' '.join(missing)}"
        return
    yield from _place(layout)
    yield from _others(layout)
    yield from _taken(layout)
    yield from _room(layout)


def _place(layout: Layout) -> Iterator[str]:
    """A cache whose state the node could not see, or whose sockets nobody could reach."""
    otherwise = "name another directory in MESH_CONFORMANCE_CACHE"
    for hidden in OWN:
        if layout.cache.is_relative_to(hidden):
            yield f"the cache {layout.cache} is below {hidden}, which the node has to itself: {otherwise}"
    if len(str(layout.containerd_socket)) > _LONGEST:
        yield f"the cache {layout.cache} has a path too long for sockets below it: {otherwise}"


def _others(layout: Layout) -> Iterator[str]:
    """What runs here already."""
    if running := processes.with_argument(str(layout.plan)):
        yield f"a testbed is up (pid {running[0].pid}): look at it with `python -m testbed status`, end it with `down`"
        return
    for process in processes.processes():
        if process.name in _RIVALS:
            yield f"{process.name} runs on this machine (pid {process.pid}) and would be disturbed: stop it first"


def _taken(layout: Layout) -> Iterator[str]:
    """Names and addresses that are in use; those of a testbed that was killed are taken down by `up`."""
    if layout.state.exists():
        return
    if (Path("/sys/class/net") / layout.interface).exists():
        yield (
            f"there is a network interface {layout.interface}, of a testbed with another cache: "
            "run `python -m testbed down` with its MESH_CONFORMANCE_CACHE"
        )
        return
    ours = (layout.link, layout.pods, layout.services)
    for destination, interface in destinations():
        taken = IPv4Network(destination, strict=False)
        for network in ours:
            if taken.overlaps(network):
                yield f"the testbed's addresses {network} are in use here: {destination} goes to {interface}"


def _room(layout: Layout) -> Iterator[str]:
    place = next(path for path in (layout.cache, *layout.cache.parents) if path.exists())
    if (free := shutil.disk_usage(place).free) < _DISK:
        yield f"{place} has {free / 1024**3:.1f} GiB free, and it takes {_DISK / 1024**3:.0f}: make room"
    if (free := _available()) < _MEMORY:
        yield f"{free / 1024**3:.1f} GiB of memory are free, and it takes {_MEMORY / 1024**3:.0f}: make room"


def _available() -> int:
    """Memory that programs could have, in bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise TestbedError("looking for free memory: /proc/meminfo has no MemAvailable")
