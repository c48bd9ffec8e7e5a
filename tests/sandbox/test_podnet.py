"""The socket shim: what a program in a pod sees, and where its packets really go."""

import json
import socket
import struct
import subprocess
import threading
from collections import Counter

import httpx
import pytest
from podnet_pod import batch, received, service

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
PROXY_PROTOCOL = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"


@pytest.fixture
def sidecar(network):
    """A stand-in for a sidecar: takes one connection on the inside of pod 0.9 and hands it to a test."""
    listener = socket.create_server((f"127.{network}.64.9", 15001))
    listener.settimeout(10)
    found = []

    def accept():
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock:
            sock.settimeout(5)
            data = b""
            while not data.endswith(b"\n\n") and (more := sock.recv(1000)):
                data += more
            found.append(data)
            sock.sendall(b"answer")

    thread = threading.Thread(target=accept)
    thread.start()
    yield lambda: (thread.join(10), found[0])[1]
    listener.close()
    thread.join(10)


# --- without a sidecar


def test_pod_to_pod_with_the_addresses_of_the_cluster(pods):
    pods.agent("0.5")
    pods.agent("0.6")
    assert batch(pods, "0.6", f"http://{pods.ip('0.5')}:8080/")[0]["pod"] == "pod-0.5"
    assert [kind["peer"] for kind in received(pods, "0.5")] == [pods.ip("0.6")]


def test_kube_proxy_spreads_over_ready_endpoints_and_follows_changes(pods):
    pods.services(service(pods, endpoints=("0.5", "0.6")))
    for rest in ("0.5", "0.6"):
        pods.agent(rest)
    pods.agent("0.7")
    for url in (f"http://{pods.ip('128.3')}/", "http://svc.demo.svc.cluster.local/"):
        counts = Counter(answer["pod"] for answer in batch(pods, "0.7", url, 400, concurrency=4))
        # 5 standard deviations of a fair choice; a false alarm is less likely than one in a million.
        assert set(counts) == {"pod-0.5", "pod-0.6"}
        assert abs(counts["pod-0.5"] - 200) <= 50
    pods.services(service(pods, endpoints=("0.6",)))
    assert {answer["pod"] for answer in batch(pods, "0.7", "http://svc/", 50)} == {"pod-0.6"}
    pods.services(service(pods))
    outcome = batch(pods, "0.7", "http://svc/")[0]
    assert outcome["failure"] == "refused"
    assert "no ready endpoint behind" in outcome["detail"]


def test_refused_and_unreachable(pods):
    pods.services(service(pods, endpoints=("0.5",)))
    code = f"""
found = []
for address in [("{pods.ip("0.77")}", 80), ("{pods.ip("128.3")}", 81), ("{pods.ip("128.3")}", 80),
                ("192.0.2.1", 80), ("10.255.255.1", 80), ("::1", 80)]:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as one, socket.socket(family) as sock:
        number = one.connect_ex(address)
        try:
            sock.connect(address)
        except OSError as error:
            found.append([number, error.errno, type(error).__name__])
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    try:
        sock.sendto(b"x", ("8.8.8.8", 53))
    except OSError as error:
        found.append([0, error.errno, type(error).__name__])
print(json.dumps(found))
"""
    refused, unreachable = [111, 111, "ConnectionRefusedError"], [101, 101, "OSError"]
    assert pods.run(code) == [refused] * 3 + [unreachable] * 3 + [[0, 101, "OSError"]]


def test_names(pods):
    ip = pods.ip
    pods.services(
        service(pods, "svc", "128.3"),
        service(pods, "svc", "128.4", namespace="other"),
        service(pods, "headless", None, addresses=[ip("0.5"), ip("0.6")]),
        service(pods, "empty", None),
        service(pods, "alias", None, external_name="svc.other.svc.cluster.local"),
        service(pods, "outside", None, external_name="example.org"),
        service(pods, "loop", None, external_name="loop.demo.svc.cluster.local"),
    )
    names = {
        "svc": [ip("128.3")],
        "SVC": [ip("128.3")],
        "svc.demo": [ip("128.3")],
        "svc.other": [ip("128.4")],
        "svc.other.svc": [ip("128.4")],
        "svc.other.svc.cluster.local": [ip("128.4")],
        "svc.other.svc.cluster.local.": [ip("128.4")],
        "svc.": "not found",
        "svc.other.": "not found",
        "svc.third": "not found",
        "headless": [ip("0.5"), ip("0.6")],
        "empty": "not found",
        "alias": [ip("128.4")],
        "outside": "not found",
        "loop": "not found",
        "example.org": "not found",
        "localhost": ["127.0.0.1"],
        ip("0.5"): [ip("0.5")],
        "8.8.8.8": ["8.8.8.8"],
    }
    code = f"""
found = {{}}
for name in {list(names)!r}:
    try:
        answers = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        assert all(answer[4][1] == 80 for answer in answers)
        found[name] = sorted(answer[4][0] for answer in answers)
        assert socket.gethostbyname(name) in found[name]
    except socket.gaierror as error:
        assert error.errno == socket.EAI_NONAME
        found[name] = "not found"
print(json.dumps(found))
"""
    assert pods.run(code) == names


def test_no_question_ever_leaves_for_a_name_server(pods):
    code = """
found = []
for ask in (lambda: socket.gethostbyaddr("8.8.8.8"), lambda: socket.getaddrinfo("example.org", 80),
            lambda: socket.getaddrinfo("svc", 80, socket.AF_INET6), lambda: socket.gethostbyname_ex("example.org")):
    try:
        ask()
    except OSError as error:
        found.append(type(error).__name__)
found.append(socket.getnameinfo(("8.8.8.8", 53), 0))
found.append(socket.getfqdn("8.8.8.8"))
print(json.dumps(found))
"""
    assert pods.run(code) == ["herror", "gaierror", "gaierror", "gaierror", ["8.8.8.8", "53"], "8.8.8.8"]


def test_localhost_is_the_pod_itself(pods):
    pods.agent("0.5")
    pods.agent("0.6")
    assert batch(pods, "0.5", "http://localhost:8080/")[0]["pod"] == "pod-0.5"
    assert batch(pods, "0.6", "http://127.0.0.1:8080/")[0]["pod"] == "pod-0.6"
    assert batch(pods, "0.6", "udp://127.0.0.1:7071/")[0]["pod"] == "pod-0.6"


def test_the_api_server_is_reached_where_it_is(pods):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
with socket.create_connection(("127.0.0.1", {port}), 2) as sock:
    print(json.dumps(sock.getpeername()))
"""
        api = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        assert pods.run(code, **api) == ["127.0.0.1", port]
        assert "ConnectionRefusedError" in pods.run(code, check=False).stderr


def test_the_program_sees_only_addresses_of_the_cluster(pods):
    pods.services(service(pods, endpoints=("0.9",)))
    code = """
import os, threading
server = socket.create_server(("", 8080))
accepted = []
thread = threading.Thread(target=lambda: accepted.append(server.accept()))
thread.start()
client = socket.create_connection(("svc", 80), 2)
thread.join(5)
print(json.dumps([server.getsockname(), client.getpeername(), client.getsockname()[0], accepted[0][1][0],
                  accepted[0][0].getsockname(), accepted[0][0].getpeername()[0]]))
"""
    own = pods.ip("0.9")
    assert pods.run(code) == [[own, 8080], [pods.ip("128.3"), 80], own, own, [own, 8080], own]


def test_binding(pods):
    code = f"""
found = []
for host in ("0.0.0.0", "", "127.0.0.1", "{pods.ip("0.9")}", "{pods.ip("0.8")}", "192.0.2.1"):
    with socket.socket() as sock:
        try:
            sock.bind((host, 0))
            found.append(sock.getsockname()[0])
        except OSError as error:
            found.append(error.errno)
with socket.socket() as sock:
    sock.listen()
    found.append(sock.getsockname()[0])
found.append(socket.has_dualstack_ipv6())
print(json.dumps(found))
"""
    own = pods.ip("0.9")
    assert pods.run(code) == [own] * 4 + [99, 99, own, False]


def test_udp_keeps_its_endpoint_and_answers_come_from_the_service(pods):
    pods.services(service(pods, endpoints=("0.5", "0.6"), protocol="UDP", port=71, target=7071))
    for rest in ("0.5", "0.6"):
        pods.agent(rest)
    code = """
found = []
for _ in range(20):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        pods = set()
        for _ in range(5):
            sock.sendto(b"x-sample: s\\n", ("svc", 71))
            data, peer = sock.recvfrom(1000)
            pods.add(json.loads(data.partition(b"\\n")[0])["pod"])
        found.append([sorted(pods), peer])
print(json.dumps(found))
"""
    found = pods.run(code)
    assert all(len(seen) == 1 and peer == [pods.ip("128.3"), 71] for seen, peer in found)
    assert {seen[0] for seen, _ in found} == {"pod-0.5", "pod-0.6"}  # by chance only one: 2 in a million
    assert {kind["peer"] for kind in received(pods, "0.5")} == {pods.ip("0.9")}


def test_a_broken_table_changes_nothing_and_is_said(pods):
    pods.services(service(pods))
    code = """
import os
found = [socket.gethostbyname("svc")]
open("services.new", "w").write("{broken")
os.rename("services.new", os.environ["PODNET_SERVICES"])
found.append(socket.gethostbyname("svc"))
os.remove(os.environ["PODNET_SERVICES"])
found.append(socket.gethostbyname("svc"))
print(json.dumps(found))
"""
    run = pods.run(code, check=False)
    assert json.loads(run.stdout) == [pods.ip("128.3")] * 3
    assert run.stderr.count("malformed, the services stay as they were") == 1


# --- how a program is run


def test_a_script_and_a_module_are_run_as_by_the_interpreter(pods):
    (pods.directory / "neighbour.py").write_text("value = 5\n")
    (pods.directory / "program.py").write_text(
        "import sys, json, neighbour\n"
        "assert __name__ == '__main__'\n"
        "print(json.dumps([sys.argv[1:], neighbour.value, sys.argv[0].endswith('program.py')]))\n"
        "sys.exit(7)\n"
    )
    for words in (["program.py", "a", "-b"], ["-m", "program", "a", "-b"]):
        run = subprocess.run(
            pods.command(*words), env=pods.environment("0.9"), cwd=pods.directory, capture_output=True, timeout=10,
            check=False,
        )
        assert json.loads(run.stdout) == [["a", "-b"], 5, True]
        assert run.returncode == 7


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        ([], {}, "usage: podnet.py"),
        (["-m"], {}, "usage: podnet.py"),
        (["-x", "program.py"], {}, "usage: podnet.py"),
        (["program.py"], {"PODNET_POD": "/nowhere.json"}, "cannot read the pod's file"),
        (["program.py"], {"PODNET_POD": None}, "'PODNET_POD' is missing"),
    ],
)
def test_a_wrong_start_is_said_in_one_line(pods, words, environment, message):
    complete = {**pods.environment("0.9"), **environment}
    run = subprocess.run(
        pods.command(*words),
        env={name: value for name, value in complete.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert run.returncode == 1
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_asyncio_clients_and_servers(pods):
    code = """
import asyncio
async def main():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(echo, "0.0.0.0", 8080)
    reader, writer = await asyncio.open_connection("localhost", 8080)
    writer.write(b"hello\\n")
    print(json.dumps([(await reader.read()).decode(), server.sockets[0].getsockname()]))
    writer.close()
asyncio.run(main())
"""
    assert pods.run(code) == ["hello\n", [pods.ip("0.9"), 8080]]


# --- with a sidecar


@pytest.mark.parametrize(
    "connect",
    [
        "sock = socket.create_connection((host, 80), 5)",
        "sock = socket.socket(); sock.connect((host, 80))",
        "sock = socket.socket(); sock.setblocking(False); assert sock.connect_ex((host, 80)) == 0; sock.settimeout(5)",
    ],
)
def test_the_sidecar_is_told_the_original_destination_first(pods, sidecar, connect):
    pods.services(service(pods))
    code = f"""
host = "svc"
{connect}
sock.sendall(b"payload\\n\\n")
print(json.dumps([sock.recv(100).decode(), sock.getpeername(), sock.getsockname()]))
"""
    answer, peer, (host, port) = pods.run(code, intercept=True)
    assert (answer, peer, host) == ("answer", [pods.ip("128.3"), 80], pods.ip("0.9"))
    header = f"PROXY TCP4 {pods.wire('0.9')} {pods.wire('128.3')} {port} 80\r\n"
    assert sidecar() == header.encode() + b"payload\n\n"


def test_asyncio_through_the_sidecar(pods, sidecar):
    code = f"""
import asyncio
async def main():
    reader, writer = await asyncio.open_connection("{pods.ip("0.5")}", 8080)
    writer.write(b"payload\\n\\n")
    print(json.dumps((await reader.read()).decode()))
asyncio.run(main())
"""
    assert pods.run(code, intercept=True) == "answer"
    assert sidecar().startswith(f"PROXY TCP4 {pods.wire('0.9')} {pods.wire('0.5')} ".encode())


def test_without_its_sidecar_an_intercepted_pod_reaches_nobody(pods):
    pods.agent("0.5")
    code = f"""
with socket.socket() as sock:
    print(json.dumps(sock.connect_ex(("{pods.ip("0.5")}", 8080))))
"""
    assert pods.run(code, intercept=True) == 111


def test_a_sidecar_that_resets_is_a_reset(pods, network):
    with socket.create_server((f"127.{network}.64.9", 15001)) as listener:

        def refuse():
            sock, _ = listener.accept()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        code = f"""
try:
    with socket.create_connection(("{pods.ip("0.5")}", 8080), 5) as sock:
        sock.sendall(b"x")
        sock.recv(1)
except ConnectionError as error:
    print(json.dumps(type(error).__name__))
"""
        assert pods.run(code, intercept=True) in ("ConnectionResetError", "BrokenPipeError")
        thread.join(5)


def test_an_intercepted_pod_listens_inside_but_for_excluded_ports(pods):
    code = f"""
found = []
for kind, port in ((socket.SOCK_STREAM, 8080), (socket.SOCK_STREAM, 19000), (socket.SOCK_DGRAM, 7071),
                   (socket.SOCK_DGRAM, 15000)):
    sock = socket.socket(type=kind)
    # As servers do: a connection of an earlier test that merely times out must not keep the port.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("0.0.0.0", port))
    import _socket
    found.append([_socket.socket.getsockname(sock)[0], sock.getsockname()])
    if kind == socket.SOCK_STREAM:
        sock.listen()
        with socket.create_connection(("{pods.ip("0.9")}", port), 2), socket.create_connection(("localhost", port), 2):
            pass
print(json.dumps(found))
"""
    own, wire, inside = pods.ip("0.9"), pods.wire("0.9"), pods.wire("64.9")
    assert pods.run(code, intercept=True) == [
        [inside, [own, 8080]],
        [wire, [own, 19000]],
        [inside, [own, 7071]],
        [wire, [own, 15000]],
    ]


def sidecar_config(pods):
    """Outbound and inbound of pod 0.9: service 128.3:80 goes to pod 0.5, everything else to where it was going."""

    def address(host, port):
        return {"socket_address": {"address": pods.wire(host), "port_value": port}}

    def cluster(name, host, port):
        endpoint = {"endpoint": {"address": address(host, port)}}
        load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
        return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load}

    def http(name, upstream):
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": upstream}}]
        config = {
            "@type": HTTP,
            "stat_prefix": name,
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
            "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        }
        return [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": config}]}]

    passthrough = {"@type": TCP, "stat_prefix": "passthrough", "cluster": "passthrough"}
    outbound = {
        "name": "outbound",
        "address": address("64.9", 15001),
        "use_original_dst": True,
        "listener_filters": [
            {"name": "envoy.filters.listener.proxy_protocol", "typed_config": {"@type": PROXY_PROTOCOL}}
        ],
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": passthrough}]}],
    }
    virtual = {
        "name": "virtual",
        "bind_to_port": False,
        "address": address("128.3", 80),
        "filter_chains": http("virtual", "service"),
    }
    inbound = {"name": "inbound", "address": address("0.9", 8080), "filter_chains": http("inbound", "app")}
    original = {
        "name": "passthrough",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "1s",
    }
    clusters = [original, cluster("service", "0.5", 8080), cluster("app", "64.9", 8080)]
    return {"static_resources": {"listeners": [outbound, virtual, inbound], "clusters": clusters}}


def test_with_a_real_envoy_in_both_directions(pods):
    pods.services(service(pods), service(pods, "udp", "128.4", endpoints=("0.6",), protocol="UDP", target=7071))
    pods.envoy(sidecar_config(pods), "64.9", 15001)
    for rest in ("0.5", "0.6"):
        pods.agent(rest)
    pods.agent("0.9", intercept=True)
    for connections in ("new", "keep"):
        answers = batch(pods, "0.9", "http://svc/", 200, concurrency=8, connections=connections)
        assert Counter(answer.get("pod") for answer in answers) == {"pod-0.5": 200}
    assert batch(pods, "0.9", f"http://{pods.ip('0.6')}:8080/")[0]["pod"] == "pod-0.6", "passes through"
    assert batch(pods, "0.9", f"tcp://{pods.ip('0.6')}:7070")[0]["pod"] == "pod-0.6"
    assert batch(pods, "0.9", "udp://udp:80")[0]["pod"] == "pod-0.6"
    assert batch(pods, "0.6", f"http://{pods.ip('0.9')}:8080/")[0]["pod"] == "pod-0.9", "inbound through the sidecar"
    headers = httpx.get(f"http://{pods.wire('0.9')}:8080/").json()["headers"]
    assert "x-request-id" in dict(headers), "which Envoy adds"
