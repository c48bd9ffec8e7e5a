"""What of settings gets into a snapshot: nothing that looks like a credential, no addresses, the rest as it is."""

from __future__ import annotations

import pytest

from conformance.snapshot.masking import (
    MAX_VALUE,
    OMITTED,
    secret_looking,
    secret_name,
    setting,
    without_addresses,
    words,
)

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZXNoIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("text", [
    TOKEN, "password: hunter2", "client_secret=abc", "-----BEGIN CERTIFICATE-----\nMII", "https://me:pw@example.invalid/x",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "Authorization: Basic dTpw", "api-key: 1",
    "token: 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef", "AKIAIOSFODNN7EXAMPLE",
])
def test_what_looks_like_a_credential(text):
    assert secret_looking(text)


@pytest.mark.parametrize("text", [
    "", "info", "accessLogFile: /dev/stdout", "istiod.istio-system.svc:15012", "pilot-discovery-validation-webhook",
    "image@sha256:" + 64 * "a", "enableTracing: true\nmode: REGISTRY_ONLY", "--service-account",
])
def test_what_does_not(text):
    assert not secret_looking(text)


@pytest.mark.parametrize(("name", "secret"), [
    ("TOKEN", True), ("DB_PASSWORD", True), ("signing_key_path", True), ("tls.key", True), ("ca.crt", True),
    ("JWT_SECRET", True), ("LOG_LEVEL", False), ("keyboard", False), ("PILOT_TRACE_SAMPLING", False),
])
def test_names(name, secret):
    assert secret_name(name) is secret


def test_addresses_are_taken_out_and_versions_are_not():
    text = "at 203.0.113.7:15012, [2001:db8::1], 127.0.0.1, 0.0.0.0, ::1; v1.29.0, 1.2.3.4.5, 10:20:30, 300.1.1.1"
    assert without_addresses(text) == (
        "at [address]:15012, [[address]], 127.0.0.1, 0.0.0.0, ::1; v1.29.0, 1.2.3.4.5, 10:20:30, 300.1.1.1")


def test_hosts_outside_the_cluster_are_taken_out():
    text = "https://zipkin.example.org:9411/x http://istiod.istio-system.svc:15010 http://a.b.svc.cluster.local grpc://otel:1"
    assert without_addresses(text) == (
        "https://[host]:9411/x http://istiod.istio-system.svc:15010 http://a.b.svc.cluster.local grpc://otel:1")
    assert without_addresses("http://203.0.113.7/ http://127.0.0.1:1") == "http://[address]/ http://127.0.0.1:1"


def test_a_small_setting_is_kept_and_a_large_one_is_a_digest():
    small, large = setting("mode", "strict"), setting("mesh", "x: y\n" * MAX_VALUE)
    assert (small["size"], small["value"]) == (6, "strict")
    assert "value" not in large
    assert large["digest"] == setting("mesh", "x: y\n" * MAX_VALUE)["digest"] != small["digest"]


def test_a_credential_leaves_a_digest_only_where_it_cannot_be_guessed():
    short, long = setting("password", "hunter2"), setting("data", f"{TOKEN}{TOKEN}")
    assert short == {"size": 7, "value": OMITTED}
    assert long["value"] == OMITTED
    assert long["digest"].startswith("sha256:")


def test_a_command_line():
    given = ["--port=15012", "--token=abc", "--password", "hunter2", "--secret", "--level", "info", TOKEN,
             "203.0.113.7"]
    assert words(given) == ["--port=15012", f"--token={OMITTED}", "--password", OMITTED, "--secret", "--level", "info",
                            OMITTED, "[address]"]
    assert len(words(["a"] * 100)) == 65
