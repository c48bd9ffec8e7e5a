"""What a failed check leaves is as harmless to read as a report, and for nobody else's eyes."""

from __future__ import annotations

import json
import stat
from types import SimpleNamespace

from conformance.cluster import ClusterError
from conformance.dump import dump
from conformance.evidence import Evidence

TOKEN = "abcdefghijklmnopqrstuvwx"


def topology(proxied):
    event = {"type": "Warning", "reason": "Failed", "involvedObject": {"kind": "Pod", "name": "p"},
             "message": f"Authorization: Bearer {TOKEN}\x1b[2J password=hunter2"}
    cluster = SimpleNamespace(list=lambda *_: ([event], ""), pod_proxy=lambda *_: proxied())
    mesh = SimpleNamespace(proxy=SimpleNamespace(admin_port=15000))
    return SimpleNamespace(
        cluster=cluster, mesh=mesh, states=lambda: [f"token={TOKEN}"],
        namespace=lambda _: "app", pod=lambda _: SimpleNamespace(namespace="app", name="p"))


def dumped(directory):
    return {file.name: file.read_text() for file in directory.iterdir()}


def test_secrets_and_control_characters_are_taken_out(tmp_path):
    directory = tmp_path / "failures" / "X"
    evidence = Evidence(applied=[{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                                  "data": {"a": TOKEN}}], exchanges=[f"GET / authorization: Bearer {TOKEN}"])
    config = {"header": {"authorization": f"Bearer {TOKEN}"}, "clusters": ["kept"]}
    written = dump(directory, topology(lambda: json.dumps(config).encode()), evidence)
    found = dumped(directory)
    assert sorted(found) == sorted(written)
    assert not [name for name, text in found.items() if TOKEN in text or "hunter2" in text or "\x1b" in text]
    assert "\\x1b[2J" in found["events.txt"]
    assert json.loads(found["proxy-client.json"])["clusters"] == ["kept"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_what_cannot_be_had_is_said_as_harmlessly(tmp_path):
    def fails():
        raise ClusterError("asking", f"Bearer {TOKEN}")

    dump(tmp_path / "X", topology(fails), Evidence())
    assert dumped(tmp_path / "X")["proxy-client.json"] == (
        "could not be collected: asking: Bearer [redacted: token]\n")
