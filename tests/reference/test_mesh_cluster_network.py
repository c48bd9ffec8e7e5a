"""The data plane on the network of a cluster: iptables, original destinations, ports of datagrams that are moved."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import stat
import threading
import time
from http.server import ThreadingHTTPServer

import pytest
from access_world import AccessWorld, match
from file_mesh import FileMesh
from mesh_traffic import Handler, ask
from mesh_world import ADDRESSES, pod
from pod_networks import intercept, pods, readable_directory, run, sidecar, within

from conformance.sandbox.reference.files import log_directory, proxy_directory
from conformance.sandbox.reference.interception import CLUSTER, PROXY_USER

pytestmark = pytest.mark.testbed

MESHED = ("client", "second", "v1")
ROOT = AccessWorld().services["demo", "root"].cluster_ip
SERVER = ADDRESSES["v1"]
UNDECLARED = 9999


class Network(FileMesh):
    """Four pods, three of them with a sidecar, and what the control plane would tell those."""

    def __init__(self, namespaces, state) -> None:
        super().__init__(state, *MESHED, interception=CLUSTER)
        self.namespaces = namespaces

    def apply(self, made) -> None:
        made.change("v2", meshed=False)
        super().apply(made)

    def get(self, client, address=ROOT, port=8080):
        """Status and body of a request, or what went wrong."""
        def ask_it():
            connection = http.client.HTTPConnection(address, port, timeout=3)
            try:
                connection.request("GET", "/", headers={"Host": "root.demo"})
                answer = connection.getresponse()
                return f"{answer.status} {answer.read().decode()}"
            except (OSError, http.client.HTTPException) as error:
                return type(error).__name__
            finally:
                connection.close()
        return within(self.namespaces[client], ask_it)

    def say(self, client, address=SERVER, port=7071):
        """The answer to a datagram and where it came from; None without any."""
        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0.4)
                sender.sendto(b"hello", (address, port))
                return sender.recvfrom(100)
        try:
            return within(self.namespaces[client], send)
        except (TimeoutError, ConnectionError):
            return None

    def greeting(self, client, address=ROOT, port=7070):
        """The first bytes of a server that speaks first."""
        def listen():
            with socket.create_connection((address, port), timeout=3) as connection:
                return connection.recv(100)
        try:
            return within(self.namespaces[client], listen)
        except OSError:
            return b""


def eventually(question, wanted):
    until = time.monotonic() + 5
    while (answer := question()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert answer == wanted


@contextlib.contextmanager
def serving(namespace):
    """The containers of a pod: HTTP on two ports, a server that speaks first, and an echo of datagrams."""
    servers = [within(namespace, lambda port=port: ThreadingHTTPServer(("", port), Handler))
               for port in (8080, UNDECLARED)]
    greeter = within(namespace, lambda: socket.create_server(("", 7070)))
    echo = within(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    echo.bind(("", 7071))
    stop = threading.Event()

    def greet():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = greeter.accept()
                with connection:
                    connection.sendall(b"welcome")

    def answer():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                data, address = echo.recvfrom(100)
                echo.sendto(data.upper(), address)

    for plain in (greeter, echo):
        plain.settimeout(0.1)
    threads = [threading.Thread(target=work, daemon=True) for work in (greet, answer)]
    for server in servers:
        server.name = "v1"
        server.daemon_threads = True
        threads.append(threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join(5)
        greeter.close()
        echo.close()


@pytest.fixture(scope="module")
def network():
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(readable_directory())
        namespaces = stack.enter_context(pods({name: ADDRESSES[name] for name in (*MESHED, "v2")}))
        running = Network(namespaces, state)
        running.apply(AccessWorld())
        stack.enter_context(serving(namespaces["v1"]))
        for name in MESHED:
            done = intercept(namespaces[name])
            assert done.returncode == 0, done.stderr
            stack.enter_context(sidecar(namespaces[name], proxy_directory(state, "demo", f"uid-{name}"),
                                        ADDRESSES[name], state / "envoy"))
        yield running
        for name in MESHED:
            stats = within(namespaces[name], lambda name=name: ask(ADDRESSES[name], "/stats?filter=rejected"))
            assert all(line.endswith(": 0") for line in stats.splitlines() if "update_rejected" in line), stats


def allowing(*sources) -> AccessWorld:
    made = AccessWorld()
    made.match_group("all", match())
    made.port_route("TCPRoute", "tcp", 7070, 8080)
    made.port_route("UDPRoute", "udp", 7071)
    made.target("HTTPRouteGroup/all", "TCPRoute/tcp", "UDPRoute/udp", sources=sources)
    return made


def test_requests_carry_the_identity_of_their_client(network):
    network.apply(allowing("client"))
    eventually(lambda: network.get("client"), f"200 v1 URI={pod('client').identity}")
    assert network.get("second").startswith("403")


def test_who_has_no_sidecar_is_outside(network):
    network.apply(allowing("client"))
    eventually(lambda: network.get("client")[:3], "200")
    assert network.get("v2", SERVER).startswith("403")
    assert network.greeting("v2", SERVER) == b""
    assert network.say("v2") is None
    # To the address of the pod, past the Service, no certificate is shown.
    assert network.get("client", SERVER).startswith("403")


def test_server_that_speaks_first_is_heard_by_whom_it_lets_in(network):
    network.apply(allowing("client"))
    eventually(lambda: network.greeting("client"), b"welcome")
    assert network.greeting("second") == b""


def test_pod_that_calls_itself_through_its_service_is_asked_who_it_is(network):
    network.apply(allowing("client"))
    eventually(lambda: network.get("client")[:3], "200")
    assert network.get("v1").startswith("403")
    network.apply(allowing("client", "v1"))
    eventually(lambda: network.get("v1"), f"200 v1 URI={pod('v1').identity}")


def test_pod_talks_to_itself_without_the_sidecar(network):
    assert network.get("v1", "127.0.0.1", UNDECLARED).startswith("200")
    assert network.get("v1", SERVER, UNDECLARED).startswith("200")


def test_port_that_nobody_declared_is_closed_where_access_is_enforced(network):
    network.apply(allowing("client"))
    eventually(lambda: network.get("client")[:3], "200")
    assert network.get("v2", SERVER, UNDECLARED) in ("RemoteDisconnected", "ConnectionResetError")
    everyone = AccessWorld()
    everyone.deny_by_default = False
    network.apply(everyone)
    eventually(lambda: network.get("v2", SERVER, UNDECLARED)[:3], "200")
    assert network.get("client", SERVER, UNDECLARED).startswith("200")


def test_datagrams_are_let_in_by_their_source_and_answered_from_the_port_they_were_sent_to(network):
    network.apply(AccessWorld())
    eventually(lambda: network.say("client"), None)
    network.apply(allowing("client"))
    eventually(lambda: network.say("client"), (b"HELLO", (SERVER, 7071)))
    assert network.say("second") is None
    # The port that they are moved to is no way in: it is moved on.
    assert network.say("second", port=CLUSTER.datagrams(7071)) is None
    # Answers to what the pod itself sends are left alone.
    assert network.say("v1") == (b"HELLO", (SERVER, 7071))


@pytest.mark.parametrize("port", [15001, 15006])
def test_listeners_of_the_sidecar_lead_nowhere(network, port):
    """A connection that was not redirected has no destination; it must not be sent round in circles."""
    assert network.get("v2", SERVER, port) in ("RemoteDisconnected", "ConnectionResetError")
    assert network.get("v1", SERVER, port) in ("RemoteDisconnected", "ConnectionResetError")
    stats = within(network.namespaces["v1"], lambda: ask(SERVER, "/stats?filter=downstream_cx_total"))
    counts = [int(line.rpartition(" ")[2]) for line in stats.splitlines()]
    assert max(counts) < 1000


def test_address_of_a_service_that_is_not_known_yet_is_closed_at_once(network):
    """Were it connected to in vain, the kernel would not redirect the next connection from the same port."""
    unknown = "10.251.128.77"
    everyone = AccessWorld()
    everyone.service_ranges = ("10.251.128.0/24",)
    network.apply(everyone)
    eventually(lambda: network.get("client", unknown), "RemoteDisconnected")
    eventually(lambda: network.get("client")[:3], "403")  # the server's own sidecar reads its files when it does


def test_proxy_reads_its_own_key_and_writes_its_log_only(network):
    directory = proxy_directory(network.state, "demo", "uid-v1")
    assert (stat.S_IMODE(directory.stat().st_mode), directory.stat().st_uid) == (0o750, os.getuid())
    assert (stat.S_IMODE((directory / "key.pem").stat().st_mode), directory.stat().st_gid) == (0o640, PROXY_USER)
    network.apply(allowing("client"))
    eventually(lambda: network.get("client")[:3], "200")
    log = log_directory(network.state, "demo", "uid-v1") / "access.log"
    eventually(lambda: f'"{ADDRESSES["client"]}"' in log.read_text(), wanted=True)


def test_interception_may_be_set_up_twice(network):
    rules = ("ip", "netns", "exec", network.namespaces["client"], "iptables", "-t", "nat", "-S")
    before = run(*rules).stdout
    assert intercept(network.namespaces["client"]).returncode == 0
    assert run(*rules).stdout == before
    assert before.count("MESH_INBOUND\n") == 2
