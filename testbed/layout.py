"""Where the testbed keeps things, and which names and addresses it uses."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

NAME: Final = "mesh-conformance-testbed"


def cache() -> Path:
    """Return the directory of everything of the testbed: what is built stays there, what runs is below `run/`.

    It is `testbed/` below `$MESH_CONFORMANCE_CACHE`, or below `~/.cache/mesh-conformance`.
    """
    named = os.environ.get("MESH_CONFORMANCE_CACHE") or "~/.cache/mesh-conformance"
    return Path(named).expanduser().resolve() / "testbed"


def state() -> Path:
    """Return the directory of what runs: on a disk, for containers' file systems are below it."""
    return cache() / "run"


@dataclass(frozen=True)
class Layout:
    """The paths, names and addresses of a testbed. The machine has one end of a link, the node the other."""

    cache: Path = field(default_factory=cache)
    node: str = "testbed"
    context: str = "testbed"
    cgroup: str = NAME
    interface: str = "mesh-testbed"
    node_interface: str = "node0"
    link: IPv4Network = field(default=IPv4Network("10.250.0.0/30"))
    pods: IPv4Network = field(default=IPv4Network("10.244.0.0/24"))
    services: IPv4Network = field(default=IPv4Network("10.96.0.0/16"))
    port: int = 6443

    @property
    def node_address(self) -> IPv4Address:
        """The node's end of the link, and the node's address in the cluster."""
        return self.link[1]

    @property
    def machine_address(self) -> IPv4Address:
        """The machine's end of the link: where pods reach what runs on the machine."""
        return self.link[2]

    @property
    def state(self) -> Path:
        """What runs; removed when the testbed goes down."""
        return self.cache / "run"

    @property
    def last_logs(self) -> Path:
        """The logs of the testbed that went down last."""
        return self.cache / "last-logs"

    @property
    def logs(self) -> Path:
        """One file for each component, `init.log` for what starts them."""
        return self.state / "logs"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.state / "pki"

    @property
    def settings(self) -> Path:
        """Configuration files, and the components' kubeconfigs."""
        return self.state / "etc"

    @property
    def signs(self) -> Path:
        """Empty files by which `node` and `init` tell each other how far they are; see `init`."""
        return self.state / "signs"

    @property
    def plan(self) -> Path:
        """What `init` has to do. Also how its process is recognised: this path is one of its arguments."""
        return self.state / "plan.json"

    @property
    def components(self) -> Path:
        """What `init` says of the components: their process numbers in the node, and how often each ended."""
        return self.state / "components.json"

    @property
    def before(self) -> Path:
        """What the machine was like before."""
        return self.state / "machine.json"

    @property
    def controllers(self) -> Path:
        """Which controllers cgroups had to be given; see `cgroups`."""
        return self.state / "controllers.json"

    @property
    def imported(self) -> Path:
        """One empty file for each archive of an image that the node has."""
        return self.state / "imported"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, readable by root only."""
        return self.state / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers."""
        return self.state / "containerd.sock"

    @property
    def url(self) -> str:
        """The API server's."""
        return f"https://{self.node_address}:{self.port}"

    @property
    def kubernetes_service(self) -> IPv4Address:
        """The first address of the Services, which the API server takes for itself."""
        return self.services[1]

    @property
    def dns(self) -> IPv4Address:
        """The Service of CoreDNS."""
        return self.services[10]
