"""A Kubernetes-style API server in this process: store, HTTP front end, and nothing that acts on what is stored."""

from __future__ import annotations

from conformance.sandbox.apiserver.backends import PodBackend, ServiceResolver
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.faults import Fault
from conformance.sandbox.apiserver.resources import Resource
from conformance.sandbox.apiserver.server import ApiServer, PortTakenError
from conformance.sandbox.apiserver.store import Store
from conformance.sandbox.apiserver.watching import Event, Watch

__all__ = [
    "ApiError",
    "ApiServer",
    "Event",
    "Fault",
    "PodBackend",
    "PortTakenError",
    "Resource",
    "ServiceResolver",
    "Store",
    "Watch",
]
