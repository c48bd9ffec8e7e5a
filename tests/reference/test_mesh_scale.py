"""A thousand Services, and a thousand TrafficTargets: they fit, they work, and a change costs what it must."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from pathlib import Path

import pytest
from access_world import AccessWorld, match
from mesh_traffic import Intercepted, application, ask, proxy
from mesh_world import World, pod

from conformance import dialect, mesh
from conformance.cluster import Cluster
from conformance.place import install
from conformance.sandbox import Sandbox
from conformance.sandbox.network import AddressPool
from conformance.sandbox.reference.files import ProxyFiles
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import SANDBOX
from conformance.sandbox.reference.pace import DEBOUNCE, GATHERED, LONGEST, READING, Pace
from conformance.sandbox.reference.problems import problems
from conformance.sandbox.reference.translate import Translation
from conformance.waiting import NotYet, eventually

MANY = 1000
CLIENT, SERVER = "127.251.64.10", "127.251.64.11"
PROXIES = {"client": "127.251.0.10", "v1": "127.251.0.11"}


def many(services: int, splits: int = 0) -> World:
    """Services on v1, the first of them split between v2 and v3."""
    made = World()
    for number in range(services):
        made.service(f"s{number}", "v1", cluster_ip=_cluster_ip(number))
    made.service("root", "v1", cluster_ip="10.251.180.1")
    made.service("a", "v2", cluster_ip="10.251.180.2")
    made.service("b", "v3", cluster_ip="10.251.180.3")
    for number in range(splits):
        made.split(f"s{number}", {"a": 1, "b": 1})
    return made


def _cluster_ip(number: int) -> str:
    return f"10.251.{128 + number // 250}.{number % 250 + 1}"


# --- room


def test_a_sandbox_has_cluster_ips_for_thousands_of_services():
    pool = AddressPool("10.7.128.1", "10.7.191.254")
    assert len({pool.allocate() for _ in range(16_000)}) == 16_000


# --- what a change costs the control plane


def _seconds(tmp_path, services: int) -> float:
    """Processor time of a round after a change, with as many splits as Services."""
    made = many(services, services)
    files = ProxyFiles(tmp_path / str(services), SANDBOX, Authority.create())
    for weight in (1, 2):  # the first round renders everything
        made.split("root", {"a": weight, "b": 1}, name="one")
        began = time.process_time()
        translation = Translation(made.snapshot())
        for name in PROXIES:
            files.write(translation.plan(pod(name)))
        problems(translation)
        took = time.process_time() - began
        made.splits.pop()
    return took


def test_a_round_grows_no_faster_than_what_it_describes(tmp_path):
    small = min(_seconds(tmp_path / "a", 100), _seconds(tmp_path / "b", 100))
    large = _seconds(tmp_path / "c", MANY)
    assert large < 40 * max(small, 0.001), "ten times the Services would be a hundred times the work"


def test_services_are_applied_at_a_steady_cost():
    """Neither the API server nor the sandbox's controllers look at all Services for each that is added."""
    with Sandbox() as sandbox, contextlib.closing(Cluster.from_kubeconfig(sandbox.kubeconfig)) as cluster:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
        spent = []
        for number in range(600):
            began = time.process_time()
            cluster.apply(_service(f"s{number}"))
            spent.append(time.process_time() - began)
        assert sum(spent[-100:]) < 4 * sum(spent[50:150]), (sum(spent[50:150]), sum(spent[-100:]))
        # The table that pods read has all of them a moment later.
        table = sandbox.directory / "services.json"

        def complete():
            if '"s599"' not in table.read_text(encoding="utf-8"):
                raise NotYet("the last one is missing")

        eventually(complete, what="the service table", within=5, consecutive=1)


# --- how fast it may go


def _gathered(pace: Pace, changed, stop, every: float = 0.0) -> float:
    """Seconds that a change waits for its round, with others following `every` so many seconds."""
    changed.set()
    over = threading.Event()

    def change():
        while not over.wait(every):
            changed.set()

    if every:
        threading.Thread(target=change, daemon=True).start()
    began = time.monotonic()
    pace.gather(changed, stop)
    took = time.monotonic() - began
    over.set()
    return took


def test_a_change_alone_waits_for_others_only_briefly():
    took = _gathered(Pace(), threading.Event(), threading.Event())
    assert DEBOUNCE <= took < DEBOUNCE + 0.5


def test_changes_that_keep_coming_do_not_put_off_a_round_for_ever():
    took = _gathered(Pace(), threading.Event(), threading.Event(), every=0.005)
    assert GATHERED <= took < GATHERED + 0.5


def test_proxies_have_read_before_they_are_given_more():
    pace = Pace(cores=2)
    pace.gave([1_000_000] * 8)
    cost = 4 * 1_000_000 * READING
    took = _gathered(pace, threading.Event(), threading.Event())
    assert cost * 0.9 <= took < cost + 1.0
    # By now they have: the next change does not wait again.
    assert _gathered(pace, threading.Event(), threading.Event()) < cost + 0.3


def test_whatever_the_size_a_round_is_not_put_off_for_long():
    pace = Pace(cores=1)
    pace.gave([10**9])
    assert LONGEST * 0.9 <= _gathered(pace, threading.Event(), threading.Event(), every=0.01) < LONGEST + 1.0


def test_who_wants_to_stop_does_not_wait():
    pace, stop, changed = Pace(cores=1), threading.Event(), threading.Event()
    pace.gave([10**9])

    def end():
        stop.set()
        changed.set()

    threading.Timer(0.2, end).start()
    assert _gathered(pace, changed, stop) < 1.0


def test_changes_of_a_burst_wait_for_each_other():
    """One every tenth of a second is a round each for small proxies, and few for large ones."""
    pace = Pace(cores=1)
    pace.gave([4_000_000])
    assert _gathered(pace, threading.Event(), threading.Event(), every=0.1) > 1.0


def test_a_round_without_a_change_costs_nothing():
    pace = Pace()
    pace.gave([])
    assert _gathered(pace, threading.Event(), threading.Event()) < 0.5


# --- in the real Envoy


@pytest.fixture
def files(tmp_path):
    return ProxyFiles(tmp_path, SANDBOX, Authority.create())


def _directory(tmp_path: Path, name: str) -> Path:
    return tmp_path / "proxies" / "demo" / f"uid-{name}"


def _answer(cluster_ip: str, path: str = "/") -> str:
    connection = Intercepted(CLIENT, SANDBOX.wire(cluster_ip), 8080)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return f"{response.status} {response.read().decode().partition(' ')[0]}"
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def _until(cluster_ip: str, wanted: str, path: str = "/", within: float = 15.0) -> float:
    began = time.monotonic()
    while (seen := _answer(cluster_ip, path)) != wanted:
        assert time.monotonic() < began + within, seen
        time.sleep(0.01)
    return time.monotonic() - began


def _nothing_rejected(name: str) -> bool:
    lines = ask(PROXIES[name], "/stats?filter=update_rejected").splitlines()
    return all(line.endswith(": 0") for line in lines if line)


def test_a_thousand_services_fit_into_a_sidecar(tmp_path, files):
    made = many(MANY, 100)
    made.pods[pod("v2").address] = pod("v2", meshed=False)
    for name in PROXIES:
        files.write(Translation(made.snapshot()).plan(pod(name)))
    with (
        application("v1", SERVER, 8080), application("v2", "127.251.0.12", 8080),
        proxy(_directory(tmp_path, "client"), PROXIES["client"]), proxy(_directory(tmp_path, "v1"), PROXIES["v1"]),
    ):
        _until(_cluster_ip(MANY - 1), "200 v1")
        assert _answer(_cluster_ip(500)) == "200 v1"
        made.split("root", {"a": 1})
        assert files.write(Translation(made.snapshot()).plan(pod("client"))) < 3_000_000
        _until("10.251.180.1", "200 v2")
        assert _nothing_rejected("client")
        assert int(ask(PROXIES["client"], "/memory").partition('"allocated": "')[2].partition('"')[0]) < 250_000_000


def test_a_thousand_targets_let_in_whom_they_name(tmp_path, files):
    """The last of them decides, and goes again; the others name others, or other paths."""
    made = AccessWorld()
    root = made.services["demo", "root"].cluster_ip

    def write():
        translation = Translation(made.snapshot())
        for name in PROXIES:
            files.write(translation.plan(pod(name)))

    for number in range(MANY):
        made.match_group(f"paths-{number}", match(path=f"/of/{number}(/.*)?$", methods=("GET",)))
        made.target(f"HTTPRouteGroup/paths-{number}", sources=("client" if number % 2 else f"other-{number}",))
    write()
    with (
        application("v1", SERVER, 8080),
        proxy(_directory(tmp_path, "client"), PROXIES["client"]), proxy(_directory(tmp_path, "v1"), PROXIES["v1"]),
    ):
        _until(root, "200 v1", "/of/999")
        seen = {number: _answer(root, f"/of/{number}") for number in (0, 1, 2, 501, 998, 999)}
        assert seen == {number: "200 v1" if number % 2 else "403 RBAC:" for number in seen}
        assert _answer(root, "/of/1000") == "403 RBAC:"
        del made.targets[999]
        write()
        _until(root, "403 RBAC:", "/of/999")
        assert _answer(root, "/of/501") == "200 v1"
        assert _nothing_rejected("v1")


# --- all of it


def _service(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "demo"},
            "spec": {"selector": {"app": "nothing"}, "ports": [{"name": "http", "port": 8080}]}}


def test_a_burst_of_services_is_few_rounds_of_the_control_plane():
    """Every Service comes with an EndpointSlice: six hundred changes and one proxy, as it was told of them."""
    with Sandbox(crds=dialect.load("v1alpha4").definitions()) as sandbox, \
            contextlib.closing(Cluster.from_kubeconfig(sandbox.kubeconfig)) as cluster:
        install(cluster, mesh.load("reference"))
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
        template = mesh.load("reference").inject({"metadata": {}, "spec": {"containers": [
            {"name": "main", "image": "busybox", "command": ["sleep", "600"]}]}})
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "demo",
                                                                       **template["metadata"]},
                       "spec": template["spec"]})
        for number in range(300):
            cluster.apply(_service(f"s{number}"))

        def told() -> str:
            found = "".join(file.read_text() for file in sandbox.directory.glob(
                "host/var/run/reference-mesh/proxies/demo/*/lds.json"))
            if '"outbound|demo/s299:8080"' not in found:
                raise NotYet("the last one is missing")
            return found

        found = eventually(told, what="the proxy to be told of all Services", within=20, consecutive=1).last
        assert sum(f'"name":"outbound|demo/s{number}:8080","address"' in found for number in range(300)) == 300
        (control_plane,), _ = cluster.list("v1", "pods", "reference-mesh")
        log = cluster.pod_log("reference-mesh", control_plane["metadata"]["name"], tail=2000)
        assert 0 < log.count("configured demo/one") < 100
