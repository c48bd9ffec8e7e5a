"""What a version loses is judged; that the harness itself may not write or read it is no fault of a definition."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from conformance.cluster import Rejected
from conformance.cluster_errors import refusal
from conformance.trials import Trials

ROUTE = {"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "UDPRoute",
         "metadata": {"name": "route", "namespace": "demo"}, "spec": {"matches": {"ports": [8080]}}}
VERSIONS = ("v1alpha4",)
ADMISSION = 'admission webhook "routes.example" denied the request: no ports, please'


class Definition:
    kind, group, storage = "UDPRoute", "specs.smi-spec.io", "v1alpha4"


@dataclass
class Server:
    """Refuses to have routes written, or read, with a message of HTTP 403."""

    writing: str = ""
    reading: str = ""
    cluster: object = field(init=False)

    def __post_init__(self):
        self.cluster = self

    def create(self, obj):
        if self.writing:
            raise refused(self.writing)

    def get(self, *_):
        if self.reading:
            raise refused(self.reading)
        return ROUTE


def refused(message):
    return refusal("asking", 403, json.dumps({"message": message, "reason": "Forbidden"}).encode())


def forbidden(verb):
    return f'udproutes.specs.smi-spec.io is forbidden: User "u" cannot {verb} resource "udproutes" in API group "specs"'


def conversions(server):
    return list(Trials(server, None, "demo").conversions(ROUTE, Definition, VERSIONS))


def test_nothing_is_lost():
    assert conversions(Server()) == []


@pytest.mark.parametrize("server", [Server(writing=forbidden("create")), Server(reading=forbidden("get"))])
def test_want_of_permission_is_not_judged(server):
    with pytest.raises(Rejected, match="is forbidden"):
        conversions(server)


@pytest.mark.parametrize(("server", "what"), [
    (Server(writing=ADMISSION), "refused when written"), (Server(reading=ADMISSION), "cannot be read")])
def test_refusal_of_admission_is_judged(server, what):
    (loss,) = conversions(server)
    assert loss.judged
    assert loss.what.startswith(f"{what}: {ADMISSION}")
