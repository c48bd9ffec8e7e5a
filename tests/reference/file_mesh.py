"""What the control plane does, without an API server: a made-up world becomes the files that proxies read."""

from __future__ import annotations

from mesh_world import ADDRESSES, NAMESPACE

from conformance.sandbox.reference.files import ProxyFiles
from conformance.sandbox.reference.identity import Authority
from conformance.sandbox.reference.interception import SANDBOX
from conformance.sandbox.reference.translate import Translation


class FileMesh:
    """The proxies of these pods, and where their files are."""

    def __init__(self, state, *names, interception=SANDBOX) -> None:
        self.state = state
        self.files = ProxyFiles(state, interception, Authority.create())
        self._names = names

    def apply(self, made) -> None:
        """Bring all proxies to this world."""
        translation = Translation(made.snapshot())
        for name in self._names:
            self.files.write(translation.plan(made.pods[ADDRESSES[name]]))

    def directory(self, name):
        """Where a pod's proxy starts."""
        return self.state / "proxies" / NAMESPACE / f"uid-{name}"
