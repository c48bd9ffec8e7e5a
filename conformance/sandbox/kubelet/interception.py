"""The `intercept` init container: what iptables rules do in a real pod, as an entry in the pod's network file."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "intercept"


class InterceptionError(Exception):
    """The arguments make no sense; the message is what the container would have printed."""


@dataclass(frozen=True)
class Interception:
    """Which traffic of a pod goes through its sidecar."""

    outbound_port: int
    proxy_uid: int
    excluded_inbound_ports: tuple[int, ...] = ()

    def to_json(self) -> dict[str, object]:
        """As the socket shim reads it."""
        return {"outbound": self.outbound_port, "exclude": list(self.excluded_inbound_ports)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InterceptionError(f"{self.format_usage()}{self.prog}: error: {message}")


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError(text)
    return number


def _ports(text: str) -> tuple[int, ...]:
    return tuple(_port(part) for part in text.split(",") if part)


def parse(arguments: Sequence[str]) -> Interception:
    """The interception that the arguments of `intercept` ask for. Raises InterceptionError.

    `--inbound-port` and `--udp-shift` are taken for the sake of a real node; here the sidecar listens on the pod's
    ports themselves.
    """
    parser = _Parser(prog=PROGRAM, add_help=False, exit_on_error=True)
    parser.add_argument("--outbound-port", type=_port, required=True)
    parser.add_argument("--inbound-port", type=_port)
    parser.add_argument("--udp-shift", type=_port)
    parser.add_argument("--proxy-uid", type=int, default=1337)
    parser.add_argument("--exclude-inbound-ports", type=_ports, default=())
    options = parser.parse_args(list(arguments))
    return Interception(options.outbound_port, options.proxy_uid, options.exclude_inbound_ports)
