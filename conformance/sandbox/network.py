"""The addresses of a sandbox: cluster-like for everyone who looks, loopback on the wire.

Each sandbox claims a network number n from 1 to 254. Pods have addresses `10.n.0.2` to `10.n.63.254`, services
`10.n.128.1` to `10.n.191.254`; on the wire the first octet is 127, and that is the whole mapping. Linux answers on
all of 127.0.0.0/8 without any set-up, so that neither root nor a network namespace is needed.
"""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from conformance.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST: Final = 254
# Outside the range of ephemeral ports, so that no outgoing connection of anyone can sit on it.
_LOCK_PORT: Final = 61007
_INSIDE_OFFSET: Final = 64


def loopback(address: str) -> str:
    """Where a cluster address is really bound: `10.7.0.5` is `127.7.0.5`. Other addresses are left alone."""
    return f"127{address[2:]}" if address.startswith("10.") else address


def virtual(address: str) -> str:
    """The inverse of `loopback()`, except that 127.0.0.0/16 belongs to the machine and is left alone."""
    if address.startswith("127.") and not address.startswith("127.0."):
        return f"10{address[3:]}"
    return address


def inside(address: str) -> str:
    """The loopback address on which the application of an intercepted pod listens.

    The sidecar owns the ports of the pod's own address, as it would behind an iptables REDIRECT.
    """
    first, second, third, fourth = loopback(address).split(".")
    return f"{first}.{second}.{int(third) + _INSIDE_OFFSET}.{fourth}"


class AddressPool:
    """Hands out the addresses of a range in turn; one that was released is the last to be used again.

    A stale configuration that still names the address of a deleted pod then reaches nobody, rather than a stranger.
    """

    def __init__(self, first: str, last: str) -> None:
        self._first, self._last = int(IPv4Address(first)), int(IPv4Address(last))
        self._next = self._first
        self._taken: set[int] = set()

    def allocate(self) -> str:
        """The next free address. Raises SandboxError when all are taken."""
        for _ in range(self._last - self._first + 1):
            candidate = self._next
            self._next = candidate + 1 if candidate < self._last else self._first
            if candidate not in self._taken and candidate & 0xFF not in (0, 0xFF):
                self._taken.add(candidate)
                return str(IPv4Address(candidate))
        raise SandboxError(
            f"all {len(self._taken)} addresses from {IPv4Address(self._first)} to {IPv4Address(self._last)} are "
            "taken; delete some pods or services of this sandbox"
        )

    def release(self, address: str) -> None:
        """Give an address back; one that was never handed out is ignored."""
        self._taken.discard(int(IPv4Address(address)))


class Network:
    """One claimed network number with its pools of addresses.

    The claim is a bound socket: exclusive between the processes of the machine, gone with its last holder however
    that ends, and no file to clean up. Who outlives this process (the container runtime) holds it too, see `fileno`.
    """

    def __init__(self, number: int, lock: socket.socket) -> None:
        self.number = number
        self._lock = lock
        self.pods = AddressPool(f"10.{number}.0.2", f"10.{number}.63.254")
        self.services = AddressPool(f"10.{number}.128.1", f"10.{number}.191.254")

    @classmethod
    def claim(cls, numbers: Iterable[int] | None = None) -> Network:
        """Claim the first free of the given numbers (default: all).

        Raises SandboxError when none is free or the machine cannot bind them.
        """
        start = os.getpid() % 200  # sandboxes that start together should not all try the same numbers
        candidates = list(numbers or [(start + i) % HIGHEST + 1 for i in range(HIGHEST)])
        for number in candidates:
            lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                lock.bind((f"127.{number}.255.254", _LOCK_PORT))
            except OSError as error:
                lock.close()
                if error.errno == errno.EADDRINUSE:
                    continue
                raise SandboxError(
                    f"cannot bind 127.{number}.255.254: {error.strerror}. The sandbox needs Linux, whose loopback "
                    "interface answers on all of 127.0.0.0/8; on another system give --context for a real cluster"
                ) from error
            return cls(number, lock)
        raise SandboxError(
            f"all {len(candidates)} sandbox networks of this machine are taken (127.n.255.254:{_LOCK_PORT} is bound "
            "for each n); end some sandboxes, or another program that listens on "
            f"0.0.0.0:{_LOCK_PORT}, and try again"
        )

    @property
    def fileno(self) -> int:
        """The descriptor that holds the claim, for a child process to inherit."""
        return self._lock.fileno()

    def release(self) -> None:
        """Give the number back, as far as this process is concerned."""
        self._lock.close()
