"""Plaintext between sidecars: asked for by a label on either side, and shown by Envoy's own counters."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from dataclasses import replace

import pytest
from access_world import AccessWorld, match
from file_mesh import FileMesh
from mesh_cluster import pod as pod_object
from mesh_traffic import Intercepted, application, ask, proxy, validate
from mesh_world import ON_A_CLUSTER, World, pod, rules

from conformance import mesh
from conformance.sandbox.reference import parse
from conformance.sandbox.reference.files import ProxyFiles
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import SANDBOX
from conformance.sandbox.reference.translate import Translation

PROXIES = {"client": "127.251.0.10", "v1": "127.251.0.11"}
INSIDE = {"client": "127.251.64.10", "v1": "127.251.64.11"}
ROOT = SANDBOX.wire(AccessWorld().services["demo", "root"].cluster_ip)
IDENTITY = "URI=spiffe://cluster.local/ns/demo/sa/client"


def world(*plaintext, enforced=False, granted=False) -> AccessWorld:
    """A world in which these pods asked for plaintext."""
    made = AccessWorld()
    made.deny_by_default = enforced
    made.match_group("all", match())
    if granted:
        made.target("HTTPRouteGroup/all")
    for name in plaintext:
        made.change(name, plaintext=True)
    return made


@pytest.fixture(scope="module")
def sidecars(tmp_path_factory):
    running = FileMesh(tmp_path_factory.mktemp("state"), *PROXIES)
    running.apply(world())
    with (
        application("v1", INSIDE["v1"], 8080), application("v1-tcp", INSIDE["v1"], 7070),
        proxy(running.directory("client"), PROXIES["client"]), proxy(running.directory("v1"), PROXIES["v1"]),
    ):
        yield running
        for admin in PROXIES.values():
            rejected = [line for line in ask(admin, "/stats?filter=update_rejected").splitlines() if line]
            assert all(line.endswith(": 0") for line in rejected), rejected


def answer(port=8080) -> str:
    """What the client gets for a request on a connection of its own."""
    connection = Intercepted(INSIDE["client"], ROOT, port)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return f"{response.status} {response.read().decode()}"
    except (OSError, http.client.HTTPException):
        return "closed"
    finally:
        connection.close()


def eventually(wanted, port=8080, within=3.0):
    """Wait until connections are answered so, five times in a row."""
    until = time.monotonic() + within
    while (seen := {answer(port) for _ in range(5)}) != {wanted}:
        assert time.monotonic() < until, f"wanted {wanted!r}, got {seen!r}"
        time.sleep(0.01)


def handshakes(name) -> int:
    """How many TLS handshakes a proxy has completed, on listeners and clusters."""
    lines = ask(PROXIES[name], "/stats?filter=ssl\\.handshake").splitlines()
    return sum(int(line.rpartition(": ")[2]) for line in lines if line)


def made_by(wanted, port=8080) -> dict[str, int]:
    """How many handshakes ten new connections cost each side, once they are answered as wanted."""
    eventually(wanted, port)
    before = {name: handshakes(name) for name in PROXIES}
    assert {answer(port) for _ in range(10)} == {wanted}
    return {name: handshakes(name) - before[name] for name in PROXIES}


def test_without_the_label_all_is_encrypted(sidecars):
    sidecars.apply(world())
    # Upstream connections are kept by the client's proxy, those of TCP are not.
    made_by(f"200 v1 {IDENTITY}")
    assert made_by("200 v1-tcp -", 7070) == {"client": 10, "v1": 10}
    assert all(handshakes(name) > 10 for name in PROXIES)


@pytest.mark.parametrize("labelled", ["v1", "client"])
def test_a_label_on_either_side_ends_encryption(sidecars, labelled):
    sidecars.apply(world(labelled))
    assert made_by("200 v1 -") == {"client": 0, "v1": 0}
    assert made_by("200 v1-tcp -", 7070) == {"client": 0, "v1": 0}


def test_the_label_can_be_taken_away_again(sidecars):
    sidecars.apply(world("v1"))
    eventually("200 v1 -")
    sidecars.apply(world())
    eventually(f"200 v1 {IDENTITY}")


@pytest.mark.parametrize("labelled", ["v1", "client"])
def test_where_policy_is_enforced_plaintext_has_no_identity_and_is_denied(sidecars, labelled):
    """The positive control comes first: with mTLS the same target lets the client in."""
    sidecars.apply(world(enforced=True, granted=True))
    eventually(f"200 v1 {IDENTITY}")
    sidecars.apply(world(labelled, enforced=True, granted=True))
    eventually("403 RBAC: access denied")
    eventually("closed", 7070)
    sidecars.apply(world(labelled))
    eventually("200 v1 -")


@pytest.mark.parametrize(("labelled", "start"), [(("client",), b"GET / HTTP/1.1"), ((), b"\x16\x03")],
                         ids=["plaintext", "mtls"])
def test_bytes_on_the_wire_are_readable_only_in_plaintext(sidecars, labelled, start):
    """Who stands in the server's place sees a request, or TLS."""
    made = AccessWorld()
    made.deny_by_default = False
    for name in (*labelled, "v3"):
        made.change(name, plaintext=name in labelled)
    # A Service of its own for each case: what the proxy did for an earlier one tells nothing.
    tapped = made.service(f"tapped-{len(labelled)}", "v3", cluster_ip=f"10.251.128.{100 + len(labelled)}")
    with socket.create_server(("127.251.0.13", 8080)) as server:
        sidecars.files.write(Translation(made.snapshot()).plan(made.pods[pod("client").address]))
        assert _tapped(server, SANDBOX.wire(tapped.cluster_ip)).startswith(start)
    sidecars.apply(world())


def _tapped(server, wire) -> bytes:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with contextlib.closing(Intercepted(INSIDE["client"], wire, 8080)) as connection:
            connection.request("GET", "/")
            try:
                server.settimeout(0.2)
                taken, _ = server.accept()
            except TimeoutError:
                continue  # the Service is not known to the proxy yet
            with taken:
                taken.settimeout(5)
                return taken.recv(100)
    raise AssertionError("no connection arrived")


def test_the_label_is_read_from_the_pod():
    labels = {"reference-mesh/proxy": "enabled"}
    assert not parse.pod(pod_object("v1", "10.251.0.11", labels=labels)).plaintext
    assert parse.pod(pod_object("v1", "10.251.0.11", labels=labels | {"reference-mesh/mtls": "disabled"})).plaintext
    assert not parse.pod(pod_object("v1", "10.251.0.11", labels=labels | {"reference-mesh/mtls": "on"})).plaintext


def test_a_split_goes_to_the_same_backends_in_plaintext():
    made = World()
    made.service("root", "v1")
    made.service("canary", "v2")
    made.split("root", {"root": 3, "canary": 1})
    encrypted = rules(Translation(made.snapshot()), "root")
    made.pods[pod("v2").address] = replace(pod("v2"), plaintext=True)
    translation = Translation(made.snapshot())
    assert rules(translation, "root") == encrypted
    identities = {peer.address: peer.identity for target in translation.plan(pod("client")).destinations()
                  for peer in target.peers}
    assert identities[pod("v1").address] == pod("v1").identity
    assert identities[pod("v2").address] == ""


@pytest.mark.parametrize("interception", [SANDBOX, ON_A_CLUSTER], ids=["sandbox", "cluster"])
def test_envoy_validates_a_mixture(tmp_path, interception):
    """A Service over pods with and without encryption, which needs the longer form of a cluster."""
    made = AccessWorld()
    made.change("v2", plaintext=True)
    made.service("both", "v1", "v2")
    files = ProxyFiles(tmp_path, interception, Authority.create())
    files.write(Translation(made.snapshot()).plan(pod("client")))
    assert '"transport_socket_matches"' in (tmp_path / "proxies" / "demo" / "uid-client" / "cds.json").read_text()
    validate(tmp_path / "proxies" / "demo" / "uid-client")


def test_the_adapter_says_how_a_pod_asks_for_plaintext():
    found = mesh.load("reference")
    assert found.plaintext
    labels = found.inject({"metadata": {"labels": {"app": "echo"}}}, plaintext=True)["metadata"]["labels"]
    assert labels == {"app": "echo", "reference-mesh/proxy": "enabled", "reference-mesh/mtls": "disabled"}
    assert "reference-mesh/mtls" not in found.inject({})["metadata"]["labels"]


def test_a_mesh_that_cannot_do_plaintext_says_so():
    """Rather than measure mTLS and call it plaintext."""
    found = mesh.load("reference")
    without = replace(found, plaintext=mesh.Marks())
    with pytest.raises(mesh.MeshError, match="no way to leave the traffic of a pod unencrypted"):
        without.inject({}, plaintext=True)
