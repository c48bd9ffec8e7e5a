"""What can go wrong with the testbed itself, as opposed to what runs in it."""

from __future__ import annotations


class TestbedError(Exception):
    """The testbed cannot be built, started or stopped; the message says what was being done and what to do."""

    __test__ = False  # the name is no test class, whatever pytest makes of it


class RefusedError(TestbedError):
    """A package registry refuses to serve a module that a part of the testbed is built from."""
