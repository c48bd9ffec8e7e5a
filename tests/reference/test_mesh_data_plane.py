"""The configuration works in the real Envoy: two sidecars, mTLS between them, splits, header matches, updates."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from file_mesh import FileMesh
from mesh_traffic import Intercepted, application, ask, get, proxy, validate
from mesh_world import ON_A_CLUSTER, World, pod

from conformance.sandbox.mutants import MUTANTS
from conformance.sandbox.reference.files import ProxyFiles
from conformance.sandbox.reference.headers import trouble
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import SANDBOX
from conformance.sandbox.reference.model import HeaderMatch, ServicePort
from conformance.sandbox.reference.translate import Translation

CLIENT, V1, V2 = "127.251.64.10", "127.251.64.11", "127.251.0.12"


def world() -> World:
    """A root on v1, with a sidecar, and a canary on v2, which has none."""
    made = World()
    made.pods[pod("v2").address] = pod("v2", meshed=False)
    for name, workload in (("root", "v1"), ("stable", "v1"), ("canary", "v2")):
        made.service(name, workload, ports=(ServicePort("http", 8080), ServicePort("tcp", 7070, http=False)))
    return made


@pytest.fixture(scope="module")
def sidecars(tmp_path_factory):
    running = FileMesh(tmp_path_factory.mktemp("state"), "client", "v1")
    running.apply(world())
    with (
        application("v1", V1, 8080), application("v2", V2, 8080), application("v1-tcp", V1, 7070),
        application("v2-tcp", V2, 7070),
        proxy(running.directory("client"), "127.251.0.10"), proxy(running.directory("v1"), "127.251.0.11"),
    ):
        yield running


@pytest.fixture
def connect(sidecars):
    """Open connections of the client; each test starts from a world without splits that is in effect."""
    opened = []

    def connect(service="root", port=8080):
        connection = Intercepted(CLIENT, SANDBOX.wire(world().services["demo", service].cluster_ip), port)
        opened.append(connection)
        return connection

    sidecars.apply(world())
    eventually(lambda: who(connect, count=3) + who(connect, count=3, port=7070), Counter({"v1": 3, "v1-tcp": 3}))
    yield connect
    for connection in opened:
        connection.close()


def eventually(look, wanted, within=3.0):
    """Wait until `look()` is as wanted; return how long that took."""
    started = time.monotonic()
    while (seen := look()) != wanted:
        assert time.monotonic() < started + within, f"wanted {wanted!r}, got {seen!r}"
        time.sleep(0.005)
    return time.monotonic() - started


def who(connect, service="root", count=1, port=8080, **headers):
    """Who answers, over one connection per request."""
    return Counter(_name(get(connect(service, port), **headers)) for _ in range(count))


def test_plain_service_through_mtls_says_who_calls(sidecars, connect):
    eventually(lambda: get(connect()), "200 v1 URI=spiffe://cluster.local/ns/demo/sa/client")


def test_pod_without_sidecar_is_reached_in_plaintext(sidecars, connect):
    eventually(lambda: get(connect("canary")), "200 v2 -")


def test_client_cannot_forge_a_certificate(sidecars, connect):
    forged = {"X-Forwarded-Client-Cert": "URI=spiffe://cluster.local/ns/demo/sa/admin"}
    eventually(lambda: get(connect(), **forged), "200 v1 URI=spiffe://cluster.local/ns/demo/sa/client")


def test_split_by_weight_takes_effect_fast_and_is_exact(sidecars, connect):
    eventually(lambda: who(connect, count=20), Counter(v1=20))
    made = world()
    made.split("root", {"stable": 90, "canary": 10})
    sidecars.apply(made)
    took = eventually(lambda: "v2" in who(connect, count=20), True)
    connection = connect()
    seen = Counter(get(connection).split()[1] for _ in range(1500))
    # 90/10 of 1500: the standard deviation is 11.6; six of them is a false alarm in half a thousand million.
    assert abs(seen["v2"] - 150) < 70, seen
    assert sum(seen.values()) == 1500
    assert took < 2


def test_open_connection_meets_a_change_after_one_more_answer(sidecars, connect):
    eventually(lambda: who(connect, count=5), Counter(v1=5))
    connection = connect()
    get(connection)
    made = world()
    made.split("root", {"canary": 1})
    sidecars.apply(made)
    eventually(lambda: who(connect, count=5), Counter(v2=5))
    assert get(connection).split()[:2] == ["200", "v1"]
    assert get(connection).split()[:2] == ["200", "v2"]


def test_header_match_as_a_whole_value(sidecars, connect):
    made = world()
    made.group("beta", {"x-user": "beta-.*", "x-region": "eu"})
    made.split("root", {"canary": 1}, groups=("beta",))
    sidecars.apply(made)
    both = {"x-user": "beta-7", "x-region": "eu"}
    eventually(lambda: who(connect, count=5, **both), Counter(v2=5))
    assert who(connect) == Counter(v1=1)
    assert who(connect, **{"x-user": "beta-7"}) == Counter(v1=1)
    assert who(connect, **{"x-user": "beta-7", "x-region": "europe"}) == Counter(v1=1)


def test_tcp_port_is_split_by_connection(sidecars, connect):
    made = world()
    made.split("root", {"stable": 1, "canary": 1})
    sidecars.apply(made)
    eventually(lambda: set(who(connect, count=20, port=7070)), {"v1-tcp", "v2-tcp"})
    connection = connect(port=7070)
    assert len({get(connection).split()[1] for _ in range(20)}) == 1


def test_full_domain_name_mutant_changes_only_that_name(sidecars, connect):
    """Hosts of a rule become virtual hosts that Envoy tells apart."""
    made = world()
    made.split("root", {"canary": 1})
    plan = MUTANTS["fqdn-not-split"].behaviour.translation(made.snapshot()).plan(pod("client"))
    sidecars.files.write(plan)
    eventually(lambda: who(connect, count=5), Counter(v2=5))
    for host in ("root.demo.svc.cluster.local", "root.demo.svc.cluster.local:8080"):
        assert who(connect, host=host) == Counter(v1=1)
    for host in ("root", "root:8080", "root.demo", "root.demo.svc"):
        assert who(connect, host=host) == Counter(v2=1)


def test_split_at_server_mutant_meets_only_outsiders(sidecars, connect):
    made = world()
    made.split("root", {"canary": 1})
    plan = MUTANTS["split-at-server"].behaviour.translation(made.snapshot()).plan(pod("v1"))
    sidecars.files.write(plan)
    outsider = "127.251.0.11"

    def outside():
        connection = http.client.HTTPConnection(outsider, 8080, timeout=5)
        try:
            return get(connection)
        finally:
            connection.close()

    eventually(outside, "200 v2 -")
    assert who(connect) == Counter(v1=1)
    sidecars.apply(world())
    eventually(outside, "200 v1 -")


def test_no_request_fails_while_everything_changes(sidecars, connect):
    """Splits come and go, and so does an endpoint, under requests on new and on kept connections."""
    stop = threading.Event()
    answers: Counter[str] = Counter()

    def load(*, keep):
        connection = connect()
        while not stop.is_set():
            try:
                answers[get(connection).split()[0]] += 1
            except (OSError, http.client.HTTPException) as error:
                answers[repr(error)] += 1
            if not keep:
                connection.close()

    threads = [threading.Thread(target=load, kwargs={"keep": keep}) for keep in (True, True, False)]
    for thread in threads:
        thread.start()
    for number in range(40):
        made = world()
        if number % 2:
            made.split("root", {"stable": 1, "canary": number})
        if number % 3:
            made.service("more", "v2", "v1")
            made.endpoints["demo", "root"] += made.endpoints["demo", "canary"]
        sidecars.apply(made)
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(5)
    assert set(answers) == {"200"}, answers
    assert answers["200"] > 200


def test_unknown_destination_passes_through(sidecars, connect):
    with application("elsewhere", "127.251.0.99", 8099):
        connection = Intercepted(CLIENT, "127.251.0.99", 8099)
        assert get(connection) == "200 elsewhere -"
        connection.close()


def test_wrong_identity_is_refused(sidecars, connect):
    """The server's certificate must be that of a service account behind the Service."""
    made = world()
    made.pods[pod("v1").address] = replace(pod("v1"), service_account="other")
    translation = Translation(made.snapshot())
    sidecars.files.write(translation.plan(pod("client")))
    eventually(lambda: get(connect()).split()[0], "503")
    sidecars.apply(world())
    eventually(lambda: get(connect()).split()[0], "200")


def test_envoy_rejected_nothing(sidecars, connect):
    for admin in ("127.251.0.10", "127.251.0.11"):
        stats = dict(line.split(": ", 1) for line in ask(admin, "/stats?filter=update_rejected|manager.lds|manager.cds"
                                                         ).splitlines() if ": " in line)
        rejected = {name: value for name, value in stats.items() if name.endswith("update_rejected")}
        assert set(rejected.values()) == {"0"}, rejected
        assert len(rejected) == 2


@pytest.mark.parametrize("interception", [SANDBOX, ON_A_CLUSTER], ids=["sandbox", "cluster"])
def test_envoy_validates_every_generated_resource(tmp_path, interception):
    made = world()
    made.service("headless", "v1", cluster_ip="")
    made.group("beta", {"x-user": "beta-.*"}, {"host": "a|b"}, {})
    made.split("root", {"stable": "1/3", "canary": "2/7"}, groups=("beta",))
    made.split("stable", {"nowhere": 1})
    files = ProxyFiles(tmp_path, interception, Authority.create())
    files.write(Translation(made.snapshot()).plan(pod("v1")))
    validate(tmp_path / "proxies" / "demo" / "uid-v1")


def test_envoy_takes_every_header_expression_that_passed(tmp_path):
    """Random expressions, most of them odd: what the mesh lets through must never cost a listener."""
    generator = random.Random(3)
    tokens = ["a", "b-", ".", "*", "+", "?", "+?", "{2}", "{1,3}", "{,4}", "{1001}", "{999}", "(", ")", "(?:", "(?i)",
              "(?P<n>", "(?P=n)", "(?=", "(?<!", "(?>", "(?#c)", "|", "[", "]", "[^", "[]", "[a-z", "[[:alpha:]]", "^",
              "$", "\\", "\\d", "\\1", "\\b", "\\B", "\\Z", "\\z", "\\A", "\\x41", "\\u0041", "\\+", "\\pN", "\\Q", "é",
              "\n", "\x00", "-", "\\0", "\\07", "\\8", "\\f", "\\s", "\\W", "(?s)", "(?-i)", "\\_", "\\", "€",
              "(?i:", "(?x)"]
    made = world()
    passed = {regex: None for regex in ("".join(generator.choices(tokens, k=generator.randint(1, 6)))
                                        for _ in range(6000)) if not trouble(HeaderMatch("x", regex))}
    passed[r"(?:[^a]{9}){99}"] = passed["[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"] = None
    assert len(passed) > 300
    made.group("odd", *({"x": regex} for regex in passed))
    made.split("root", {"canary": 1}, groups=("odd",))
    ProxyFiles(tmp_path, SANDBOX, Authority.create()).write(Translation(made.snapshot()).plan(pod("client")))
    validate(tmp_path / "proxies" / "demo" / "uid-client")


def _name(answer):
    """Who answered; anything but a proper answer as it was."""
    status, name, *_ = [*answer.split(), "", ""]
    return name if status == "200" else answer
