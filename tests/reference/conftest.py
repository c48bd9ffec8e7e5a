"""What the tests of the reference mesh share with each other: addresses."""

from __future__ import annotations

import pytest

from conformance.sandbox.errors import SandboxError
from conformance.sandbox.network import Network
from conformance.waiting import NotYet, eventually

NUMBER = 251
"""Of the network in which `mesh_world` and `pod` put everything: 10.251.x.x, on the wire 127.251.x.x."""
WITHIN = 900.0
"""Seconds to wait for another worker's module; the longest takes one minute."""


@pytest.fixture(scope="module", autouse=True)
def addresses(request):
    """Keep the tests' addresses from other workers and sandboxes, where a module sends traffic."""
    if not any(getattr(value, "__module__", "") == "mesh_traffic" for value in vars(request.module).values()):
        yield
        return

    def claim():
        try:
            return Network.claim([NUMBER])
        except SandboxError as error:
            raise NotYet(str(error)) from None

    network = eventually(claim, what=f"network {NUMBER} to be free", within=WITHIN, consecutive=1, longest=0.2).last
    yield
    network.release()
