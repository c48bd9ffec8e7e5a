"""What has to be so before the testbed counts as up: probes that look once, for whoever waits."""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.request

from conformance.cluster import Cluster, NotFound
from conformance.waiting import NotYet
from testbed import dns, holder, pki
from testbed.errors import TestbedError
from testbed.layout import Layout


def cluster(layout: Layout) -> Cluster:
    """Open the testbed's API server as its administrator. Raises KubeconfigError when it is not up."""
    kept = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    # What the environment says of proxies is for the way out, which this is not.
    os.environ.update({name: str(layout.node_address) for name in kept})
    try:
        return Cluster.from_kubeconfig(layout.kubeconfig)
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def answers(layout: Layout) -> None:
    """Ask the API server whether it is ready. Raises NotYet with why it is not, and TestbedError without a node."""
    if holder.init(layout) is None:
        raise TestbedError("the node has ended")
    try:
        trust = ssl.create_default_context(cafile=str(layout.pki / f"{pki.CA}.crt"))
        secured = urllib.request.HTTPSHandler(context=trust)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), secured)
        direct.open(f"{layout.url}/readyz", timeout=2).close()
    except urllib.error.HTTPError as error:
        raise NotYet(error.read().decode(errors="replace").strip()[-500:]) from error
    except OSError as error:
        raise NotYet(str(error)) from error


def node_ready(layout: Layout, opened: Cluster) -> None:
    """Look whether the node is Ready. Raises NotYet with what its kubelet says of it, and ClusterError."""
    try:
        node = opened.get("v1", "Node", layout.node)
    except NotFound as error:
        raise NotYet("its kubelet has not registered it") from error
    for condition in node["status"].get("conditions", ()):
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return
            raise NotYet(f"{condition['reason']}: {condition['message']}")
    raise NotYet("its kubelet has said nothing yet")


def resolves(opened: Cluster) -> None:
    """Look whether CoreDNS is available. Raises NotYet with what its pod waits for, and ClusterError."""
    status = opened.get("apps/v1", "Deployment", dns.NAME, dns.NAMESPACE).get("status", {})
    if not status.get("availableReplicas"):
        pods, _ = opened.list("v1", "pods", dns.NAMESPACE)
        waiting = [
            f"{state.get('reason')}: {state.get('message', '')}"
            for pod in pods for container in pod["status"].get("containerStatuses", ())
            if (state := container["state"].get("waiting"))
        ]
        raise NotYet("; ".join(waiting) or "no pod of it is ready")


def accounted(opened: Cluster) -> None:
    """Look whether pods can be created in the default namespace. Raises NotYet and ClusterError."""
    try:
        opened.get("v1", "ServiceAccount", "default", "default")
    except NotFound as error:
        raise NotYet("the namespace default has none yet") from error
