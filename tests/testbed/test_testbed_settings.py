"""What the components of the testbed are told: files that parse, options that fit each other and the certificates."""

from __future__ import annotations

import json
import stat
import tomllib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from conformance.cluster import Cluster
from testbed import dns, holder, pki, settings
from testbed.components import components
from testbed.layout import Layout, cache, state

PLUGINS = Path("/usr/lib/cni")
PAUSE = "registry.k8s.io/pause:3.10"


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = Layout(cache=tmp_path_factory.mktemp("settings"))
    pki.write(layout)
    settings.write(layout, PLUGINS, PAUSE)
    return layout


def command(layout, name):
    """The options of a component."""
    found = {component.name: component for component in components(layout, Path("/bin/kube"), Path("/bin/etcd"))}[name]
    assert found.arguments[1] == name or not found.arguments[0].endswith("kube")
    return dict(word.removeprefix("--").split("=", 1) for word in found.arguments if "=" in word)


def test_containerd_is_told_where_to_live_and_that_it_lacks_rights(layout):
    found = tomllib.loads((layout.settings / settings.CONTAINERD).read_text())
    assert found == settings.containerd(layout, PLUGINS, PAUSE)
    runtime = found["plugins"]["io.containerd.grpc.v1.cri"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["sandbox_image"] == PAUSE
    assert [found["root"], found["state"]] == [str(layout.state / "containerd"), str(layout.state / "containerd-state")]


def test_pods_get_addresses_of_their_own_network(layout):
    found = json.loads((layout.settings / settings.NETWORK).read_text())
    assert found["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/24"}]]
    directory = settings.containerd(layout, PLUGINS, PAUSE)["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["conf_dir"]
    assert Path(directory) == (layout.settings / settings.NETWORK).parent


def test_the_kubelet_is_told_what_exists(layout):
    found = yaml.safe_load((layout.settings / settings.KUBELET).read_text())
    assert found["cgroupRoot"] == "/mesh-conformance-testbed"
    assert found["clusterDNS"] == ["10.96.0.10"]
    assert Path(found["tlsCertFile"]).exists()
    assert Path(found["authentication"]["x509"]["clientCAFile"]).exists()
    assert Path(found["resolvConf"]).read_text() == ""
    assert found["containerRuntimeEndpoint"] == f"unix://{layout.containerd_socket}"


def test_kube_proxy_leaves_the_machines_connection_table_alone(layout):
    found = yaml.safe_load((layout.settings / settings.KUBE_PROXY).read_text())
    assert {found["conntrack"]["maxPerCore"], found["conntrack"]["min"]} == {0}
    assert Path(found["clientConnection"]["kubeconfig"]).exists()


def test_the_kubeconfig_is_one_and_its_owners_alone(layout):
    assert Cluster.from_kubeconfig(layout.kubeconfig, "testbed").name == "testbed"
    for file in (layout.kubeconfig, *layout.settings.glob("*.kubeconfig")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_file_that_a_component_is_told_of_is_there(layout):
    for component in components(layout, Path("/bin/kube"), Path("/bin/etcd")):
        for word in component.arguments:
            value = word.partition("=")[2]
            if value.startswith((f"{layout.pki}/", f"{layout.settings}/")):
                assert Path(value).exists(), f"{component.name}: {word}"


def test_components_agree_with_each_other(layout):
    server, controllers = command(layout, "kube-apiserver"), command(layout, "kube-controller-manager")
    assert server["etcd-servers"] == command(layout, "etcd")["listen-client-urls"]
    assert server["service-cluster-ip-range"] == "10.96.0.0/16"
    assert server["service-account-signing-key-file"] == controllers["service-account-private-key-file"]
    assert controllers["flex-volume-plugin-dir"] == settings.kubelet(layout)["volumePluginDir"]
    assert command(layout, "kubelet")["hostname-override"] == layout.node


def test_only_what_needs_no_api_server_is_started_before_it(layout):
    found = {component.name: component.after for component in components(layout, Path("/k"), Path("/e"))}
    assert {name for name, after in found.items() if after == "network"} == {"etcd", "containerd", "kube-apiserver"}


def test_the_plan_keeps_the_environment_of_whoever_starts_it_out(layout, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    assert set(holder.plan(layout, ())["environment"]) == {"PATH", "HOME"}
    assert json.loads(json.dumps(holder.plan(layout, components(layout, Path("/k"), Path("/e")))))


def test_coredns_has_the_address_that_pods_ask(layout):
    objects = {obj["kind"]: obj for obj in dns.objects(layout, "coredns:1")}
    assert objects["Service"]["spec"]["clusterIP"] == settings.kubelet(layout)["clusterDNS"][0]
    pod = objects["Deployment"]["spec"]["template"]
    assert pod["metadata"]["labels"] == objects["Service"]["spec"]["selector"]
    assert pod["spec"]["containers"][0]["image"] == "coredns:1"
    assert "kubernetes cluster.local" in objects["ConfigMap"]["data"]["Corefile"]
    assert yaml.safe_dump_all(objects.values())


def test_addresses_follow_from_the_networks():
    layout = Layout(cache=Path("/c"), link=IPv4Network("10.1.0.0/30"), services=IPv4Network("10.2.0.0/16"))
    assert (layout.node_address, layout.machine_address) == (IPv4Address("10.1.0.1"), IPv4Address("10.1.0.2"))
    assert (layout.kubernetes_service, layout.dns) == (IPv4Address("10.2.0.1"), IPv4Address("10.2.0.10"))
    assert layout.url == "https://10.1.0.1:6443"


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MESH_CONFORMANCE_CACHE", str(tmp_path))
    assert cache() == tmp_path.resolve() / "testbed"
    assert state() == Layout().state
    monkeypatch.delenv("MESH_CONFORMANCE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache() == tmp_path.resolve() / ".cache/mesh-conformance/testbed"
