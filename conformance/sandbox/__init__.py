"""A Kubernetes cluster without Kubernetes: an API server in this process, pods as processes, all on loopback.

`Sandbox` is imported when it is first asked for, because programs in pods import modules of this package too and
have no use for a web server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from conformance.sandbox.lifecycle import Sandbox

__all__ = ["Sandbox", "SandboxError"]


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from conformance.sandbox.lifecycle import Sandbox  # noqa: PLC0415 - see above

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
