"""What proxies are given on the network of a cluster: files for their group, and connections that nobody foresaw."""

from __future__ import annotations

import json
import os
import stat

import pytest
from access_world import AccessWorld
from mesh_world import ON_A_CLUSTER, pod

from conformance.sandbox.reference import listeners
from conformance.sandbox.reference.__main__ import main
from conformance.sandbox.reference.files import ProxyFiles, proxy_directory
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import CLUSTER, SANDBOX
from conformance.sandbox.reference.routes import NOWHERE
from conformance.sandbox.reference.translate import Translation


def given(made, state, name="v1"):
    """The listeners of a pod's proxy, by name."""
    ProxyFiles(state, ON_A_CLUSTER, Authority.create()).write(Translation(made.snapshot()).plan(pod(name)))
    text = (proxy_directory(state, "demo", f"uid-{name}") / "lds.json").read_text()
    return {listener["name"]: listener for listener in json.loads(text)["resources"]}


def taken_by(chain):
    return chain["filters"][0]["typed_config"]["cluster"]


def test_group_of_the_proxies_reads_and_writes_to_the_log_alone(tmp_path):
    given(AccessWorld(), tmp_path)
    directory = proxy_directory(tmp_path, "demo", "uid-v1")
    modes = {name: stat.S_IMODE((directory / name).stat().st_mode) for name in (".", "log", "key.pem")}
    assert modes == {".": 0o750, "log": 0o770, "key.pem": 0o640}
    assert {file.stat().st_gid for file in (directory, directory / "key.pem")} == {os.getgid()}


def test_ports_that_nobody_declared_are_closed_where_access_is_enforced(tmp_path):
    made = AccessWorld()
    assert taken_by(given(made, tmp_path)["inbound"]["default_filter_chain"]) == NOWHERE
    made.deny_by_default = False
    assert taken_by(given(made, tmp_path)["inbound"]["default_filter_chain"]) == listeners.INBOUND_PASSTHROUGH


def test_connections_to_where_they_came_from_or_to_no_service_are_closed(tmp_path):
    made = AccessWorld()
    made.service_ranges = ("10.251.128.0/24",)
    found = given(made, tmp_path)
    closed = [chain["filter_chain_match"] for chain in found["outbound"]["filter_chains"] if taken_by(chain) == NOWHERE]
    itself = [{"destination_port": 15001}, {"destination_port": 15006}]
    assert closed == [*itself, {"prefix_ranges": [{"address_prefix": "10.251.128.0", "prefix_len": 24}]}]
    assert [chain["filter_chain_match"] for chain in found["inbound"]["filter_chains"]] == itself
    assert taken_by(found["outbound"]["default_filter_chain"]) == listeners.PASSTHROUGH


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Start the program where a node says what it is; gives on which networks it would have begun to work."""
    found = []

    def start(node):
        def begin(_cluster, _state, network, *_, **__):
            found.append(network)
            raise OSError("not in this test")

        monkeypatch.setattr("sys.argv", ["reference", "--service-account", str(tmp_path), "--state", str(tmp_path)])
        monkeypatch.setattr("conformance.sandbox.reference.__main__.Cluster.in_pod", lambda _: None)
        monkeypatch.setattr("conformance.sandbox.reference.__main__.ControlPlane", begin)
        monkeypatch.delenv("NODE_NETWORK", raising=False)
        if node:
            monkeypatch.setenv("NODE_NETWORK", node)
        assert main() == 1
        return found

    return start


@pytest.mark.parametrize(("node", "network"), [("", CLUSTER), ("cluster", CLUSTER), ("sandbox", SANDBOX)])
def test_program_goes_by_what_its_node_says(started, node, network):
    assert started(node) == [network]


def test_program_refuses_a_node_that_it_does_not_know(started, capsys):
    with pytest.raises(SystemExit):
        started("moon")
    assert "NODE_NETWORK is 'moon', which is none of sandbox, cluster" in capsys.readouterr().err
