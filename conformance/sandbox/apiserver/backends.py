"""What the API server asks of the node: logs of pods, where a pod can be reached, and what all of it consumes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.objects import JSON


class PodBackend(Protocol):
    """The kubelet, as far as the API server needs it."""

    def log(
        self,
        namespace: str,
        name: str,
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> AsyncIterator[bytes]:
        """The container's log in chunks; an `async def` with `yield` is one.

        With `follow` it ends when the container does. Raises ApiError 400 when the container has not started (or,
        with `previous`, has never ended).
        """
        ...

    def endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """The loopback address behind the pod's port. Raises ApiError 404 or 503 when there is none."""
        ...


class NodeBackend(Protocol):
    """What the API server asks of the node about the node itself."""

    async def summary(self, node: str) -> JSON:
        """What the node and its pods have used so far: a Summary of stats/v1alpha1. Raises ApiError 503 or 404."""
        ...


ServiceResolver: TypeAlias = Callable[[str, str, int | str], tuple[str, int]]
"""(namespace, service, port number or name) → loopback address of one ready endpoint; ApiError 503 when none is."""
