"""A name server that does not answer says nothing of a name; one that answers is believed."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from conformance.workloads import agent as program

PLAN = SimpleNamespace(protocol="http", host="root.app", port=8080)
SILENT = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def names(monkeypatch):
    """Answers lookups one by one, and counts them; the last answer stays."""
    asked = []

    def script(*answers):
        left = list(answers)

        def look_up(host, port, _, kind):
            asked.append(host)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return [(socket.AF_INET, kind, 0, "", (answer, port))]

        monkeypatch.setattr(program.socket, "getaddrinfo", look_up)
        monkeypatch.setattr(program.time, "sleep", lambda _: None)
        return asked

    return script


def test_a_lost_answer_is_asked_for_again(names):
    asked = names(SILENT, SILENT, "10.0.0.1")
    assert program.Resolver().address(PLAN) == (socket.AF_INET, ("10.0.0.1", 8080))
    assert len(asked) == 3


def test_a_name_server_that_stays_silent_is_asked_anew_for_the_next_request(names):
    asked = names(SILENT, SILENT, SILENT, "10.0.0.1")
    resolver = program.Resolver()
    with pytest.raises(program.Failed) as failed:
        resolver.address(PLAN)
    assert (failed.value.kind, len(asked)) == ("name-not-found", 3)
    assert resolver.address(PLAN) == (socket.AF_INET, ("10.0.0.1", 8080))


def test_a_name_that_does_not_exist_is_asked_for_once_a_second(names):
    asked = names(UNKNOWN)
    resolver = program.Resolver()
    for _ in range(5):
        with pytest.raises(program.Failed):
            resolver.address(PLAN)
    assert len(asked) == 1
