"""The node's components: their command lines, and what each waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed import pki
from testbed.layout import Layout
from testbed.settings import CONTAINERD, KUBE_PROXY, KUBELET, kubeconfig_of

NETWORK: Final = "network"
"""The sign that the node has its link to the machine."""
API: Final = "api"
"""The sign that the API server answers."""

_ETCD_CLIENTS: Final = "http://127.0.0.1:2379"
_ETCD_PEERS: Final = "http://127.0.0.1:2380"


@dataclass(frozen=True)
class Component:
    """A program that `init` starts when the sign `after` is there, and again whenever it ends."""

    name: str
    arguments: tuple[str, ...]
    after: str = NETWORK


def components(layout: Layout, kube: Path, etcd: Path) -> tuple[Component, ...]:
    """Return all of them; `kube` is the binary that is every part of Kubernetes by its first argument."""
    def part(name: str, options: Mapping[str, object], after: str = API) -> Component:
        return Component(name, (str(kube), name, *_options(options)), after)

    return (
        Component("etcd", (str(etcd), *_options(_etcd(layout)))),
        Component("containerd", ("containerd", "--config", str(layout.settings / CONTAINERD))),
        part("kube-apiserver", _apiserver(layout), NETWORK),
        part("kube-controller-manager", _controller_manager(layout)),
        part("kube-scheduler", {
            **_kubeconfigs(layout, "kube-scheduler"), "leader-elect": "false", "bind-address": "127.0.0.1",
        }),
        part("kubelet", {
            "config": layout.settings / KUBELET,
            "kubeconfig": kubeconfig_of(layout, "kubelet"),
            "hostname-override": layout.node,  # as its certificate says
            "node-ip": layout.node_address,
            "root-dir": layout.state / "kubelet",
            "v": 2,
        }),
        part("kube-proxy", {"config": layout.settings / KUBE_PROXY, "v": 2}),
    )


def _etcd(layout: Layout) -> dict[str, object]:
    return {
        "name": layout.node,
        "data-dir": layout.state / "etcd",
        "listen-client-urls": _ETCD_CLIENTS,
        "advertise-client-urls": _ETCD_CLIENTS,
        "listen-peer-urls": _ETCD_PEERS,
        "initial-advertise-peer-urls": _ETCD_PEERS,
        "initial-cluster": f"{layout.node}={_ETCD_PEERS}",
        "unsafe-no-fsync": "true",  # nothing here outlives the machine
        "log-level": "warn",
    }


def _apiserver(layout: Layout) -> dict[str, object]:
    def file(name: str) -> Path:
        return layout.pki / name

    return {
        "etcd-servers": _ETCD_CLIENTS,
        "advertise-address": layout.node_address,
        "bind-address": "0.0.0.0",  # noqa: S104 - of the node's own network
        "secure-port": layout.port,
        "service-cluster-ip-range": layout.services,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "event-ttl": "1h",
        "client-ca-file": file(f"{pki.CA}.crt"),
        "tls-cert-file": file("apiserver.crt"),
        "tls-private-key-file": file("apiserver.key"),
        "kubelet-client-certificate": file("apiserver-kubelet-client.crt"),
        "kubelet-client-key": file("apiserver-kubelet-client.key"),
        "kubelet-certificate-authority": file(f"{pki.CA}.crt"),
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": file(f"{pki.SERVICE_ACCOUNTS}.pub"),
        "service-account-signing-key-file": file(f"{pki.SERVICE_ACCOUNTS}.key"),
        # The aggregation layer: how an API behind an APIService knows that the API server asks, and for whom.
        "requestheader-client-ca-file": file(f"{pki.FRONT_PROXY_CA}.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": file("front-proxy-client.crt"),
        "proxy-client-key-file": file("front-proxy-client.key"),
    }


def _controller_manager(layout: Layout) -> dict[str, object]:
    return {
        **_kubeconfigs(layout, "kube-controller-manager"),
        "root-ca-file": layout.pki / f"{pki.CA}.crt",
        "service-account-private-key-file": layout.pki / f"{pki.SERVICE_ACCOUNTS}.key",
        "cluster-signing-cert-file": layout.pki / f"{pki.CA}.crt",
        "cluster-signing-key-file": layout.pki / f"{pki.CA}.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "controllers": "*,-node-ipam-controller",
        "flex-volume-plugin-dir": layout.state / "volume-plugins",
        # It asks for a token for each controller before it starts it; at the usual 20 a second that takes 6 s.
        "kube-api-qps": 500,
        "kube-api-burst": 1000,
    }


def _kubeconfigs(layout: Layout, name: str) -> dict[str, object]:
    own = kubeconfig_of(layout, name)
    return {"kubeconfig": own, "authentication-kubeconfig": own, "authorization-kubeconfig": own}


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
