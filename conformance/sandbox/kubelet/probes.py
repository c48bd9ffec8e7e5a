"""Probes: one attempt of each kind, and when to make the next."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conformance.sandbox.kubelet.values import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.sandbox.apiserver.objects import JSON

_FIRST: Final = 0.01
# While waiting for the first success, the wait before an attempt is this share of the time that has gone by: a pod
# is noticed within 5 % of the time that it took to come up, for some ninety attempts in the first ten seconds.
_SHARE: Final = 0.05
_LARGEST_ANSWER: Final = 10 * 1024


@dataclass(frozen=True)
class Probe:
    """An httpGet or tcpSocket probe with its address on the wire. Times in seconds."""

    host: str
    port: int
    path: str | None
    headers: tuple[tuple[str, str], ...] = ()
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    successes: int = 1
    failures: int = 3

    @classmethod
    def parse(cls, spec: JSON, container: JSON, address: Callable[[int], str]) -> Probe:
        """The probe of a container; `address` says where a port of the pod is bound. Raises ConfigurationError."""
        action = spec.get("httpGet") or spec.get("tcpSocket")
        if action is None:
            raise ConfigurationError(f"a probe with {', '.join(spec)} is not supported; use httpGet or tcpSocket")
        if str(action.get("scheme", "HTTP")).upper() != "HTTP":
            raise ConfigurationError("a probe over HTTPS is not supported; use HTTP or tcpSocket")
        port = port_number(action["port"], container)
        headers = tuple((header["name"], header["value"]) for header in action.get("httpHeaders") or [])
        return cls(
            host=action.get("host") or address(port),
            port=port,
            path=(action.get("path") or "/") if "httpGet" in spec else None,
            headers=headers,
            initial_delay=spec.get("initialDelaySeconds") or 0,
            period=spec.get("periodSeconds") or 10,
            timeout=spec.get("timeoutSeconds") or 1,
            successes=spec.get("successThreshold") or 1,
            failures=spec.get("failureThreshold") or 3,
        )

    def pause(self, elapsed: float) -> float:
        """How long to wait before the next attempt while there has been no success for `elapsed` seconds."""
        return min(max(_FIRST, elapsed * _SHARE), self.period)

    async def attempt(self) -> str:
        """Why the probe fails, or an empty string when it succeeds."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            # On loopback a refusal is known at once: cheap enough to ask often while a program starts.
            code = connection.connect_ex((self.host, self.port))
            if code == errno.EINPROGRESS:
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                return f"dial tcp {self.host}:{self.port}: connect: {errno.errorcode.get(code, str(code))}"
            if self.path is None:
                return ""
            return await asyncio.wait_for(self._exchange(connection), self.timeout)
        except TimeoutError:
            return f"no answer from {self.host}:{self.port}{self.path} within {self.timeout:g} s"
        except OSError as error:
            return f"{self.host}:{self.port}{self.path}: {error}"
        finally:
            connection.close()

    async def _exchange(self, connection: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        headers = {"Host": f"{self.host}:{self.port}", "User-Agent": "kube-probe/sandbox", "Connection": "close"}
        headers.update(self.headers)
        lines = [f"GET {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        await loop.sock_sendall(connection, "\r\n".join(lines).encode())
        answer = b""
        while b"\r\n" not in answer and len(answer) < _LARGEST_ANSWER:
            received = await loop.sock_recv(connection, 4096)
            if not received:
                break
            answer += received
        words = answer.split(b"\r\n", 1)[0].split(b" ")
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            return f"malformed HTTP answer {answer[:100]!r}"
        code = int(words[1])
        return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"


def port_number(port: int | str, container: JSON) -> int:
    """A port by number or by its name in the container. Raises ConfigurationError."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if port.isdigit():
        return int(port)
    raise ConfigurationError(f"container {container['name']!r} has no port named {port!r}")
