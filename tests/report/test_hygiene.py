"""What enters a report is harmless and holds no secret."""

import base64
import dataclasses
import datetime as dt
import json
import random
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.outcome import Convergence, SampleSummary
from conformance.report import hygiene
from conformance.report.hygiene import MAX_TEXT, clean_header, clean_result, clean_text, clean_value, command_line


def key():
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def token():
    parts = [
        json.dumps({"alg": "RS256", "kid": "1"}),
        json.dumps({"sub": "system:serviceaccount:demo:client"}),
        "s" * 40,
    ]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(("text", "clean"), [
    ("plain text, ümläut, 日本, 😀\n\ttab", "plain text, ümläut, 日本, 😀\n\ttab"),
    ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    ("a\x00b\x08c\x7f\x9b31m", r"a\x00b\x08c\x7f\x9b31m"),
    ("overwritten\rtext", r"overwritten\x0dtext"),
    ("two\r\nlines", "two\nlines"),
    ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    ("\ud800 \ufffe \uffff \u2028", r"\ud800 \ufffe \uffff \u2028"),
])  # fmt: skip
def test_control_characters_are_spelt_out(text, clean):
    assert clean_text(text) == clean


SECRETS = [
    ("key in the clear", "before {} after", key),
    ("key that is cut off", "{}", lambda: key()[:120]),
    ("key in base64", "client-key-data: {}", lambda: base64.b64encode(key().encode()).decode()),
    ("key in base64 alone", "found {} there", lambda: base64.b64encode(key().encode()).decode()),
    ("service account token", "the token {} was refused", token),
    ("bearer header", "Authorization: Bearer {}", lambda: "kQ8vX2-abc_DEF.0123~xyz"),
    ("bearer header in JSON", '{{"authorization": "bearer {}"}}', lambda: "kQ8vX2abcDEF0123xyz"),
    ("basic header", "authorization: Basic {}", lambda: base64.b64encode(b"admin:hunter2").decode()),
    ("kubeconfig password", "users:\n- user:\n    username: admin\n    password: {}\n", lambda: "hunter2"),
    ("kubeconfig token", "    token: {}\n", lambda: "0123456789abcdef.0123456789"),
    ("in JSON", '{{"access_token":"{}"}}', lambda: "0123456789abcdefghij"),
    ("forge token", "using {}", lambda: "ghp_" + "a1B2" * 9),
    ("cloud key", "id {}", lambda: "AKIA" + "ABCD1234" * 2),
]


@pytest.mark.parametrize(("text", "make"), [s[1:] for s in SECRETS], ids=[s[0] for s in SECRETS])
def test_secrets_do_not_reach_a_report(text, make, result):
    secret = make()
    cleaned = clean_text(text.format(secret))
    assert "redacted" in cleaned
    assert not any(line in cleaned for line in secret.split("\n") if len(line) > 6)
    assert clean_text(cleaned) == cleaned
    whole = clean_result(result(
        1, "failed", message=text.format(secret), observed=text.format(secret), reproduce=text.format(secret),
        convergence=(Convergence(text.format(secret), 1.0, 1),),
        samples=(SampleSummary(secret, secret, text.format(secret), 1, {text.format(secret): 1}),),
        applied=({"data": {"file": text.format(secret)}},),
    ))  # fmt: skip
    # The bare value of a password cannot be known as one; everything with a form can.
    if len(secret) > 40:
        assert secret not in json.dumps(dataclasses.asdict(whole), default=str).replace("\\n", "\n")


@pytest.mark.parametrize("text", [
    "wanted 90 %, got 84 %: of 2000 requests 1680 from v1:8080",
    "serviceAccountToken: {path: token, expirationSeconds: 3607}",
    "spiffe://cluster.local/ns/demo/sa/client",
    "token: expired",
    "TrafficSplit split.smi-spec.io/v1alpha4 split-003",
])  # fmt: skip
def test_ordinary_text_is_left_alone(text):
    assert clean_text(text) == text


def test_structured_secrets_are_taken_out_by_their_names():
    cleaned = clean_value({
        "apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aHVudGVyMg=="},
             "stringData": {"b": "hunter2"}},
            {"kind": "Pod", "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "fast"}]},
        ],
        "users": [{"user": {"token": "short", "client-key-data": "x", "password": "hunter2"}}],
    })  # fmt: skip
    text = json.dumps(cleaned)
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text
    assert "short" not in text
    assert cleaned["items"][0]["data"] == {"a": "[redacted: secret]"}
    assert cleaned["items"][1]["env"][1] == {"name": "MODE", "value": "fast"}


def test_what_only_says_where_and_when_is_dropped_from_objects():
    item = {
        "apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}, "status": {"loadBalancer": {}},
        "metadata": {
            "name": "root", "uid": "1", "resourceVersion": "7", "managedFields": [{}], "generation": 1,
            "creationTimestamp": "2026", "selfLink": "/x", "labels": {"uid": "is a label"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "stays"},
        },
    }  # fmt: skip
    assert clean_value(item) == {
        "apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]},
        "metadata": {"name": "root", "labels": {"uid": "is a label"}, "annotations": {"mine": "stays"}},
    }  # fmt: skip
    assert item["metadata"]["uid"] == "1", "the test's own object is not touched"


def test_any_value_becomes_one_of_json():
    nested = []
    for _ in range(5000):
        nested = [nested]
    value = {
        1: {2},
        "when": dt.date(2026, 11, 20),
        "nan": float("nan"),
        "b": b"\x00",
        "deep": nested,
        "none": None,
    }
    cleaned = clean_value(value)
    json.dumps(cleaned, allow_nan=False)
    assert cleaned["1"] == [2]
    assert cleaned["when"] == "2026-11-20"
    assert cleaned["nan"] == "nan"


def test_long_text_is_cut_and_says_so():
    cleaned = clean_text("x" * 1_000_000)
    assert len(cleaned) <= MAX_TEXT
    assert cleaned.endswith("… (cut: the text had 1000000 characters)")
    assert len(clean_text("\x1b" * MAX_TEXT)) <= MAX_TEXT


def test_too_many_objects_are_left_out(result):
    many = tuple({"kind": "ConfigMap", "data": {str(i): "x" * 4000}} for i in range(200))
    (left,) = clean_result(result(1, "failed", applied=many)).applied
    assert "200 objects" in left["omitted"]


def test_cleaning_random_text_is_stable_and_quick():
    source = random.Random(7)
    marks = ["eyJ", "Bearer ", "password=", "token: ", "-----BEGIN PRIVATE KEY-----", "LS0tLS1CRUdJTi"]
    pieces = [*marks, "-", ".", "\x1b", "\ud800", "a b", "'", "\n", "x" * 20]
    for _ in range(300):
        text = "".join(source.choices(pieces, k=40))
        cleaned = clean_text(text)
        assert clean_text(cleaned) == cleaned
        cleaned.encode()
    started = time.process_time()
    for hostile in (
        "eyJ-" * 100_000,
        "password" * 100_000,
        "token " * 100_000,
        "-----BEGIN " * 50_000,
        "bearer \t" * 90_000,
    ):
        clean_text(hostile)
    assert time.process_time() - started < 3


def test_header_and_command_hold_no_paths(report):
    command = command_line(
        ["/opt/x/bin/mesh-conformance", "run", "--kubeconfig=/home/me/.kube/config", "--mesh", "a b"]
    )
    assert command == "mesh-conformance run --kubeconfig=config --mesh 'a b'"
    header = clean_header(dataclasses.replace(report.header, command="run\x1b[2J", kubernetes="v1\x00"))
    assert (header.command, header.kubernetes) == (r"run\x1b[2J", r"v1\x00")


@pytest.mark.parametrize("text", [
    *(text.format(make()) for _, text, make in SECRETS), "plain", "", "\x1b", "a\r\nb", "x" * (MAX_TEXT + 1),
    "pa\u017f\u017fword: hunter2", "to\u212aen = abcdefghijklmnop", "author\u0131zation: basic abcdefgh",
    "AUTHOR\u0130ZATION: basic abcdefgh", "cl\u0131ent-key=hunter2",
])  # fmt: skip
def test_what_is_not_looked_at_closely_would_stay_as_it_is(text, monkeypatch):
    """A text in which no word is suspect is left alone: that it is one of those that cleaning leaves alone."""

    class Suspicious:
        def isinstance_python(self, text):
            return True

    found = [clean_text(form) for form in (text, text.upper(), text.lower())]
    monkeypatch.setattr(hygiene, "_suspect", Suspicious())
    assert found == [clean_text(form) for form in (text, text.upper(), text.lower())]
