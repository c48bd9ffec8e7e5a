"""What config maps and secrets may hold, and how pods get it."""

from __future__ import annotations

import base64
import hashlib

import pytest

MEBIBYTE = 1024 * 1024


def config(name="one", **content):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}


def encoded(content):
    return base64.b64encode(content).decode()


def test_binary_data_is_kept_beside_text(api, maps):
    made = api.ok("POST", maps, config(data={"text": "a"}, binaryData={"zip": encoded(b"\x00\xff")}))
    assert (made["data"], made["binaryData"]) == ({"text": "a"}, {"zip": encoded(b"\x00\xff")})
    changed = api.ok("PATCH", f"{maps}/one", {"binaryData": {"zip": encoded(b"\x01")}},
                     type="application/strategic-merge-patch+json")  # fmt: skip
    assert changed["binaryData"] == {"zip": encoded(b"\x01")}


def test_binary_data_is_base64(api, maps):
    answer = api("POST", maps, config(binaryData={"zip": "no base64!"}))
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_a_key_is_text_or_binary(api, maps):
    answer = api("POST", maps, config(data={"a": "x"}, binaryData={"a": encoded(b"x")}))
    assert (answer.status, answer.fields) == (422, {"data[a]"})


@pytest.mark.parametrize(("text", "binary", "status"), [(MEBIBYTE // 2, MEBIBYTE // 2, 201), (MEBIBYTE, 1, 422)])
def test_there_is_room_for_a_mebibyte(api, maps, text, binary, status):
    answer = api("POST", maps, config(data={"t": "a" * text}, binaryData={"b": encoded(b"b" * binary)}))
    assert answer.status == status
    if status == 422:
        assert "Too long" in answer.body["message"]


def test_a_pod_reads_the_bytes(api, maps, namespace):
    blob = bytes(range(256)) * 16
    api.ok("POST", maps, config(data={"text": "hello"}, binaryData={"blob": encoded(blob)}))
    program = "import hashlib,pathlib; print(hashlib.sha256(pathlib.Path('/d/blob').read_bytes()).hexdigest())"
    container = {"name": "main", "image": "python:3.12-slim", "command": ["python", "-c", program],
                 "volumeMounts": [{"name": "d", "mountPath": "/d"}]}  # fmt: skip
    spec = {"restartPolicy": "Never", "containers": [container],
            "volumes": [{"name": "d", "configMap": {"name": "one"}}]}  # fmt: skip
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api.ok("POST", pods, {"metadata": {"name": "reader"}, "spec": spec})
    ended = api.until(f"{pods}/reader", lambda answer: answer.body["status"]["phase"] in ("Succeeded", "Failed"), 60)
    assert ended.body["status"]["phase"] == "Succeeded"


    assert api.http.get(f"{pods}/reader/log").text.strip() == hashlib.sha256(blob).hexdigest()


def test_a_secret_for_tls_has_both_halves(api, namespace):
    secret = {"metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "data": {"tls.crt": encoded(b"x")}}
    answer = api("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert (answer.status, answer.fields) == (422, {"data[tls.key]"})


def test_data_is_a_map(api, maps):
    answer = api("POST", maps, config(data=["a"]))
    assert (answer.status, answer.reason) == (400, "BadRequest")
