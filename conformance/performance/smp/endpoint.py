"""Endpoints of an SMP client, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = {
    "http": ("PROTOCOL_HTTP", "PROTOCOL_GRPC"), "https": ("PROTOCOL_HTTP", "PROTOCOL_GRPC"), "tcp": ("PROTOCOL_TCP",),
    "udp": ("PROTOCOL_UDP",), "grpc": ("PROTOCOL_GRPC",), "grpcs": ("PROTOCOL_GRPC",),
}
"""The schemes of an endpoint and the protocols that go with each, the usual one first."""
WITH_TLS: Final = frozenset({"https", "grpcs"})

_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}]")


class EndpointError(ValueError):
    """A text is no endpoint; the message says why."""


@dataclass(frozen=True)
class Endpoint:
    """The parts of an endpoint that matter here; `port` is None where the scheme's own is meant."""

    scheme: str
    host: str
    port: int | None

    @property
    def protocol(self) -> str:
        """SMP's name of the usual protocol of the scheme."""
        return SCHEMES[self.scheme][0]


def parse(url: str) -> Endpoint:
    """Take a URL apart. Raises EndpointError."""
    if found := _FORBIDDEN.search(url):
        raise EndpointError(f"the character {found[0]!r} cannot stand in a URL; write it percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise EndpointError(f"it is no URL: {error}") from None
    if "://" not in url:
        raise EndpointError("the scheme is missing: begin with http:// or tcp://")
    if parts.scheme not in SCHEMES:
        raise EndpointError(f"the scheme {parts.scheme!r} is unknown (known: {', '.join(SCHEMES)})")
    if not host:
        raise EndpointError("it names no host")
    if parts.username is not None:
        raise EndpointError("it has a user or password in it; send a header Authorization instead")
    if parts.fragment:
        raise EndpointError("a fragment (#…) is never sent to a server")
    if port == 0 or (port is None and parts.scheme in {"tcp", "udp"}):
        raise EndpointError("it names no port")
    if parts.scheme in {"tcp", "udp"} and (parts.path.strip("/") or parts.query):
        raise EndpointError(f"there are no paths in {parts.scheme.upper()}")
    return Endpoint(parts.scheme, host, port)


def internal(host: str) -> bool:
    """Tell whether a host can only be in this cluster or on this machine, by its name alone."""
    name = host.rstrip(".").lower()
    if name in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", name, re.ASCII):
        return True
    return ("." not in name and ":" not in name) or name.endswith((".svc", ".svc.cluster.local"))
