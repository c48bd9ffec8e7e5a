"""The files that the components read: containerd, the pods' network, the kubelet, kube-proxy, and kubeconfigs.

Values that look odd are there because the node lives in namespaces, often with less than all of root's rights.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from testbed import pki
from testbed.layout import Layout
from testbed.pki import write_private

CONTAINERD: Final = "containerd.toml"
KUBELET: Final = "kubelet.yaml"
KUBE_PROXY: Final = "kube-proxy.yaml"
RESOLVER: Final = "resolv.conf"
NETWORK: Final = "cni/10-testbed.conflist"
CLIENTS: Final = ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy")

KERNEL: Final[Mapping[str, str]] = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""The sysctls of the whole machine that the kubelet would set, with its values. It is shown them as set already."""

NODE_NETWORK: Final[Mapping[str, str]] = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/bridge/bridge-nf-call-iptables": "1",
}
"""The sysctls of the node's own network."""


def write(layout: Layout, plugins: Path, pause: str) -> None:
    """Write all of them, with the certificates that are there. Raises OSError.

    `plugins` is the directory of the CNI plugins, `pause` the image that holds a pod's namespaces.
    """
    for name, content in files(layout, plugins, pause).items():
        path = layout.settings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for client in CLIENTS:
        write_kubeconfig(layout, client, kubeconfig_of(layout, client))
    write_kubeconfig(layout, pki.ADMIN, layout.kubeconfig)


def kubeconfig_of(layout: Layout, client: str) -> Path:
    """Return the path of a component's kubeconfig."""
    return layout.settings / f"{client}.kubeconfig"


def files(layout: Layout, plugins: Path, pause: str) -> dict[str, str]:
    """Return the contents of the configuration files, by their names below `layout.settings`."""
    return {
        CONTAINERD: _toml(containerd(layout, plugins, pause)),
        NETWORK: json.dumps(network(layout), indent=2) + "\n",
        KUBELET: yaml.safe_dump(kubelet(layout), sort_keys=False),
        KUBE_PROXY: yaml.safe_dump(kube_proxy(layout), sort_keys=False),
        RESOLVER: "",  # pods with dnsPolicy Default must not get the machine's resolver, which they could not reach
    }


def containerd(layout: Layout, plugins: Path, pause: str) -> dict[str, Any]:
    """Return containerd's configuration, in the format that 1.6 to 2.x read."""
    return {
        "version": 2,
        "root": str(layout.state / "containerd"),
        "state": str(layout.state / "containerd-state"),
        # Scores below 0 take a right (CAP_SYS_RESOURCE) that containers on a CI machine rarely have.
        "oom_score": 0,
        "grpc": {"address": str(layout.containerd_socket)},
        "plugins": {
            "io.containerd.internal.v1.opt": {"path": str(layout.state / "containerd-opt")},
            "io.containerd.grpc.v1.cri": {
                "sandbox_image": pause,
                "restrict_oom_score_adj": True,  # without it no pod starts there, and no message tells why
                "stream_server_address": "127.0.0.1",
                "cni": {"bin_dir": str(plugins), "conf_dir": str((layout.settings / NETWORK).parent)},
                "containerd": {
                    "snapshotter": "overlayfs",
                    "default_runtime_name": "runc",
                    "runtimes": {"runc": {
                        "runtime_type": "io.containerd.runc.v2",
                        "options": {"SystemdCgroup": False},
                    }},
                },
            },
        },
    }


def network(layout: Layout) -> dict[str, Any]:
    """Return the pods' network: one bridge, addresses from a file, host ports."""
    return {
        "cniVersion": "0.4.0",
        "name": layout.node,
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "mtu": 1500,
                "ipam": {
                    "type": "host-local", "dataDir": str(layout.state / "addresses"),
                    "ranges": [[{"subnet": str(layout.pods)}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


def kubelet(layout: Layout) -> dict[str, Any]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "staticPodPath": str(layout.settings / "manifests"),
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "volume-plugins"),  # or it makes one below /usr
        "address": str(layout.node_address),
        # A server certificate that the API server verifies: exec, logs and proxy work as on any cluster.
        "tlsCertFile": str(layout.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet-server.key"),
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / f"{pki.CA}.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [str(layout.dns)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.settings / RESOLVER),
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "imageGCHighThresholdPercent": 100,  # an image that was imported cannot be pulled again
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%",
        },
    }


def kube_proxy(layout: Layout) -> dict[str, Any]:
    """Return kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": str(layout.pods),
        "clientConnection": {"kubeconfig": str(kubeconfig_of(layout, "kube-proxy"))},
        "hostnameOverride": layout.node,
        "oomScoreAdj": 0,
        # The table's size is the whole machine's and read-only here; setting it, even to what it is, ends kube-proxy.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "10ms", "syncPeriod": "30s"},
    }


def write_kubeconfig(layout: Layout, client: str, path: Path) -> None:
    """Write a kubeconfig for whom a certificate stands for. Raises OSError."""
    def content(name: str) -> str:
        return base64.b64encode((layout.pki / name).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": layout.context, "cluster": {
            "server": layout.url, "certificate-authority-data": content(f"{pki.CA}.crt"),
        }}],
        "users": [{"name": client, "user": {
            "client-certificate-data": content(f"{client}.crt"), "client-key-data": content(f"{client}.key"),
        }}],
        "contexts": [{"name": layout.context, "context": {"cluster": layout.context, "user": client}}],
        "current-context": layout.context,
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def _toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Write tables of strings, numbers and booleans, in which JSON and TOML agree."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    if path and lines:
        lines.insert(0, f"[{'.'.join(map(json.dumps, path))}]")
    below = [_toml(value, (*path, key)) for key, value in table.items() if isinstance(value, Mapping)]
    return "\n".join([*lines, *below]) + ("\n" if lines else "")
