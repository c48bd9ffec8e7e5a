"""PerformanceTestConfig: what is right is read, each defect is named with its place, all of them at once."""

from __future__ import annotations

import json

import pytest
import yaml

from conformance.performance.smp import config
from conformance.performance.smp.config import ConfigError, LoadRequest, UnsupportedError

URL = "http://echo.apps.svc:8080/get"


def client(**changes):
    return {"protocol": 1, "connections": 4, "rps": 100, "endpoint_urls": [URL]} | changes


def whole(*clients, **changes):
    return {"smp_version": "v0.0.1", "id": "t1", "name": "test", "clients": list(clients or [client()]),
            "duration": "10s"} | changes


def read(tmp_path, data, name="config.yaml"):
    file = tmp_path / name
    text = data if isinstance(data, str) else json.dumps(data) if name.endswith("json") else yaml.safe_dump(data)
    file.write_text(text)
    return config.read(file)


def defects(tmp_path, data, name="config.yaml"):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, data, name)
    return caught.value.findings


def only(tmp_path, data, rule, name="config.yaml"):
    found = defects(tmp_path, data, name)
    assert [one.rule for one in found] == [rule], "\n".join(map(str, found))
    return str(found[0])


MESHERYCTL = """\
test:
  smp_version: v0.0.1
  id:
  name: Load Test
  labels: {}
  clients:
    - internal: true
      load_generator: fortio
      protocol: 1
      connections: 2
      rps: 10
      headers: {}
      cookies: {}
      body: ''
      content_type: ''
      endpoint_urls:
        - 'http://localhost:2323/productpage'
  duration: 1m30s
mesh:
  type: 3
"""


def test_reads_what_mesheryctl_reads(tmp_path):
    found = read(tmp_path, MESHERYCTL)
    assert (found.name, found.seconds, found.mesh.name) == ("Load Test", 90.0, "ISTIO")
    assert config.to_loads(found) == (
        LoadRequest("http://localhost:2323/productpage", "GET", (), "", 2, 10.0, 90.0, "http", 0, internal=True),)


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_the_bare_message_in_both_notations(tmp_path, name):
    found = read(tmp_path, whole(), name)
    assert (found.id, found.clients[0].rps, found.clients[0].connections, found.mesh) == ("t1", 100, 4, None)


def test_what_protojson_writes(tmp_path):
    found = read(tmp_path, {"smpVersion": "v0.0.1", "duration": "5s", "clients": [
        {"protocol": "PROTOCOL_HTTP", "rps": "10", "endpointUrls": [URL]}]}, "config.json")
    assert (found.clients[0].protocol, found.clients[0].rps, found.clients[0].endpoint_urls) == (1, 10, (URL,))


@pytest.mark.parametrize(("said", "number"), [(2, 2), ("PROTOCOL_TCP", 2), ("tcp", 2), ("Tcp", 2)])
def test_protocol_by_number_or_name(tmp_path, said, number):
    found = read(tmp_path, whole(client(protocol=said, endpoint_urls=["tcp://echo:9000"])))
    assert found.clients[0].protocol == number


@pytest.mark.parametrize(("said", "name"), [
    (5, "LINKERD"), ("linkerd", "LINKERD"), ("Traefik Mesh", "TRAEFIK_MESH"),
    ("open-service-mesh", "OPEN_SERVICE_MESH"), ("cilium", "CILIUM_SERVICE_MESH"),
])
def test_mesh_by_number_or_name(tmp_path, said, name):
    assert read(tmp_path, {"test": whole(), "mesh": {"type": said}}).mesh.name == name


def test_what_is_absent_is_as_mesheryctl_has_it(tmp_path):
    found = read(tmp_path, {"clients": [{"endpoint_urls": [URL]}]})
    load, = config.to_loads(found)
    assert (load.connections, load.rate, load.seconds, load.protocol) == (1, None, 30.0, "http")


def test_all_clients_and_endpoints(tmp_path):
    urls = [URL, "http://echo/second", "http://localhost:1/"]
    found = read(tmp_path, whole(
        client(connections=8, rps=90, endpoint_urls=urls, cookies={"a": "1", "b": "2"}, headers={"X-Y": "z"}),
        client(rps=0, body="hello", content_type="text/plain"),
        client(protocol=2, endpoint_urls=["tcp://127.0.0.1:9000"])))
    loads = config.to_loads(found)
    assert [load.url for load in loads] == [*urls, URL, "tcp://127.0.0.1:9000"]
    assert [load.client for load in loads] == [0, 0, 0, 1, 2]
    assert [load.connections for load in loads] == [3, 3, 2, 4, 4]
    assert [load.rate for load in loads] == [30.0, 30.0, 30.0, None, 100.0]
    assert loads[0].headers == (("X-Y", "z"), ("Cookie", "a=1; b=2"))
    assert (loads[3].method, loads[3].body, loads[3].headers) == ("POST", "hello", (("Content-Type", "text/plain"),))
    assert loads[4].protocol == "tcp"


def test_all_defects_at_once_with_their_lines(tmp_path):
    found = defects(tmp_path, """\
smp_version: 1
clients:
- protocol: htpp
  conections: 4
  rps: -4
  endpoint_urls: ["ftp://x/"]
- connections: many
duration: 1m30
""")
    assert [(one.rule, one.place) for one in found] == [
        ("wrong-type", "line 1: smp_version"),
        ("unknown-enum", "line 3: clients[0].protocol"),
        ("unknown-key", "line 4: clients[0].conections"),
        ("out-of-range", "line 5: clients[0].rps"),
        ("bad-url", "line 6: clients[0].endpoint_urls[0]"),
        ("wrong-type", "line 7: clients[1].connections"),
        ("no-endpoint", "line 7: clients[1]"),
        ("duration-invalid", "line 8: duration"),
    ]
    text = "\n".join(map(str, found))
    assert "Did you mean PROTOCOL_HTTP?" in text
    assert "Did you mean connections?" in text


def test_places_in_json_are_paths(tmp_path):
    assert only(tmp_path, whole(client(rps=-1)), "out-of-range", "c.json").startswith("clients[0].rps: ")


DEFECTS = [
    ([], "wrong-type", "a mapping"),
    ("5", "wrong-type", "a mapping"),
    (whole(clients=[]), "no-client", "no client"),
    ({"smp_version": "v0.0.1"}, "no-client", "no client"),
    ({"mesh": {"type": 3}}, "no-client", "no test:"),
    ({"test": whole(), "mesh": {"type": 3}, "tset": 1}, "unknown-key", "beside test:"),
    ({"test": whole(), "mesh": {"type": 99}}, "unknown-enum", "number 99"),
    ({"test": whole(), "mesh": {"type": "istoi"}}, "unknown-enum", "Did you mean ISTIO"),
    ({"test": [None], "mesh": {"type": 3}}, "wrong-type", "found a list"),
    (whole(clients=[5]), "wrong-type", "the number 5"),
    (whole(client(endpoint_urls=[])), "no-endpoint", "no endpoint_urls"),
    (whole(client(endpoint_urls=URL)), "wrong-type", "a list for endpoint_urls"),
    (whole(client(endpoint_urls=["echo:8080"])), "bad-url", "scheme is missing"),
    (whole(client(endpoint_urls=["http://"])), "bad-url", "no host"),
    (whole(client(endpoint_urls=["http://echo:99999"])), "bad-url", "no URL"),
    (whole(client(endpoint_urls=["http://[::1"])), "bad-url", "no URL"),
    (whole(client(endpoint_urls=["http://echo/a b"])), "bad-url", "percent-encoded"),
    (whole(client(endpoint_urls=["http://echo/a\r\nX: y"])), "bad-url", "percent-encoded"),
    (whole(client(endpoint_urls=["http://me:secret@echo/"])), "bad-url", "Authorization"),
    (whole(client(endpoint_urls=["http://echo/#top"])), "bad-url", "fragment"),
    (whole(client(protocol=2, endpoint_urls=["tcp://echo"])), "bad-url", "no port"),
    (whole(client(protocol=2, endpoint_urls=["tcp://echo:1/path"])), "bad-url", "no paths"),
    (whole(client(endpoint_urls=[URL, URL])), "contradiction", "twice"),
    (whole(client(protocol=2)), "contradiction", "does not go with PROTOCOL_TCP"),
    (whole(client(protocol=0)), "invalid-protocol", "PROTOCOL_INVALID"),
    (whole(client(protocol=7)), "unknown-enum", "number 7"),
    (whole({"endpoint_urls": [URL, "tcp://echo:1"], "connections": 2}), "contradiction", "different protocols"),
    (whole(client(connections=0)), "out-of-range", "at least 1"),
    (whole(client(connections=10**6)), "out-of-range", "more than"),
    (whole(client(connections=2**31)), "out-of-range", "int32"),
    (whole(client(connections=2.5)), "wrong-type", "a whole number"),
    (whole(client(connections=True)), "wrong-type", "a whole number"),
    (whole(client(connections="4")), "wrong-type", "the text '4'"),
    (whole(client(connections=1, endpoint_urls=[URL, "http://echo/2"])), "contradiction", "cannot be shared"),
    (whole(client(rps=-1)), "out-of-range", "at least 0"),
    (whole(client(rps=10**9)), "out-of-range", "more than"),
    (whole(client(rps=1.5)), "wrong-type", "a whole number"),
    (whole(client(rps=float("nan"))), "wrong-type", "a whole number"),
    (whole(client(headers={"a b": "x"})), "bad-header", "not the name"),
    (whole(client(headers={"a": "x\r\nHost: y"})), "bad-header", "line break"),
    (whole(client(headers={"a": 1})), "wrong-type", "quotes"),
    (whole(client(headers={"a": "1", "A": "2"})), "contradiction", "same header"),
    (whole(client(headers=["a"])), "wrong-type", "a mapping"),
    (whole(client(cookies={"a": "b;c"})), "bad-header", "cookie"),
    (whole(client(cookies={"a": "b"}, headers={"cookie": "c=d"})), "contradiction", "as a header Cookie"),
    (whole(client(body="x", content_type="a/b", headers={"Content-Type": "c/d"})), "contradiction", "'c/d'"),
    (whole(client(content_type="a/b")), "contradiction", "without a body"),
    (whole(client(protocol=2, endpoint_urls=["tcp://echo:1"], headers={"a": "b"})), "contradiction", "headers in"),
    (whole(client(ssl_certificate="PEM")), "certificate-without-tls", "no endpoint uses TLS"),
    (whole(client(load_generator="fortio", additional_options='{"QPS": 50}')), "contradiction", "rps 50"),
    (whole(client(load_generator="fortio", additional_options="-c 9")), "contradiction", "connections 9"),
    (whole(client(load_generator="nighthawk", additional_options="--rps=7")), "contradiction", "rps 7"),
    (whole(client(load_generator="wrk2", additional_options="-d 20s -t 2")), "contradiction", "duration 20"),
    (whole(client(body="x", load_generator="fortio", additional_options='{"method": "get"}')), "contradiction", "GET"),
    (whole(client(additional_options='{"QPS": ')), "bad-options", "JSON"),
    (whole(client(additional_options="'")), "bad-options", "flags"),
    (whole(client(additional_options="--rps=lots")), "bad-options", "lots"),
    (whole(client(), client()), "same-client", "the same as clients[0]"),
    (whole(duration="0"), "duration-invalid", "without end"),
    (whole(duration="-3s"), "duration-invalid", "cannot last"),
    (whole(duration="10"), "duration-invalid", "no unit"),
    (whole(duration=10), "wrong-type", "quotes"),
    (whole(duration="400h"), "out-of-range", "7 days"),
    (whole(labels={"a": {"b": "c"}}), "wrong-type", "text"),
    (whole(client() | {"endpoint_url": URL}), "earlier-name", "endpoint_urls"),
    ({"latencies_ms": {"p50": 1}, "actual_qps": 5}, "not-a-config", "PerformanceTestResult"),
    ({"runner_results": []}, "not-a-config", "Meshery result"),
]


@pytest.mark.parametrize(("data", "rule", "said"), DEFECTS,
                         ids=[f"{number}-{rule}" for number, (_, rule, _) in enumerate(DEFECTS)])
def test_each_defect_alone(tmp_path, data, rule, said):
    assert said in only(tmp_path, data, rule)


@pytest.mark.parametrize(("text", "said"), [
    ("", "empty"), ("# nothing\n", "comments"), ("clients: [", "line 1"), ('{"clients": [', "line 1"),
    ("a: 1\n\tb: 2\n", "line 2"), ("--- 1\n--- 2\n", "line 2"), ("clients: !!python/object:os.system []\n", "tag"),
    ("a: &a [*a]\n", "deeper"), ("[" * 5000, "deeper"), ('{"a":' * 5000, ""), ("? [a]\n: b\n", "key must be text"),
    ("rps: " + "9" * 5000, ""), ("x" * (1 << 21), "MiB"), ("\x00", "YAML"), ("a: *b\n", "line 1"),
], ids=range(15))
def test_files_that_are_none(tmp_path, text, said):
    found = defects(tmp_path, text)
    assert [one.rule for one in found] == ["unreadable"]
    assert said in str(found[0])


def test_aliases_that_multiply_are_bounded(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than" in only(tmp_path, "\n".join(lines), "unreadable")


def test_aliases_and_merged_keys_are_understood(tmp_path):
    found = read(tmp_path, """\
clients:
- &one {endpoint_urls: [http://echo/], rps: 5, headers: {a: b}}
- {<<: *one, rps: 7}
duration: 10s
""")
    assert [one.rps for one in found.clients] == [5, 7]
    assert found.clients[1].headers == {"a": "b"}


def test_a_key_given_twice(tmp_path):
    said = only(tmp_path, f"clients: [{{endpoint_urls: ['{URL}']}}]\nduration: 5s\nduration: 6s\n", "duplicate-key")
    assert said.startswith("line 3: duration")
    only(tmp_path, '{"clients": [{"endpoint_urls": ["http://echo"]}], "duration": "5s", "duration": "6s"}',
         "duplicate-key", "c.json")
    only(tmp_path, {"clients": [client() | {"endpointUrls": ["http://echo"]}]}, "duplicate-key")


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        config.read(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.read(tmp_path / "binary")


@pytest.mark.parametrize(("changes", "said"), [
    ({"protocol": 4, "endpoint_urls": ["grpc://echo:1"]}, "GRPC"),
    ({"protocol": 3, "endpoint_urls": ["udp://echo:1"]}, "UDP"),
    ({"endpoint_urls": ["https://echo/"]}, "TLS"),
    ({"headers": {"Connection": "close"}}, "header Connection"),
    ({"load_generator": "fortio", "additional_options": '{"Jitter": true}'}, "additional_options"),
    ({"endpoint_urls": ["http://example.com/"]}, "example.com, which is not part of the run"),
    ({"endpoint_urls": ["http://10.1.2.3/"]}, "10.1.2.3"),
    ({"endpoint_urls": ["http://127.0.0.1.example.com/"]}, "not part of the run"),
])
def test_what_is_right_and_not_supported_is_said_apart_from_defects(tmp_path, changes, said):
    found = read(tmp_path, whole(client(**changes)))
    with pytest.raises(UnsupportedError) as caught:
        config.to_loads(found)
    assert [one.rule for one in caught.value.findings] == ["not-supported-here"]
    assert said in str(caught.value)
    assert "clients[0]" in str(caught.value)


def test_a_client_certificate_is_not_supported(tmp_path):
    found = read(tmp_path, whole(client(endpoint_urls=["https://echo/"], ssl_certificate="PEM")))
    assert len(config.unsupported(found)) == 2


def test_who_runs_the_load_says_which_hosts_belong_to_the_run(tmp_path):
    found = read(tmp_path, whole(client(endpoint_urls=["http://10.1.2.3/"])))
    assert config.to_loads(found, lambda host: host == "10.1.2.3")
    with pytest.raises(UnsupportedError):
        config.to_loads(read(tmp_path, whole()), lambda _host: False)


@pytest.mark.parametrize("url", ["http://localhost", "http://127.0.0.1:80/", "http://[::1]:80/", "http://echo",
                                 "http://echo.apps.svc", "http://echo.apps.svc.cluster.local:8080/x?y=z"])
def test_hosts_that_can_only_be_inside(tmp_path, url):
    assert config.to_loads(read(tmp_path, whole(client(endpoint_urls=[url]))))
