"""Commands for the load engine: what is not as it must be is refused, and the field named."""

import time

import pytest

from conformance.performance.load.command import read_command
from conformance.performance.load.fields import CommandError
from conformance.performance.load.target import read_target

GOOD = {"target": {"url": "http://a.example:8080/x?y=1"}, "mode": "closed", "duration": 1.0}


def with_target(**fields):
    return {**GOOD, "target": {**GOOD["target"], **fields}}


def test_what_a_minimal_command_means():
    command = read_command(GOOD)
    assert command.request == b"GET /x?y=1 HTTP/1.1\r\nhost: a.example:8080\r\n\r\n"
    assert (command.host, command.port, command.scheme) == ("a.example", 8080, "http")
    assert (command.connections, command.keep_alive, command.warmup, command.timeout) == (1, True, 0, 5 * 10**9)
    assert command.statuses == {200}


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://a", b"host: a\r\n"), ("http://a:80/", b"host: a\r\n"), ("http://[::1]:81/", b"host: [::1]:81\r\n")],
)
def test_the_host_header(url, host):
    assert host in read_command(with_target(url=url)).request


def test_a_connection_per_request_says_so():
    assert b"\r\nconnection: close\r\n" in read_command({**GOOD, "keep_alive": False}).request


def test_a_long_load_has_longer_intervals():
    assert read_command({**GOOD, "duration": 36_000.0}).interval == 10_000_000_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"duration": 0}, "duration: need a number from 0.01"),
        ({"duration": "10s"}, "duration: need a number .* not '10s'"),
        ({"duration": None}, "duration"),
        ({"warmup": -1}, "warmup"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 1e9}, "timeout"),
        ({"connections": 0}, "connections: need a whole number from 1"),
        ({"connections": 2.5}, "connections"),
        ({"connections": 10**6}, "connections"),
        ({"keep_alive": 1}, "keep_alive: need true or false, not 1"),
        ({"pacing": "hurry"}, "pacing: need sleep or spin"),
        ({"interval": 0}, "interval"),
        ({"raw": "yes"}, "raw"),
        ({"extra": 1}, "extra: there is no such field"),
        ({"expect": {"status": [99]}}, "expect.status"),
        ({"expect": {"status": []}}, "expect.status"),
        ({"expect": {"body_bytes": -1}}, "expect.body_bytes"),
        ({"expect": {"agents": "a"}}, "expect.agents: need a list"),
        ({"expect": {"body": 1}}, "expect.body: there is no such field"),
        ({"target": {}}, "target.url is missing"),
        ({"mode": "open", "schedule": {"rate": 1e6}, "duration": 3600}, "schedule.rate: 1e[+]06/s for 3600 s are more"),
    ],
)
def test_a_field_out_of_bounds(changes, message):
    with pytest.raises(CommandError, match=message):
        read_command({**GOOD, **changes})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": 5}, "target.url: need a string"),
        ({"url": "a.example:80"}, "target.url: need http://HOST"),
        ({"url": "https://a/"}, "target.url: need http://HOST"),
        ({"url": "http:///x"}, "target.url"),
        ({"url": "http://a:99999/"}, "target.url: .*range"),
        ({"url": "http://u:p@a/"}, "target.url: need nothing but"),
        ({"url": "http://a/ b"}, "target.url: need printable ASCII"),
        ({"url": "http://a/ä"}, "target.url: need printable ASCII"),
        ({"url": "tcp://a"}, "target.url"),
        ({"url": "tcp://a:1/path"}, "target.url"),
        ({"url": "tcp://a:1", "headers": [["a", "b"]]}, "target.headers: TCP has neither"),
        ({"url": "tcp://a:1", "body": "{"}, "target.body: need a body that does not begin with"),
        ({"method": "G ET"}, "target.method"),
        ({"method": ""}, "target.method"),
        ({"headers": [["a"]]}, r"target.headers\[0\]: need a pair"),
        ({"headers": {"a": "b"}}, "target.headers: need a list"),
        ({"headers": [["a", "b\r\nc: d"]]}, r"target.headers\[0\]: need a header's name"),
        ({"headers": [["a b", "c"]]}, r"target.headers\[0\]"),
        ({"headers": [["Content-Length", "5"]]}, r"target.headers\[0\]: need no header that follows"),
        ({"headers": [["a", "☃"]]}, "target.headers: only Latin-1"),
        ({"headers": [["a", "x" * 20_000], ["b", "x" * 20_000]]}, "target.headers: all together"),
        ({"body": "x", "body_bytes": 5}, "target.body_bytes: there is a body already"),
        ({"body": 5}, "target.body: need a string"),
        ({"body_bytes": 10**9}, "target.body_bytes"),
    ],
)
def test_a_target_that_cannot_be_asked(fields, message):
    with pytest.raises(CommandError, match=message):
        read_command(with_target(**fields))


def test_an_echo_has_no_length_to_expect():
    with pytest.raises(CommandError, match=r"expect\.body_bytes: an echo"):
        read_command({**with_target(url="tcp://a:1"), "expect": {"body_bytes": 1}})


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ({}, "port is missing"),
        ({"port": "8090"}, "port: need a whole number"),
        ({"port": 1, "protocol": "udp"}, "protocol: need http or tcp"),
        ({"port": 1, "delay": -1}, "delay"),
        ({"port": 1, "rate": 0}, "rate"),
        ({"port": 1, "stall": {"after": 1}}, "stall.for is missing"),
        ({"port": 1, "stall": {"after": 1, "for": 1, "x": 1}}, "stall.x: there is no such field"),
        ({"port": 1, "speed": 1}, "speed: there is no such field"),
    ],
)
def test_a_server_that_cannot_be_started(command, message):
    with pytest.raises(CommandError, match=message):
        read_target(command)


def test_an_agreed_start_is_not_far():
    soon = time.time() + 5
    assert read_command({**GOOD, "start": soon}).start == pytest.approx(soon * 1e9, abs=1000)
    assert read_command(GOOD).start is None


@pytest.mark.parametrize("start", [-61.0, 61.0, True, "now", float("nan"), float("inf")])
def test_another_start_is_refused(start):
    given = time.time() + start if type(start) is float else start
    with pytest.raises(CommandError, match=r"start: need a time in seconds since 1970, within 60 s of \d+"):
        read_command({**GOOD, "start": given})
