"""UDP in intercepted pods: the sidecar has what arrives, and servers see who sent it."""

import socket
import threading

import pytest
from podnet_pod import batch, received, service


class DatagramSidecar:
    """A stand-in for the sidecar of pod 0.6: owns the pod's UDP port and passes on what `allowed` senders send."""

    def __init__(self, network, allowed):
        self.application = (f"127.{network}.64.6", 7071)
        self.allowed = allowed
        self.seen = []
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.bind((f"127.{network}.0.6", 7071))
        self.sock.settimeout(0.05)
        self.ended = False
        self.thread = threading.Thread(target=self.relay)

    def relay(self):
        while not self.ended:
            try:
                data, peer = self.sock.recvfrom(65536)
            except TimeoutError:
                continue
            self.seen.append(peer[0])
            if peer[0] in self.allowed:
                with socket.socket(type=socket.SOCK_DGRAM) as upstream:
                    upstream.settimeout(2)
                    upstream.sendto(data, self.application)
                    self.sock.sendto(upstream.recv(65536), peer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join(5)
        self.sock.close()


WAYS = {
    "connected": "sock.connect(address); sock.send(b'x-sample: s\\n')",
    "not connected": "sock.sendto(b'x-sample: s\\n', address)",
    "bound to any port": "sock.bind(('0.0.0.0', 0)); sock.sendto(b'x-sample: s\\n', address)",
    "bound, connected": "sock.bind(('', 0)); sock.connect(address); sock.send(b'x-sample: s\\n')",
    "sendmsg": "sock.sendmsg([b'x-sample: ', b's\\n'], [], 0, address)",
}


@pytest.mark.parametrize("way", WAYS)
def test_datagrams_pass_the_sidecar_of_the_server_that_sees_who_sent(pods, network, way):
    pods.services(service(pods, endpoints=("0.6",), protocol="UDP", port=71, target=7071))
    pods.agent("0.6", intercept=True)
    code = f"""
found = []
for address in (("svc", 71), ("{pods.ip("0.6")}", 7071)):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        {WAYS[way]}
        try:
            data, peer = sock.recvfrom(1000)
            found.append([json.loads(data.partition(b"\\n")[0])["pod"], peer, sock.getsockname()[0]])
        except TimeoutError:
            found.append(None)
print(json.dumps(found))
"""
    with DatagramSidecar(network, {pods.wire("0.9"), pods.wire("0.8")}) as sidecar:
        expected = [["pod-0.6", [pods.ip("128.3"), 71]], ["pod-0.6", [pods.ip("0.6"), 7071]]]
        for rest, intercept in (("0.9", True), ("0.8", False)):
            answers = pods.run(code, rest, intercept=intercept)
            assert answers == [[*answer, pods.ip(rest)] for answer in expected]
        assert sum(kind["count"] for kind in received(pods, "0.6")) == 4
        assert pods.run(code, "0.7", intercept=True) == [None, None]
        assert sidecar.seen == [pods.wire(rest) for rest in ("0.9", "0.9", "0.8", "0.8", "0.7", "0.7")]
        assert sum(kind["count"] for kind in received(pods, "0.6")) == 4


def test_without_its_sidecar_an_intercepted_pod_gets_no_datagrams(pods):
    pods.agent("0.6", intercept=True)
    assert batch(pods, "0.6", "udp://127.0.0.1:7071/")[0]["pod"] == "pod-0.6", "but from itself"
    assert batch(pods, "0.6", f"udp://{pods.ip('0.6')}:7071/")[0]["pod"] == "pod-0.6"
    code = f"""
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.settimeout(2)
    sock.connect(("{pods.ip("0.6")}", 7071))
    sock.send(b"x")
    try:
        sock.recv(100)
    except OSError as error:
        print(json.dumps(error.errno))
"""
    assert pods.run(code) == 111


def test_a_pod_reaches_itself_by_datagrams_without_a_connection(pods):
    pods.agent("0.6", intercept=True)
    code = f"""
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.settimeout(2)
    found = []
    for host in ("127.0.0.1", "{pods.ip("0.6")}"):
        sock.sendto(b"x", (host, 7071))
        found.append(sock.recvfrom(1000)[1])
    print(json.dumps(found))
"""
    assert pods.run(code, "0.6", intercept=True) == [[pods.ip("0.6"), 7071]] * 2
