"""A plan as the files that Envoy reads.

Most of a plan is the same for every proxy and from one change to the next, so each resource is rendered once and
kept as text: a change costs what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from conformance.sandbox.reference import clusters, datagrams, listeners
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.plan import DatagramPort, Destination, InboundPort, Plan, VirtualService

_KEPT = 4096


class Renderer:
    """Renders plans for one kind of network."""

    def __init__(self, interception: Interception) -> None:
        self._interception = interception
        self._virtual = lru_cache(_KEPT)(self._render_virtual)
        self._destination = lru_cache(_KEPT)(self._render_destination)
        self._inbound = lru_cache(_KEPT)(self._render_inbound)
        self._datagram = lru_cache(_KEPT)(self._render_datagram)

    def clusters(self, plan: Plan) -> str:
        """Return the discovery response with all clusters."""
        destinations = (self._destination(target) for target in plan.destinations())
        inbound = (self._inbound(plan.pod.address, port)[1] for port in plan.inbound)
        datagram = (self._datagram(plan.pod.address, port)[1] for port in plan.datagrams)
        return _response((*destinations, *inbound, *datagram))

    def listeners(self, plan: Plan) -> str:
        """Return the discovery response with all listeners.

        Cluster IPs that lead outside this network have none: nothing in it can connect to them.
        """
        address = plan.pod.address
        caught = map(_text, listeners.catch_all(self._interception, plan))
        virtual = (self._virtual(service) for service in plan.outbound if self._interception.wire(service.address))
        inbound = (self._inbound(address, port)[0] for port in plan.inbound)
        datagram = (self._datagram(address, port)[0] for port in plan.datagrams)
        return _response((*caught, *virtual, *inbound, *datagram))

    def _render_virtual(self, service: VirtualService) -> str:
        return _text(listeners.virtual(self._interception, service))

    def _render_destination(self, target: Destination) -> str:
        return _text(clusters.destination(self._interception, target))

    def _render_inbound(self, address: str, port: InboundPort) -> tuple[str, str]:
        return (_text(listeners.inbound(self._interception, address, port)),
                _text(clusters.application(self._interception, address, port)))

    def _render_datagram(self, address: str, port: DatagramPort) -> tuple[str, str]:
        return (_text(datagrams.listener(self._interception, address, port)),
                _text(datagrams.application(self._interception, address, port)))


def _text(resource: object) -> str:
    return json.dumps(resource, separators=(",", ":"))


def _response(resources: Iterable[str]) -> str:
    body = ",\n".join(resources)
    version = hashlib.sha256(body.encode()).hexdigest()[:16]
    return f'{{"version_info": "{version}", "resources": [\n{body}\n]}}\n'
