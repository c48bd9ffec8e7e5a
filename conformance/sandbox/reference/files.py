"""The directories that proxies read their configuration from: `<state>/proxies/<namespace>/<pod uid>/`.

Every file appears whole, by rename, and only when its content changes: Envoy reloads on each rename. A proxy sees its
own directory only, and writes to none but its `log`: the control plane may be root, and must not be led elsewhere by
what a proxy puts there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Final

from conformance.sandbox.reference import access_log, bootstrap
from conformance.sandbox.reference.identity import Authority, write_private
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.model import Pod
from conformance.sandbox.reference.plan import Plan
from conformance.sandbox.reference.render import Renderer

AUTHORITY: Final = "authority"
PROXIES: Final = "proxies"
_UNUSED: Final = 60.0
"""Seconds after which an empty directory goes: a kubelet makes it before anyone knows the pod's address."""


class ProxyFiles:
    """Writes what proxies read. Methods raise OSError when the state directory cannot be written."""

    def __init__(self, state: Path, interception: Interception, authority: Authority) -> None:
        self._state = state
        self._interception = interception
        self._authority = authority
        self._renderer = Renderer(interception)
        self._written: dict[Path, str] = {}

    def write(self, plan: Plan) -> int:
        """Bring a proxy's files up to date; return how many bytes it has to read again, 0 when nothing changed."""
        directory = self._directory(plan.pod)
        if not (directory / bootstrap.BOOTSTRAP).exists():
            self._provide_identity(plan.pod, directory)
        # Clusters first: a route to a cluster that is not there yet would answer 503.
        changed = self._replace(directory / bootstrap.CLUSTERS, self._renderer.clusters(plan))
        changed += self._replace(directory / bootstrap.LISTENERS, self._renderer.listeners(plan))
        # Last, because the proxy starts as soon as it sees this one.
        config = bootstrap.bootstrap(self._interception, plan.pod)
        return changed + self._replace(directory / bootstrap.BOOTSTRAP, json.dumps(config, indent=1))

    def keep_only(self, pods: list[Pod]) -> list[str]:
        """Remove the directories of all other pods, and return which pods' (namespace/uid)."""
        kept = {self._directory(pod) for pod in pods}
        removed = []
        for directory in (self._state / PROXIES).glob("*/*"):
            if directory in kept:
                continue
            if any(directory.iterdir()):
                shutil.rmtree(directory, ignore_errors=True)
                removed.append(f"{directory.parent.name}/{directory.name}")
            _remove_unused(directory)
        for namespace in (self._state / PROXIES).glob("*"):
            _remove_unused(namespace)
        self._written = {file: text for file, text in self._written.items() if file.parent in kept}
        return removed

    def _directory(self, pod: Pod) -> Path:
        return proxy_directory(self._state, pod.namespace, pod.uid)

    def _provide_identity(self, pod: Pod, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._for_the_proxy(directory, 0o750)
        log = directory / access_log.DIRECTORY
        log.mkdir(exist_ok=True)
        self._for_the_proxy(log, 0o770)
        identity = self._authority.issue(pod.identity)
        write_private(directory / bootstrap.KEY, identity.key)
        self._for_the_proxy(directory / bootstrap.KEY, 0o640)
        (directory / bootstrap.CERTIFICATE).write_bytes(identity.certificate)
        (directory / bootstrap.TRUST).write_bytes(self._authority.trust)

    def _for_the_proxy(self, path: Path, mode: int) -> None:
        """Let the group of the proxies have what `mode` gives to groups, where they are not of the same user."""
        group = self._interception.proxy_user
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(mode if group is not None else mode & 0o700)

    def _replace(self, file: Path, text: str) -> int:
        if self._written.get(file) == text:
            return 0
        self._written[file] = text
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return 0
        temporary = file.with_name(f".{file.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
        return len(text)


def proxy_directory(state: Path, namespace: str, uid: str) -> Path:
    """Return the directory of a pod's proxy."""
    return state / PROXIES / namespace / uid


def log_directory(state: Path, namespace: str, uid: str) -> Path:
    """Return the directory of a proxy's access log."""
    return proxy_directory(state, namespace, uid) / access_log.DIRECTORY


def _remove_unused(directory: Path) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or in use after all
        if time.time() - directory.stat().st_mtime > _UNUSED:
            directory.rmdir()
