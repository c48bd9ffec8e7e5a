"""The directories that proxies read their configuration from: `<state>/<namespace>/<pod uid>/`.

Every file appears whole, by rename, and only when its content changes: Envoy reloads on each rename.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from conformance.sandbox.reference import access_log, bootstrap
from conformance.sandbox.reference.identity import Authority, write_private
from conformance.sandbox.reference.interception import Interception
from conformance.sandbox.reference.model import Pod
from conformance.sandbox.reference.plan import Plan
from conformance.sandbox.reference.render import Renderer

AUTHORITY: Final = "authority"


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
        place = json.dumps(str(directory / access_log.FILE))[1:-1]
        listeners = self._renderer.listeners(plan).replace(access_log.PLACE, place)
        changed += self._replace(directory / bootstrap.LISTENERS, listeners)
        # Last, because the proxy starts as soon as it sees this one.
        config = bootstrap.bootstrap(self._interception, plan.pod, directory)
        return changed + self._replace(directory / bootstrap.BOOTSTRAP, json.dumps(config, indent=1))

    def keep_only(self, pods: list[Pod]) -> list[str]:
        """Remove the directories of all other pods, and return which pods' (namespace/uid)."""
        kept = {self._directory(pod) for pod in pods}
        removed = []
        for namespace in self._state.iterdir():
            if namespace.name == AUTHORITY or not namespace.is_dir():
                continue
            for directory in namespace.iterdir():
                if directory not in kept:
                    shutil.rmtree(directory, ignore_errors=True)
                    removed.append(f"{namespace.name}/{directory.name}")
        self._written = {file: text for file, text in self._written.items() if file.parent in kept}
        return removed

    def _directory(self, pod: Pod) -> Path:
        return proxy_directory(self._state, pod.namespace, pod.uid)

    def _provide_identity(self, pod: Pod, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = self._authority.issue(pod.identity)
        write_private(directory / bootstrap.KEY, identity.key)
        (directory / bootstrap.CERTIFICATE).write_bytes(identity.certificate)
        (directory / bootstrap.TRUST).write_bytes(self._authority.trust)

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
    # The authority's own directory must not be taken for that of a namespace of the same name.
    return state / (f"namespace.{namespace}" if namespace == AUTHORITY else namespace) / uid
