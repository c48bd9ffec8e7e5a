"""Access control works in the real Envoy: HTTP/1.1, HTTP/2, TCP and UDP, with and without an identity."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time

import pytest
from access_world import AccessWorld, match
from file_mesh import FileMesh
from mesh_traffic import Intercepted, application, ask, http2_status, proxy, validate
from mesh_world import ON_A_CLUSTER

from conformance.sandbox.reference.files import ProxyFiles
from conformance.sandbox.reference.headers import troubles
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import SANDBOX, UDP_SHIFT
from conformance.sandbox.reference.model import Probe
from conformance.sandbox.reference.translate import Translation

PROXIES = {"client": "127.251.0.10", "second": "127.251.0.20", "v1": "127.251.0.11"}
INSIDE = {"client": "127.251.64.10", "second": "127.251.64.20", "v1": "127.251.64.11"}
ROOT = SANDBOX.wire(AccessWorld().services["demo", "root"].cluster_ip)
EVERYTHING = "HTTPRouteGroup/all"


@pytest.fixture(scope="module")
def datagrams():
    """A UDP echo on the server's private side, and what it has seen."""
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((INSIDE["v1"], 7071))

        def echo():
            data, address = server.recvfrom(100)
            seen.append(data)
            server.sendto(data.upper(), address)

        with again_and_again(server, echo):
            yield seen


@contextlib.contextmanager
def greeter(port):
    """A server that speaks first; gives the list of the connections that it took."""
    greeted = []
    with socket.create_server((INSIDE["v1"], port)) as server:

        def greet():
            connection, _ = server.accept()
            greeted.append(1)
            connection.sendall(b"hello")
            connection.close()

        with again_and_again(server, greet):
            yield greeted


@contextlib.contextmanager
def again_and_again(server, serve):
    """Serve in a thread; `serve` waits for one client of this socket."""
    stop = threading.Event()
    server.settimeout(0.1)

    def go():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                serve()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, datagrams):
    running = FileMesh(tmp_path_factory.mktemp("state"), *PROXIES)
    running.apply(AccessWorld())
    with (
        application("v1", INSIDE["v1"], 8080), application("v1-tcp", INSIDE["v1"], 7070),
        proxy(running.directory("client"), PROXIES["client"]), proxy(running.directory("second"), PROXIES["second"]),
        proxy(running.directory("v1"), PROXIES["v1"]),
    ):
        yield running
        for admin in PROXIES.values():
            stats = ask(admin, "/stats?filter=update_rejected|lds_rejected").splitlines()
            assert all(line.endswith(": 0") for line in stats if "update_rejected" in line), stats


def world(*rules, **fields) -> AccessWorld:
    """A world with a route group for everything, and a target of these rules if there are any."""
    made = AccessWorld()
    made.match_group("all", match())
    if rules:
        made.target(*rules, **fields)
    return made


def http_(client, path="/", method="GET", port=8080, **headers) -> str:
    """What a client gets for a request on a connection of its own."""
    connection = (http.client.HTTPConnection(PROXIES["v1"], port, timeout=5) if client == "outsider"
                  else Intercepted(INSIDE[client], ROOT, port))
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return f"{response.status} {response.read().decode().partition(' ')[0]}"
    except (OSError, http.client.HTTPException):
        return "closed"
    finally:
        connection.close()


def udp(client, datagrams, port=7071) -> str:
    """What a client gets for a datagram, as it sees it and as the server does."""
    text = f"{client}-{time.monotonic_ns()}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(({**PROXIES, "outsider": "127.251.0.30"}[client], 0))
        sender.connect((PROXIES["v1"], port))
        sender.settimeout(0.15)
        sender.send(text)
        try:
            answer = sender.recv(100)
        except (TimeoutError, ConnectionError):
            return "seen" if text in datagrams else "nothing"
        assert answer == text.upper()
        return "answer"


def eventually(look, wanted, within=3.0) -> None:
    until = time.monotonic() + within
    while (seen := look()) != wanted:
        assert time.monotonic() < until, f"wanted {wanted!r}, got {seen!r}"
        time.sleep(0.005)


DENIED = "403 RBAC:"


def test_without_target_everything_is_denied(guarded, datagrams):
    guarded.apply(world())
    for client in ("client", "outsider"):
        eventually(lambda client=client: http_(client), DENIED)
        assert http_(client, port=7070) == "closed"
        assert udp(client, datagrams) == "nothing"


def test_where_it_is_not_enforced_everybody_is_let_in(guarded, datagrams):
    made = world()
    made.open = frozenset(["demo"])
    guarded.apply(made)
    for client in ("client", "second", "outsider"):
        eventually(lambda client=client: http_(client), "200 v1")
        eventually(lambda client=client: http_(client, port=7070), "200 v1-tcp")
        eventually(lambda client=client: udp(client, datagrams), "answer")


def test_only_the_source_is_let_in_and_revoked_at_once(guarded, datagrams):
    made = world(EVERYTHING, "TCPRoute/tcp", "UDPRoute/udp")
    made.port_route("TCPRoute", "tcp")
    made.port_route("UDPRoute", "udp")
    guarded.apply(made)
    eventually(lambda: http_("client"), "200 v1")
    eventually(lambda: http_("client", port=7070), "200 v1-tcp")
    eventually(lambda: udp("client", datagrams), "answer")
    # A connection that was kept from before the port was guarded serves one more request.
    eventually(lambda: http_("second"), DENIED)
    for client in ("second", "outsider"):
        assert [http_(client) for _ in range(10)] == [DENIED] * 10
        assert http_(client, port=7070) == "closed"
        assert udp(client, datagrams) == "nothing"
    guarded.apply(world())
    eventually(lambda: http_("client"), DENIED)
    assert [http_("client") for _ in range(30)] == [DENIED] * 30
    eventually(lambda: http_("client", port=7070), "closed")
    eventually(lambda: udp("client", datagrams), "nothing")


def test_a_flow_of_datagrams_ends_with_the_permission(guarded, datagrams):
    """Envoy keeps a session per sender and port; it must not outlive what it was let in by."""
    made = world("UDPRoute/udp")
    made.port_route("UDPRoute", "udp")
    guarded.apply(made)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((PROXIES["client"], 0))
        sender.connect((PROXIES["v1"], 7071))
        sender.settimeout(0.05)

        def passes():
            try:
                sender.send(b"kept")
                return sender.recv(100) == b"KEPT"
            except (TimeoutError, ConnectionError):
                return False

        eventually(passes, wanted=True)
        guarded.apply(world())
        eventually(passes, wanted=False)
        assert not any(passes() for _ in range(5))


def test_paths_methods_and_headers(guarded):
    made = world("HTTPRouteGroup/api")
    made.match_group("api", match("a", "/metrics|^/api/v[12]$", ["GET"]), match("b", "/user", x_user="beta-.*"))
    guarded.apply(made)
    eventually(lambda: http_("client", "/metrics"), "200 v1")
    for path in ("/metricsx", "/metrics/more?x=/y", "/api/v1", "/api/v2?query"):
        assert http_("client", path) == "200 v1", path
    for path in ("/", "/x/metrics", "/api/v12", "/?x=/metrics"):
        assert http_("client", path) == DENIED, path
    assert http_("client", "/metrics", "POST").startswith("403")
    assert http_("client", "/user", **{"x-user": "beta-7"}) == "200 v1"
    assert http_("client", "/user", **{"x-user": "alpha-beta-7"}) == DENIED
    assert http_("client", "/user") == DENIED


def test_http2_is_held_to_the_same(guarded):
    made = world("HTTPRouteGroup/api")
    made.match_group("api", match("a", "/metrics", ["GET"]))
    guarded.apply(made)

    def status(path, client="client"):
        return http2_status(Intercepted(INSIDE[client], ROOT, 8080), path)

    # The application speaks HTTP/1.1 only: what was let in ends there, with a status of the proxy.
    eventually(lambda: status("/metrics"), 502)
    assert status("/other") == 403
    assert status("/metrics", "second") == 403


def test_probes_of_the_node_pass(guarded):
    made = world()
    made.change("v1", probes=(Probe(8080, "/healthz"),))
    translation = Translation(made.snapshot())
    guarded.files.write(translation.plan(made.pods["10.251.0.11"]))
    eventually(lambda: http_("outsider", "/healthz"), "200 v1")
    assert http_("outsider", "/healthz2") == DENIED
    assert http_("outsider", "/") == DENIED
    assert http_("client", "/healthz") == DENIED
    assert http_("outsider", "/healthz", "POST").startswith("403")


def test_a_server_that_speaks_first_is_not_reached_by_others(guarded):
    """Judged by the handshake: a denied client costs the application not even a connection."""
    with greeter(7072) as greeted:
        def greeting(client):
            connection = Intercepted(INSIDE[client], ROOT, 7072)
            connection.connect()
            try:
                return connection.sock.recv(100)
            except OSError:
                return b""
            finally:
                connection.close()

        made = world("TCPRoute/tcp")
        made.port_route("TCPRoute", "tcp", 7072)
        guarded.apply(made)
        eventually(lambda: greeting("client"), b"hello")
        before = len(greeted)
        assert greeting("second") == b""
        time.sleep(0.05)
        assert len(greeted) == before


@pytest.mark.parametrize("interception", [SANDBOX, ON_A_CLUSTER], ids=["sandbox", "cluster"])
def test_envoy_validates_every_generated_resource(tmp_path, interception):
    made = world(EVERYTHING, "TCPRoute/tcp", "UDPRoute/udp", sources=("client", "second"))
    made.port_route("TCPRoute", "tcp", 8080, 7070)
    made.port_route("UDPRoute", "udp", 7071)
    made.match_group("all", *(found for found in (
        match("m", regex, ["GET", "POST"], x_user=regex)
        for regex in ("/a|/b", "^/a$", "(?i)/A", "/v[0-9]{1,3}", "/(?P<name>x)", "/é",
                      "a**", "[[:alpha:]]", "/a\\/b", "|")
    ) if not troubles(found)))
    made.change("v1", probes=(Probe(8080, "/a b+é\n"),), udp_ports=(53,))
    files = ProxyFiles(tmp_path, interception, Authority.create())
    files.write(Translation(made.snapshot()).plan(made.pods["10.251.0.11"]))
    listeners = (tmp_path / "proxies" / "demo" / "uid-v1" / "lds.json").read_text()
    assert f'"port_value":{53 if interception is SANDBOX else 53 + UDP_SHIFT}' in listeners
    validate(tmp_path / "proxies" / "demo" / "uid-v1")
