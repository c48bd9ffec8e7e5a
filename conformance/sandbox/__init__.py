"""A Kubernetes cluster without Kubernetes: an API server in this process, pods as processes, all on loopback.

`Sandbox` and `envoy_binary` are imported when they are first asked for, because programs in pods import modules of
this package too and have no use for a web server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from conformance.sandbox.kubelet import envoy_binary
    from conformance.sandbox.lifecycle import Sandbox

__all__ = ["Sandbox", "SandboxError", "envoy_binary"]


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from conformance.sandbox.lifecycle import Sandbox  # noqa: PLC0415 - see above

        return Sandbox
    if name == "envoy_binary":
        from conformance.sandbox.kubelet import envoy_binary  # noqa: PLC0415 - see above

        return envoy_binary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
